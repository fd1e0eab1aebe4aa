//! Vultr.
//!
//! Source: Vultr's "Metadata API" (v1), and its documentation on user-data, which is served below `/latest`.

use super::session::{MAX_JSON, Session};
use super::{Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;

const INSTANCE_ID: &str = "/v1/instanceid";
const NOTHING: &str = "no /v1/instanceid";

/// Vultr.
#[derive(Debug, Clone, Copy)]
pub struct Vultr;

impl Provider for Vultr {
    fn name(&self) -> &'static str {
        "vultr"
    }

    fn title(&self) -> &'static str {
        "Vultr"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Common)
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        session.required_fact(Fact::InstanceId, INSTANCE_ID, NOTHING)?;
        session.facts(&[
            (Fact::Hostname, "/v1/hostname"),
            (Fact::PublicIpv4, "/v1/interfaces/0/ipv4/address"),
            (Fact::PrivateIpv4, "/v1/interfaces/1/ipv4/address"),
            (Fact::PrivateNetmask, "/v1/interfaces/1/ipv4/netmask"),
            (Fact::RegionCode, "/v1/region/regioncode"),
            (Fact::Region, "/v1/region/regioncode"),
        ]);
        if let Some(keys) = session.document("/v1/public-keys", MAX_JSON) {
            session.key_lines(&keys);
        }
        session.user_data("/latest/user-data");
        Ok(session.reading)
    }
}
