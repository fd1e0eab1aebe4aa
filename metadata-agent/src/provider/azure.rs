//! Microsoft Azure: its instance metadata service, and the OVF environment on the disc that new machines find in their
//! drive. The disc's custom data stands in for user-data.
//!
//! Sources: Azure documentation, "Azure Instance Metadata Service" (API version 2021-02-01, header `Metadata: true`,
//! user-data in base64), and "Custom data and cloud-init".

use serde_json::Value;

use super::session::{MAX_JSON, Session};
use super::{Problem, Provider, Reading, ovf};
use crate::encoding;
use crate::fetch::{FetchError, Fetcher};
use crate::http::Header;
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;
use crate::user_data;

const INSTANCE: &str = "/metadata/instance?api-version=2021-02-01";
const NOTHING: &str = "no /metadata/instance";
const USER_DATA: &str = "/metadata/instance/compute/userData?api-version=2021-02-01&format=text";
const ENVIRONMENT: &str = "ovf-env.xml";
/// Four characters of base64 carry three bytes.
const MAX_ENCODED: usize = user_data::MAX_SIZE / 3 * 4 + 4;

/// Microsoft Azure.
#[derive(Debug, Clone, Copy)]
pub struct Azure;

impl Provider for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn title(&self) -> &'static str {
        "Azure"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Common)
    }

    fn read(&self, local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let environment = environment(local);
        let mut reading = match (instance(http), &environment) {
            (Ok(reading), _) => reading,
            (Err(error), Ok(Some(_))) => Reading { problems: vec![error.into()], ..Reading::default() },
            (Err(error), _) => return Err(error),
        };
        match environment {
            Ok(Some(text)) => from_environment(&text, &mut reading),
            Ok(None) => {}
            Err(error) => reading.problems.push(error.into()),
        }
        Ok(reading)
    }
}

fn instance(http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
    Header::new("Metadata", "true").into_iter().for_each(|header| http.set_header(header));
    let mut session = Session::new(http);
    let instance = session.required_json(INSTANCE, NOTHING)?;
    // Somebody else's JSON has no such part.
    let Some(compute) = instance.get("compute").filter(|compute| compute.is_object()) else {
        return Err(session.not_there(NOTHING));
    };
    // The name in the operating system need not be the machine's; older replies have the latter alone.
    let named = compute.pointer("/osProfile/computerName").is_some_and(|name| name != "");
    let name = if named { "/compute/osProfile/computerName" } else { "/compute/name" };
    session.facts_in(
        &instance,
        &[
            (Fact::Hostname, name),
            (Fact::InstanceId, "/compute/vmId"),
            (Fact::InstanceType, "/compute/vmSize"),
            (Fact::Region, "/compute/location"),
            (Fact::AvailabilityZone, "/compute/zone"),
            (Fact::LocalIpv4, "/network/interface/0/ipv4/ipAddress/0/privateIpAddress"),
            (Fact::PublicIpv4, "/network/interface/0/ipv4/ipAddress/0/publicIpAddress"),
        ],
    );
    let keys = compute.get("publicKeys").and_then(Value::as_array).into_iter().flatten();
    for (index, key) in keys.enumerate() {
        if let Some(key) = key.get("keyData").and_then(Value::as_str) {
            // What was pasted into the portal may be broken over lines.
            session.key(&format!("number {index}"), key.replace("\r\n", "").as_bytes());
        }
    }
    let encoded = session.document(USER_DATA, MAX_ENCODED).unwrap_or_default();
    let mut reading = session.reading;
    take_user_data(&mut reading, &encoded, "user-data");
    Ok(reading)
}

/// The OVF environment on a disc, if there is one.
fn environment(local: &Local) -> Result<Option<String>, FetchError> {
    for disc in local.drives()? {
        if let Some(bytes) = disc.read(ENVIRONMENT, MAX_JSON)? {
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(None)
}

/// What the service has not said already.
fn from_environment(environment: &str, reading: &mut Reading) {
    if reading.metadata.get(Fact::Hostname).is_none()
        && let Some(name) = ovf::element(environment, "HostName")
        && let Err(invalid) = reading.metadata.set(Fact::Hostname, name.as_bytes())
    {
        reading.problems.push(invalid.into());
    }
    if reading.metadata.user_data.is_none()
        && let Some(encoded) = ovf::element(environment, "CustomData")
    {
        take_user_data(reading, encoded.as_bytes(), "custom data");
    }
}

/// Decodes user-data, unless there is none.
fn take_user_data(reading: &mut Reading, encoded: &[u8], what: &'static str) {
    match encoding::base64(encoded, user_data::MAX_SIZE) {
        Ok(bytes) if bytes.is_empty() => {}
        Ok(bytes) => reading.metadata.user_data = Some(bytes),
        Err(why) => reading.problems.push(Problem::Undecodable { what, why }),
    }
}
