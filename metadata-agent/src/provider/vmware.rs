//! VMware: `guestinfo.metadata`, `guestinfo.userdata` and `guestinfo.vendordata`, asked of the hypervisor itself.
//!
//! Sources: cloud-init's documentation, "VMware" (each has a `.encoding`: none, base64, gzip+base64); LinuxKit's
//! `pkg/metadata` for the file `metadata`. Gzip is undone by [`crate::user_data`], for user-data alone.

use super::documents::Documents;
use super::session::{MAX_JSON, Session};
use super::{Problem, Provider, Reading, cdrom, flat_yaml};
use crate::backdoor::{self, GuestInfo};
use crate::encoding;
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::{Document, Fact};
use crate::user_data;

const FROM: &str = "VMware";

/// VMware.
#[derive(Debug, Clone, Copy)]
pub struct VMware;

impl Provider for VMware {
    fn name(&self) -> &'static str {
        "vmware"
    }

    fn title(&self) -> &'static str {
        "VMWARE"
    }

    fn read_local(&self, _local: &Local) -> Result<Option<Reading>, FetchError> {
        match backdoor::open() {
            Some(mut guest_info) => read_from(guest_info.as_mut()),
            None => Ok(None),
        }
    }

    fn read(&self, _: &Local, _: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        Err(FetchError::NotHere("no VMware hypervisor with guestinfo for it"))
    }
}

/// Everything, from wherever the variables are kept; none if there is neither metadata nor user-data.
///
/// # Errors
/// [`FetchError::Strange`] if the hypervisor does not speak as it should.
pub fn read_from(guest_info: &mut dyn GuestInfo) -> Result<Option<Reading>, FetchError> {
    let metadata = variable(guest_info, "guestinfo.metadata", MAX_JSON)?;
    let user_data = variable(guest_info, "guestinfo.userdata", user_data::MAX_SIZE)?;
    if metadata.is_none() && user_data.is_none() {
        return Ok(None);
    }
    let vendor_data = variable(guest_info, "guestinfo.vendordata", MAX_JSON)?;
    let mut nothing_more = Nothing;
    let mut session = Session::new(&mut nothing_more);
    for (document, value) in [(Document::Metadata, metadata), (Document::VendorData, vendor_data)] {
        match value {
            None => {}
            Some(Ok(bytes)) => session.reading.metadata.keep(document, bytes),
            Some(Err(problem)) => session.problem(problem),
        }
    }
    match user_data {
        None => {}
        Some(Ok(bytes)) => session.reading.metadata.user_data = Some(bytes),
        Some(Err(problem)) => session.problem(problem),
    }
    let metadata = session.reading.metadata.document(Document::Metadata).and_then(flat_yaml::parse);
    if let Some(document) = metadata {
        cdrom::take_meta_data(&mut session, &document);
        session.facts_in(&document, &[(Fact::Region, "/region")]);
    }
    Ok(Some(session.reading))
}

/// A variable, decoded; none if it is not set. `---` is how those set it who can't unset it.
fn variable(
    guest_info: &mut dyn GuestInfo,
    name: &'static str,
    limit: usize,
) -> Result<Option<Result<Vec<u8>, Problem>>, FetchError> {
    // Base64 is longer by a third.
    let mut get = |name: &str| guest_info.get(name, limit / 3 * 4 + 4).map_err(strange);
    let Some(value) = get(name)?.filter(|value| !matches!(value.trim_ascii(), b"" | b"---")) else {
        return Ok(None);
    };
    let encoding = get(&format!("{name}.encoding"))?.unwrap_or_default();
    let undecodable = |why| Problem::Undecodable { what: name, why };
    Ok(Some(match encoding.trim_ascii() {
        b"" | b"---" if value.len() > limit => Err(undecodable("is too large")),
        b"" | b"---" => Ok(value),
        b"base64" | b"b64" => encoding::base64(&value, limit).map_err(undecodable),
        b"gzip+base64" | b"gz+b64" if name == "guestinfo.userdata" => {
            encoding::base64(&value, limit).map_err(undecodable)
        }
        b"gzip+base64" | b"gz+b64" => Err(undecodable("is compressed, which is for user-data alone")),
        _ => Err(undecodable("has an encoding that is not known")),
    }))
}

fn strange(error: backdoor::BackdoorError) -> FetchError {
    FetchError::Strange { from: FROM, what: error.to_string() }
}

/// A source of no documents.
#[derive(Debug)]
struct Nothing;

impl Documents for Nothing {
    fn get(&mut self, _path: &str, _limit: usize) -> Result<Option<Vec<u8>>, FetchError> {
        Ok(None)
    }

    fn origin(&self) -> String {
        FROM.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backdoor::BackdoorError;

    struct Variables(BTreeMap<&'static str, &'static str>);

    impl GuestInfo for Variables {
        fn get(&mut self, name: &str, limit: usize) -> Result<Option<Vec<u8>>, BackdoorError> {
            let value = self.0.get(name).map(|value| value.as_bytes().to_vec());
            assert!(value.as_ref().is_none_or(|value| value.len() <= limit));
            Ok(value)
        }
    }

    fn read(variables: &[(&'static str, &'static str)]) -> Option<Reading> {
        read_from(&mut Variables(variables.iter().copied().collect())).unwrap()
    }

    #[test]
    fn metadata_and_user_data_come_as_they_are_or_in_base64() {
        let reading = read(&[
            ("guestinfo.metadata", "aW5zdGFuY2UtaWQ6IHZtLTEKbG9jYWwtaG9zdG5hbWU6IHdlYi0xCg=="),
            ("guestinfo.metadata.encoding", "base64"),
            ("guestinfo.userdata", "#cloud-config"),
        ])
        .unwrap();
        assert_eq!(reading.metadata.get(Fact::InstanceId), Some("vm-1"));
        assert_eq!(reading.metadata.get(Fact::Hostname), Some("web-1"));
        assert_eq!(reading.metadata.user_data.as_deref(), Some(&b"#cloud-config"[..]));
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
    }

    #[test]
    fn variables_that_say_nothing_are_no_metadata() {
        assert!(read(&[]).is_none());
        assert!(read(&[("guestinfo.userdata", " "), ("guestinfo.metadata", "---")]).is_none());
    }

    #[test]
    fn an_encoding_that_is_wrong_costs_its_variable() {
        for (encoding, why) in [("base64", "is not base64"), ("rot13", "not known")] {
            let reading = read(&[
                ("guestinfo.metadata", "instance-id: a"),
                ("guestinfo.userdata", "*"),
                ("guestinfo.userdata.encoding", encoding),
            ])
            .unwrap();
            assert_eq!(reading.metadata.user_data, None);
            assert!(reading.problems[0].to_string().contains(why), "{:?}", reading.problems);
            assert_eq!(reading.metadata.get(Fact::InstanceId), Some("a"));
        }
    }
}
