//! NoCloud without a disk: `ds=nocloud;h=NAME;i=ID;s=http://ADDRESS/PATH/` on the kernel's command line or in the
//! machine's SMBIOS serial number.
//!
//! Source: cloud-init's documentation, "NoCloud". Unlike there, the seed must be at a link-local address given in
//! numbers: neither a name server nor a router has a say in what becomes of the machine.

use std::net::{IpAddr, SocketAddr};

use super::session::{MAX_JSON, Session};
use super::{Provider, Reading, cdrom};
use crate::choose::{CommandLine, Dmi};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;

const NOTHING: &str = "neither of meta-data, user-data";
const FROM: &str = "ds=nocloud";

/// NoCloud without a disk.
#[derive(Debug, Clone, Copy)]
pub struct NoCloud;

impl Provider for NoCloud {
    fn name(&self) -> &'static str {
        "nocloud"
    }

    fn service(&self, local: &Local) -> Option<Service> {
        let seed = arguments(local)?.seed.and_then(|url| place(&url).ok());
        seed.map(|(address, _)| Service::At(address))
    }

    fn read_local(&self, local: &Local) -> Result<Option<Reading>, FetchError> {
        // Without arguments it says no more than that there is a disk, which `cdrom` looks for.
        let Some(arguments) = arguments(local).filter(|it| *it != Arguments::default()) else {
            return Ok(None);
        };
        match &arguments.seed {
            None => Ok(Some(arguments.reading())),
            Some(url) => match place(url) {
                Ok(_) => Ok(None),
                Err(what) => Err(FetchError::Strange { from: FROM, what }),
            },
        }
    }

    fn read(&self, local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let Some(arguments) = arguments(local) else {
            return Err(FetchError::NotHere(
                "no ds=nocloud on the kernel's command line or in its serial number",
            ));
        };
        let (_, path) = place(arguments.seed.as_deref().unwrap_or_default())
            .map_err(|what| FetchError::Strange { from: FROM, what })?;
        let mut session = Session::new(http);
        session.reading = arguments.reading();
        let nothing = session.not_there(NOTHING);
        // The first question decides whether anybody is there: its failure is no missing document.
        let meta_data = session.documents.get(&format!("{path}{}", cdrom::META_DATA), MAX_JSON)?;
        cdrom::seed(&mut session, &path, meta_data).ok_or(nothing)
    }
}

/// What stands behind `ds=nocloud`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    hostname: Option<String>,
    instance_id: Option<String>,
    seed: Option<String>,
}

impl Arguments {
    /// From `nocloud;KEY=VALUE;…`, with cloud-init's older name for seeds on a network.
    fn parse(source: &str) -> Option<Self> {
        let mut parts = source.split(';');
        if !matches!(parts.next()?, "nocloud" | "nocloud-net") {
            return None;
        }
        let mut arguments = Self::default();
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let place = match key {
                "h" | "local-hostname" => &mut arguments.hostname,
                "i" | "instance-id" => &mut arguments.instance_id,
                "s" | "seedfrom" => &mut arguments.seed,
                _ => continue,
            };
            *place = Some(value.to_owned());
        }
        Some(arguments)
    }

    fn reading(&self) -> Reading {
        let mut reading = Reading::default();
        for (fact, value) in [(Fact::Hostname, &self.hostname), (Fact::InstanceId, &self.instance_id)] {
            if let Some(Err(invalid)) = value.as_ref().map(|v| reading.metadata.set(fact, v.as_bytes())) {
                reading.problems.push(invalid.into());
            }
        }
        reading
    }
}

/// The kernel's command line comes before the serial number.
fn arguments(local: &Local) -> Option<Arguments> {
    let line = CommandLine::parse(&local.command_line());
    let serial = Dmi::read(local).product_serial;
    let sources = [line.data_source, serial.strip_prefix("ds=").map(str::to_owned)];
    sources.iter().flatten().find_map(|source| Arguments::parse(source))
}

/// Address and path, with a slash at its end, of `http://ADDRESS[:PORT]/PATH`.
fn place(url: &str) -> Result<(SocketAddr, String), String> {
    let refused = |why| format!("{} {why}", crate::tree::Quoted(url));
    let rest = url.strip_prefix("http://").ok_or_else(|| refused("is not http://ADDRESS/PATH/"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let numbers = || refused("has no address in numbers; names are not looked up");
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address: SocketAddr = match host.parse() {
        Ok(address) => address,
        Err(_) => (bare.parse::<IpAddr>().map_err(|_| numbers())?, 80).into(),
    };
    if !Service::At(address).is_link_local() {
        return Err(refused("is not a link-local address; others are not asked"));
    }
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused("has a path that no request can carry"));
    }
    let end = if path.is_empty() || path.ends_with('/') { "" } else { "/" };
    Ok((address, format!("/{path}{end}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_have_short_and_long_names() {
        let arguments = |h: Option<&str>, i: Option<&str>, s: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            Some(Arguments { hostname: own(h), instance_id: own(i), seed: own(s) })
        };
        for (source, wanted) in [
            ("nocloud", arguments(None, None, None)),
            ("nocloud;h=web;i=iid-1", arguments(Some("web"), Some("iid-1"), None)),
            ("nocloud-net;seedfrom=http://x/?a=b;odd;x=y", arguments(None, None, Some("http://x/?a=b"))),
            ("openstack", None),
            ("", None),
        ] {
            assert_eq!(Arguments::parse(source), wanted, "{source}");
        }
    }

    #[test]
    fn a_seed_is_at_a_link_local_address_in_numbers() {
        for (url, address, path) in [
            ("http://169.254.1.2/", "169.254.1.2:80", "/"),
            ("http://169.254.1.2:8000/a/b", "169.254.1.2:8000", "/a/b/"),
            ("http://[fe80::1]", "[fe80::1]:80", "/"),
        ] {
            assert_eq!(place(url), Ok((address.parse().unwrap(), path.to_owned())), "{url}");
        }
        for (url, why) in [
            ("https://169.254.1.2/", "is not http://"),
            ("/seed/", "is not http://"),
            ("http://seed.example/", "has no address in numbers"),
            ("http://10.0.0.1/", "is not a link-local address"),
            ("http://169.254.1.2/a b", "no request can carry"),
        ] {
            assert!(place(url).unwrap_err().contains(why), "{url}");
        }
    }
}
