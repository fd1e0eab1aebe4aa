//! DigitalOcean.
//!
//! Source: DigitalOcean's "Metadata API" (v1).

use super::session::{MAX_JSON, Session};
use super::{Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::local::Local;
use crate::metadata::{Document, Fact};
use crate::service::Service;

const ID: &str = "/metadata/v1/id";
const NOTHING: &str = "no /metadata/v1/id";

/// DigitalOcean.
#[derive(Debug, Clone, Copy)]
pub struct DigitalOcean;

impl Provider for DigitalOcean {
    fn name(&self) -> &'static str {
        "digitalocean"
    }

    fn title(&self) -> &'static str {
        "DigitalOcean"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Common)
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session::new(http);
        session.required_fact(Fact::Id, ID, NOTHING)?;
        if let Some(id) = session.reading.metadata.get(Fact::Id).map(str::to_owned) {
            session.fact(Fact::InstanceId, id.as_bytes());
        }
        session.facts(&[
            (Fact::Hostname, "/metadata/v1/hostname"),
            (Fact::PublicIpv4, "/metadata/v1/interfaces/public/0/ipv4/address"),
            (Fact::PrivateIpv4, "/metadata/v1/interfaces/private/0/ipv4/address"),
            (Fact::Region, "/metadata/v1/region"),
        ]);
        if let Some(keys) = session.document("/metadata/v1/public-keys", MAX_JSON) {
            session.key_lines(&keys);
        }
        session.keep(Document::VendorData, "/metadata/v1/vendor-data", MAX_JSON);
        session.user_data("/metadata/v1/user-data");
        Ok(session.reading)
    }
}
