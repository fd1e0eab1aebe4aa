//! Scaleway.
//!
//! Source: Scaleway's documentation, "Instance metadata", and its `scw-metadata`. User-data is handed out only to a port
//! below 1024.

use serde_json::Value;

use super::session::Session;
use super::{Problem, Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;
use crate::user_data;

const ADDRESS: ([u8; 4], u16) = ([169, 254, 42, 42], 80);
const CONF: &str = "/conf?format=json";
const NOTHING: &str = "no /conf?format=json";
const USER_DATA: &str = "/user_data/cloud-init";

/// Scaleway.
#[derive(Debug, Clone, Copy)]
pub struct Scaleway;

impl Provider for Scaleway {
    fn name(&self) -> &'static str {
        "scaleway"
    }

    fn title(&self) -> &'static str {
        "Scaleway"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::At(ADDRESS.into()))
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        let conf = session.required_json(CONF, NOTHING)?;
        session.facts_in(
            &conf,
            &[
                (Fact::Hostname, "/hostname"),
                (Fact::InstanceId, "/id"),
                (Fact::InstanceType, "/commercial_type"),
                (Fact::InstanceLocation, "/location/zone_id"),
                (Fact::AvailabilityZone, "/location/zone_id"),
                (Fact::PublicIp, "/public_ip/address"),
                (Fact::PrivateIp, "/private_ip"),
            ],
        );
        let keys = conf.get("ssh_public_keys").and_then(Value::as_array).into_iter().flatten();
        for (index, key) in keys.enumerate() {
            if let Some(key) = key.get("key").and_then(Value::as_str) {
                session.key(&format!("number {index}"), key.as_bytes());
            }
        }
        let mut reading = session.reading;
        if !http.out_of_time() {
            match http.get_as_superuser(USER_DATA, user_data::MAX_SIZE) {
                Ok(user_data) => reading.metadata.user_data = user_data,
                Err(error) => reading.problems.push(Problem::UserData(error)),
            }
        }
        Ok(reading)
    }
}
