//! Hetzner Cloud.
//!
//! Source: Hetzner Cloud API documentation, "Server Metadata". `private-networks` and `network-config` are YAML,
//! `public-keys` is a JSON list.

use super::session::{MAX_JSON, MAX_VALUE, Session};
use super::{Provider, Reading, flat_yaml};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::{Document, Fact};
use crate::service::Service;

const INSTANCE_ID: &str = "/hetzner/v1/metadata/instance-id";
const NOTHING: &str = "no /hetzner/v1/metadata/instance-id";
const PRIVATE_NETWORKS: &str = "/hetzner/v1/metadata/private-networks";
const PUBLIC_KEYS: &str = "/hetzner/v1/metadata/public-keys";

/// Hetzner Cloud.
#[derive(Debug, Clone, Copy)]
pub struct Hetzner;

impl Provider for Hetzner {
    fn name(&self) -> &'static str {
        "hetzner"
    }

    fn title(&self) -> &'static str {
        "Hetzner"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Common)
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        session.required_fact(Fact::InstanceId, INSTANCE_ID, NOTHING)?;
        session.facts(&[
            (Fact::Hostname, "/hetzner/v1/metadata/hostname"),
            (Fact::PublicIpv4, "/hetzner/v1/metadata/public-ipv4"),
            (Fact::LocalIpv4, "/hetzner/v1/metadata/local-ipv4"),
            (Fact::AvailabilityZone, "/hetzner/v1/metadata/availability-zone"),
            (Fact::Region, "/hetzner/v1/metadata/region"),
        ]);
        if let Some(networks) = session.document(PRIVATE_NETWORKS, MAX_JSON)
            && let Some(address) = flat_yaml::first_in_list(&networks, "ip")
        {
            session.fact(Fact::PrivateIpv4, address.as_bytes());
        }
        if let Some(keys) = session.document(PUBLIC_KEYS, MAX_JSON).filter(|keys| !keys.is_empty()) {
            let keys = session.parse(PUBLIC_KEYS, &keys);
            session.key_list(keys.as_ref());
        }
        session.keep(Document::NetworkConfig, "/hetzner/v1/metadata/network-config", MAX_VALUE);
        session.user_data("/hetzner/v1/userdata");
        Ok(session.reading)
    }
}
