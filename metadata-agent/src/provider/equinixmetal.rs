//! Equinix Metal, and what else serves its metadata (Tinkerbell's hegel) under its name.
//!
//! Source: Equinix Metal's documentation, "Metadata". Its documents were always to be had over plain HTTP from inside as
//! well; the https of the documentation is not spoken here.

use serde_json::Value;

use super::session::Session;
use super::{Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;

const METADATA: &str = "/metadata";
const NOTHING: &str = "no /metadata";
/// User-data of this kind was for the network boot, which is over.
const IPXE: &[u8] = b"#!ipxe";

/// Equinix Metal.
#[derive(Debug, Clone, Copy)]
pub struct EquinixMetal;

impl Provider for EquinixMetal {
    fn name(&self) -> &'static str {
        "equinixmetal"
    }

    fn title(&self) -> &'static str {
        "EquinixMetal"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Named("metadata.packet.net"))
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        let document = session.required_json(METADATA, NOTHING)?;
        session.facts_in(
            &document,
            &[
                (Fact::Hostname, "/hostname"),
                (Fact::InstanceId, "/id"),
                (Fact::InstanceType, "/plan"),
                (Fact::AvailabilityZone, "/facility"),
                (Fact::Region, "/metro"),
            ],
        );
        for (fact, public) in [(Fact::PublicIpv4, true), (Fact::PrivateIpv4, false)] {
            if let Some(address) = address(&document, public) {
                session.fact(fact, address.as_bytes());
            }
        }
        session.key_list(document.get("ssh_keys"));
        session.user_data("/userdata");
        let user_data = &mut session.reading.metadata.user_data;
        if user_data.as_ref().is_some_and(|bytes| bytes.starts_with(IPXE)) {
            *user_data = None;
        }
        Ok(session.reading)
    }
}

/// The first IPv4 address that is public, or is not.
fn address(document: &Value, public: bool) -> Option<String> {
    let addresses = document.pointer("/network/addresses")?.as_array()?;
    let wanted = addresses.iter().find(|address| {
        address.get("address_family").and_then(Value::as_u64) == Some(4)
            && address.get("public").and_then(Value::as_bool) == Some(public)
    })?;
    wanted.get("address")?.as_str().map(str::to_owned)
}
