//! What the serial port says until the instance is off.

use std::io::Write;
use std::thread;

use serde_json::Value;

use super::{InstanceError, Options, instance_path};
use crate::gcp::{Cloud, GcpError, PAUSE, Scope};
use crate::http::Trouble::Refused;

/// Copies what the serial port says until the instance is off. It speaks before the operation that makes it is done.
pub(super) fn follow(
    cloud: &Cloud,
    options: &Options,
    operation: Value,
    console: &mut dyn Write,
    action: &str,
) -> Result<(), InstanceError> {
    let zone = Scope::Zone(&options.zone);
    let path = instance_path(options);
    let mut operation = Some(operation);
    let mut next = 0;
    loop {
        // What it says last is there after it is off, so this comes first.
        let off = match operation.take() {
            Some(begun) => {
                let begun = cloud.look(&begun, zone, action)?;
                operation = cloud.progress(&begun, action)?.map(|_| begun);
                false
            }
            None => is_off(cloud.find(&path, &format!("look at instance {}", options.name))?.as_ref()),
        };
        let said = match cloud.find(&format!("{path}/serialPort?start={next}"), "read the serial port") {
            // It is not there yet, or not any more.
            Err(error) if off || is_early(&error) => None,
            said => said?,
        };
        let silent = match &said {
            Some(said) => {
                let contents = said["contents"].as_str().unwrap_or_default();
                console
                    .write_all(contents.as_bytes())
                    .and_then(|()| console.flush())
                    .map_err(InstanceError::Write)?;
                next = position(said).unwrap_or(next);
                contents.is_empty()
            }
            None => true,
        };
        match (off, silent) {
            (true, _) => return Ok(()),
            (false, true) => thread::sleep(PAUSE),
            (false, false) => {}
        }
    }
}

/// Numbers of 64 bits are texts in Google's JSON.
fn position(said: &Value) -> Option<u64> {
    said["next"].as_str().and_then(|text| text.parse().ok()).or_else(|| said["next"].as_u64())
}

/// Whether an instance, if it is there at all, runs no more ("Instance lifecycle").
fn is_off(instance: Option<&Value>) -> bool {
    let status = instance.and_then(|instance| instance["status"].as_str());
    matches!(status, None | Some("STOPPED" | "TERMINATED" | "SUSPENDED"))
}

/// The answer of a serial port whose instance is not ready.
fn is_early(error: &GcpError) -> bool {
    matches!(error, GcpError::Request { trouble: Refused { status: 400 | 503, .. }, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_instance_that_is_not_there_is_off() {
        for (instance, off) in [
            (Some("PROVISIONING"), false),
            (Some("RUNNING"), false),
            (Some("STOPPING"), false),
            (Some("TERMINATED"), true),
            (Some("STOPPED"), true),
            (None, true),
        ] {
            let instance = instance.map(|status| json!({ "status": status }));
            assert_eq!(is_off(instance.as_ref()), off, "{instance:?}");
        }
        assert_eq!(position(&json!({ "next": "12" })), Some(12));
        assert_eq!(position(&json!({ "next": 12 })), Some(12));
        assert_eq!(position(&json!({})), None);
    }
}
