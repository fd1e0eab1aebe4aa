//! Metaldata, a metadata service for bare metal that is found by the name `metaldata`.
//!
//! Source: LinuxKit's `pkg/metadata`, which defines what it asks for.

use super::session::{MAX_JSON, Session};
use super::{Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;

const HOSTNAME: &str = "/get/meta/hostname";
const NOTHING: &str = "no /get/meta/hostname";

/// Metaldata.
#[derive(Debug, Clone, Copy)]
pub struct Metaldata;

impl Provider for Metaldata {
    fn name(&self) -> &'static str {
        "metaldata"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Named("metaldata"))
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        session.required_fact(Fact::Hostname, HOSTNAME, NOTHING)?;
        session.facts(&[
            (Fact::PublicIpv4, "/get/meta/public-ipv4"),
            (Fact::PrivateIpv4, "/get/meta/private-ipv4"),
            (Fact::FailureDomain, "/get/meta/failure-domain"),
            (Fact::MachineId, "/get/meta/machine-id"),
            (Fact::MachineType, "/get/meta/machine-type"),
        ]);
        if let Some(id) = session.reading.metadata.get(Fact::MachineId).map(str::to_owned) {
            session.fact(Fact::InstanceId, id.as_bytes());
        }
        if let Some(keys) = session.document("/get/meta/authorized-keys", MAX_JSON) {
            session.key_lines(&keys);
        }
        session.user_data("/get/user");
        Ok(session.reading)
    }
}
