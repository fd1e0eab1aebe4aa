//! A disc or disk made for this machine: NoCloud's (label `cidata`), or LinuxKit's, which has the one file `config`.
//!
//! Sources: cloud-init's documentation, "NoCloud"; LinuxKit's `pkg/metadata` and `linuxkit metadata create`.

use serde_json::Value;

use super::session::{MAX_JSON, Session};
use super::{Provider, Reading, flat_yaml};
use crate::fetch::FetchError;
use crate::local::Local;
use crate::metadata::{Document, Fact};

const LABELS: &[&str] = &["cidata", "CIDATA"];
/// What NoCloud says of the machine.
pub const META_DATA: &str = "meta-data";
/// NoCloud's name, and LinuxKit's.
const USER_DATA: [&str; 2] = ["user-data", "config"];

/// A disc or disk made for this machine.
#[derive(Debug, Clone, Copy)]
pub struct CdRom;

impl Provider for CdRom {
    fn name(&self) -> &'static str {
        "cdrom"
    }

    fn title(&self) -> &'static str {
        "CDROM"
    }

    fn read_local(&self, local: &Local) -> Result<Option<Reading>, FetchError> {
        let labelled = local.volume(LABELS)?;
        for mut volume in labelled.into_iter().chain(local.drives()?) {
            let device = volume.device().to_owned();
            let mut session = Session::new(&mut volume);
            let meta_data = session.document(META_DATA, MAX_JSON);
            if let Some(mut reading) = seed(&mut session, "", meta_data) {
                reading.source = Some(format!("CDROM {device}"));
                return Ok(Some(reading));
            }
        }
        Ok(None)
    }

    fn read(&self, _: &Local, _: &mut crate::fetch::Fetcher<'_>) -> Result<Reading, FetchError> {
        Err(FetchError::NotHere("no disk labelled cidata, and no disc with a file user-data or config"))
    }
}

/// NoCloud's other documents, each below `base`; none if neither `meta_data` nor user-data is there.
pub fn seed(session: &mut Session<'_>, base: &str, meta_data: Option<Vec<u8>>) -> Option<Reading> {
    for name in USER_DATA {
        if session.reading.metadata.user_data.is_none() {
            session.user_data(&format!("{base}{name}"));
        }
    }
    let reading = &session.reading;
    if meta_data.is_none() && reading.metadata.user_data.is_none() && reading.problems.is_empty() {
        return None;
    }
    if let Some(document) = meta_data.as_deref().and_then(flat_yaml::parse) {
        take_meta_data(session, &document);
    }
    session.keep(Document::NetworkConfig, &format!("{base}network-config"), MAX_JSON);
    session.keep(Document::VendorData, &format!("{base}vendor-data"), MAX_JSON);
    Some(std::mem::take(&mut session.reading))
}

/// What NoCloud's and VMware's meta-data say.
pub fn take_meta_data(session: &mut Session<'_>, document: &Value) {
    session.facts_in(
        document,
        &[
            (Fact::InstanceId, "/instance-id"),
            (Fact::Hostname, "/hostname"),
            (Fact::Hostname, "/local-hostname"),
            (Fact::LocalHostname, "/local-hostname"),
            (Fact::LocalIpv4, "/local-ipv4"),
            (Fact::PublicIpv4, "/public-ipv4"),
            (Fact::AvailabilityZone, "/availability-zone"),
        ],
    );
    match document.get("public-keys") {
        Some(Value::String(keys)) => session.key_lines(keys.as_bytes()),
        keys => session.key_list(keys),
    }
}
