//! OpenStack: nova's own documents below `/openstack/latest`, and its EC2 view for what those don't say; from a config
//! drive, or else from the metadata service.
//!
//! Sources: nova's user documentation, "Metadata service" and "Config drives", and what nova 34 serves and writes. A
//! document that is not there answers 404: no key, no user-data and no public address are as normal as any.

use std::collections::BTreeSet;

use serde_json::Value;

use super::session::{MAX_JSON, MAX_VALUE, Session};
use super::{Problem, Provider, Reading, ec2_tree};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::{Document, Fact};
use crate::service::Service;

const META_DATA: &str = "/openstack/latest/meta_data.json";
const USER_DATA: &str = "/openstack/latest/user_data";
const PASSWORD: &str = "/openstack/latest/password";
const NEITHER: &str = "neither of /openstack/latest/meta_data.json, /latest/meta-data/hostname";

/// A config drive's label; in capitals where it is made as FAT by tools that know no other letters.
const LABELS: &[&str] = &["config-2", "CONFIG-2"];
/// What messages call one whose documents are broken.
const DRIVE: &str = "config drive";
/// The EC2 view on a config drive: one document instead of a tree.
const DRIVE_EC2: &str = "/ec2/latest/meta-data.json";
const DRIVE_EC2_USER_DATA: &str = "/ec2/latest/user-data";

/// OpenStack's nova.
#[derive(Debug, Clone, Copy)]
pub struct OpenStack;

impl Provider for OpenStack {
    fn name(&self) -> &'static str {
        "openstack"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Both)
    }

    fn read_local(&self, local: &Local) -> Result<Option<Reading>, FetchError> {
        let Some(mut volume) = local.volume(LABELS)? else { return Ok(None) };
        let mut session = Session::new(&mut volume);
        let own = own_documents(&mut session)?;
        let ec2 = drive_ec2(&mut session, matches!(own, Own::Read));
        match own {
            Own::Nothing if !ec2 => Ok(None),
            Own::Unusable(problem) if !ec2 => Err(problem.into_error(DRIVE)),
            Own::Unusable(problem) => {
                session.problem(problem);
                Ok(Some(session.reading))
            }
            Own::Nothing | Own::Read => Ok(Some(session.reading)),
        }
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        match own_documents(&mut session)? {
            Own::Read => {
                // A password is posted by the machine: a drive, which is made before it, has none.
                session.keep(Document::Password, PASSWORD, MAX_VALUE);
                ec2_facts(&mut session);
            }
            Own::Nothing => ec2_alone(&mut session)?,
            Own::Unusable(problem) => match (ec2_alone(&mut session), problem) {
                (Ok(()), problem) => session.problem(problem),
                // A service that does not work is one nevertheless; a page in place of JSON is somebody else's.
                (Err(_), Problem::Fetch(error)) | (Err(error), _) => return Err(error),
            },
        }
        Ok(session.reading)
    }
}

/// What has come of the documents below `/openstack`.
enum Own {
    Nothing,
    Unusable(Problem),
    Read,
}

/// Everything below `/openstack`, if the first of it is usable.
fn own_documents(session: &mut Session<'_>) -> Result<Own, FetchError> {
    let bytes = match session.documents.get(META_DATA, MAX_JSON) {
        Ok(None) => return Ok(Own::Nothing),
        Ok(Some(bytes)) => bytes,
        Err(error) if error.is_absence() || error.is_refusal() => return Err(error),
        Err(error) => return Ok(Own::Unusable(error.into())),
    };
    match serde_json::from_slice(&bytes) {
        Ok(document) => meta_data(session, &document, bytes),
        Err(error) => return Ok(Own::Unusable(Problem::not_json(META_DATA, &error))),
    }
    session.user_data(USER_DATA);
    for (document, path) in [
        (Document::NetworkDataJson, "/openstack/latest/network_data.json"),
        (Document::VendorDataJson, "/openstack/latest/vendor_data.json"),
        (Document::VendorData2Json, "/openstack/latest/vendor_data2.json"),
    ] {
        session.keep_json(document, path);
    }
    Ok(Own::Read)
}

fn meta_data(session: &mut Session<'_>, document: &Value, bytes: Vec<u8>) {
    for (key, fact) in [
        ("hostname", Fact::Hostname),
        ("availability_zone", Fact::AvailabilityZone),
        // The UUID stands in for the EC2 instance id until that is read: a cloud may serve no EC2 view.
        ("uuid", Fact::InstanceId),
    ] {
        if let Some(value) = document.get(key).and_then(Value::as_str) {
            session.fact(fact, value.as_bytes());
        }
    }
    for (name, key) in ssh_keys(document) {
        session.key(name, key.as_bytes());
    }
    session.reading.metadata.keep(Document::MetaDataJson, bytes);
}

/// What the EC2 view alone says: addresses, type, and the id that LinuxKit shows.
fn ec2_facts(session: &mut Session<'_>) {
    for &(fact, path) in ec2_tree::FACTS {
        let known = session.reading.metadata.get(fact).is_some() && fact != Fact::InstanceId;
        if !known {
            session.facts(&[(fact, path)]);
        }
    }
}

/// An old or foreign service without `/openstack`.
fn ec2_alone(session: &mut Session<'_>) -> Result<(), FetchError> {
    session.required_fact(Fact::Hostname, ec2_tree::HOSTNAME, NEITHER)?;
    ec2_facts(session);
    ec2_tree::public_keys(session);
    session.user_data(ec2_tree::USER_DATA);
    Ok(())
}

/// The EC2 view on a drive, for everything if there are no documents of nova's `own`; false if there is none.
fn drive_ec2(session: &mut Session<'_>, own: bool) -> bool {
    let Some(bytes) = session.document(DRIVE_EC2, MAX_JSON) else { return false };
    let Some(document) = session.parse(DRIVE_EC2, &bytes) else { return false };
    let known = session.reading.metadata.clone();
    let facts = [
        (Fact::Hostname, "/hostname"),
        (Fact::LocalHostname, "/local-hostname"),
        (Fact::PublicIpv4, "/public-ipv4"),
        (Fact::LocalIpv4, "/local-ipv4"),
        (Fact::AvailabilityZone, "/placement/availability-zone"),
        (Fact::InstanceType, "/instance-type"),
        (Fact::InstanceId, "/instance-id"),
    ];
    let wanted =
        facts.into_iter().filter(|(fact, _)| known.get(*fact).is_none() || *fact == Fact::InstanceId);
    session.facts_in(&document, &wanted.collect::<Vec<_>>());
    if !own {
        let keys = document.get("public-keys").and_then(Value::as_object).into_iter().flatten();
        for (index, key) in keys {
            if let Some(key) = key.get("openssh-key").and_then(Value::as_str) {
                session.key(index, key.as_bytes());
            }
        }
        session.user_data(DRIVE_EC2_USER_DATA);
    }
    true
}

/// Names and keys of `public_keys`, without those that `keys` says are none of ssh's (X.509 certificates).
fn ssh_keys(document: &Value) -> Vec<(&str, &str)> {
    let text = |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let foreign: BTreeSet<String> = document
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|key| text(key, "type").is_some_and(|kind| kind != "ssh"))
        .filter_map(|key| text(key, "name"))
        .collect();
    let keys = document.get("public_keys").and_then(Value::as_object).into_iter().flatten();
    keys.filter(|(name, _)| !foreign.contains(name.as_str()))
        .filter_map(|(name, key)| Some((name.as_str(), key.as_str()?)))
        .collect()
}
