//! Google Compute Engine.
//!
//! Source: Compute Engine documentation, "About VM metadata" and "Predefined metadata keys". Requests and answers both
//! carry `Metadata-Flavor: Google`; an answer without it is somebody else's. The service is asked by its address and
//! named as it wants to be, so no name server is needed.

use serde_json::Value;

use super::session::{MAX_JSON, MAX_VALUE, Session};
use super::{Provider, Reading};
use crate::fetch::{FetchError, Fetcher};
use crate::http::Header;
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;

const HOST: &str = "metadata.google.internal";
const HOSTNAME: &str = "/computeMetadata/v1/instance/hostname";
const NOTHING: &str = "no /computeMetadata/v1/instance/hostname";
const ZONE: &str = "/computeMetadata/v1/instance/zone";
const MACHINE_TYPE: &str = "/computeMetadata/v1/instance/machine-type";
const PROJECT_KEYS: &str = "/computeMetadata/v1/project/attributes/ssh-keys";
const INSTANCE_KEYS: &str = "/computeMetadata/v1/instance/attributes/ssh-keys";
const BLOCK_PROJECT_KEYS: &str = "/computeMetadata/v1/instance/attributes/block-project-ssh-keys";
/// LinuxKit reads the first and documents the second.
const USER_DATA: [&str; 2] =
    ["/computeMetadata/v1/instance/attributes/user-data", "/computeMetadata/v1/instance/attributes/userdata"];

/// Google Compute Engine.
#[derive(Debug, Clone, Copy)]
pub struct Gcp;

impl Provider for Gcp {
    fn name(&self) -> &'static str {
        "gcp"
    }

    fn title(&self) -> &'static str {
        "GCP"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Common)
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        http.set_host(HOST);
        Header::new("Metadata-Flavor", "Google").into_iter().for_each(|header| http.set_header(header));
        http.expect("metadata-flavor", "Google");
        let mut session = Session::new(http);
        session.required_fact(Fact::Hostname, HOSTNAME, NOTHING)?;
        session.facts(&[
            (Fact::InstanceId, "/computeMetadata/v1/instance/id"),
            (Fact::LocalIpv4, "/computeMetadata/v1/instance/network-interfaces/0/ip"),
            (
                Fact::PublicIpv4,
                "/computeMetadata/v1/instance/network-interfaces/0/access-configs/0/external-ip",
            ),
        ]);
        place(&mut session);
        keys(&mut session);
        for path in USER_DATA {
            if session.reading.metadata.user_data.is_none() {
                session.user_data(path);
            }
        }
        Ok(session.reading)
    }
}

/// Zone, region and type, which come as `projects/NUMBER/zones/ZONE` and the like.
fn place(session: &mut Session<'_>) {
    if let Some(zone) = session.document(ZONE, MAX_VALUE) {
        let zone = last_segment(&zone);
        session.fact(Fact::AvailabilityZone, zone);
        // us-central1-a is in us-central1.
        if let Some(dash) = zone.iter().rposition(|&b| b == b'-') {
            session.fact(Fact::Region, zone.get(..dash).unwrap_or_default());
        }
    }
    if let Some(kind) = session.document(MACHINE_TYPE, MAX_VALUE) {
        session.fact(Fact::InstanceType, last_segment(&kind));
    }
}

fn last_segment(path: &[u8]) -> &[u8] {
    path.trim_ascii().rsplit(|&b| b == b'/').next().unwrap_or_default()
}

/// The machine's keys, and its project's unless the machine says that it has its own.
fn keys(session: &mut Session<'_>) {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let own = session.document(BLOCK_PROJECT_KEYS, MAX_VALUE).unwrap_or_default();
    let own = own.trim_ascii().eq_ignore_ascii_case(b"true");
    let places: &[&str] = if own { &[INSTANCE_KEYS] } else { &[INSTANCE_KEYS, PROJECT_KEYS] };
    for path in places {
        let lines = session.document(path, MAX_JSON).unwrap_or_default();
        for line in String::from_utf8_lossy(&lines).lines() {
            if let Some((user, key)) = key(line, now) {
                session.key(user, key.as_bytes());
            }
        }
    }
}

/// User and key of a line `USER:KEY`, unless it has run out by `now`, in seconds since 1970. A key that ends does so
/// by its comment, `google-ssh {"userName":…,"expireOn":"2026-11-22T10:00:00+0000"}`; an end that can't be read has been.
fn key(line: &str, now: u64) -> Option<(&str, &str)> {
    let (user, key) = line.split_once(':').filter(|(user, _)| !user.contains(' ')).unwrap_or(("", line));
    let Some((_, comment)) = key.split_once(" google-ssh ") else { return Some((user, key)) };
    let comment: Value = serde_json::from_str(comment).ok()?;
    let ends = seconds(comment.get("expireOn")?.as_str()?)?;
    (now < ends).then_some((user, key))
}

/// Seconds since 1970 of `YYYY-MM-DDThh:mm:ss` in UTC, said as `Z` or `+0000`.
fn seconds(time: &str) -> Option<u64> {
    let (date, rest) = time.split_once('T')?;
    let clock = rest.strip_suffix('Z').or_else(|| rest.strip_suffix("+0000"))?;
    let numbers = |text: &str, by: char| -> Option<[u64; 3]> {
        let numbers: Option<Vec<u64>> = text.split(by).map(|n| n.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(clock, ':')?);
    let plausible = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !plausible || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Years that begin in March end with the leap day.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = (year * 365 + leap_days + (153 * month + 2) / 5 + day).checked_sub(719_469)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        for (time, wanted) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00+0000", Some(951_825_600)),
            ("2026-11-22T10:00:01Z", Some(1_795_341_601)),
            ("2026-11-22", None),
            ("2026-13-22T10:00:00Z", None),
            ("2026-11-22T10:00:00+0200", None),
            ("x-y-zT1:2:3Z", None),
        ] {
            assert_eq!(seconds(time), wanted, "{time}");
        }
    }

    #[test]
    fn a_key_that_has_run_out_or_does_not_say_when_is_no_key() {
        let ends =
            |when: &str| format!(r#"me:ssh-rsa AAAA google-ssh {{"userName":"me@x","expireOn":"{when}"}}"#);
        let now = seconds("2026-11-22T10:00:00Z").unwrap();
        assert!(key(&ends("2026-11-22T10:00:01+0000"), now).is_some());
        for gone in
            [ends("2026-11-22T10:00:00+0000"), ends("whenever"), "me:ssh-rsa AAAA google-ssh {".into()]
        {
            assert_eq!(key(&gone, now), None, "{gone}");
        }
        assert_eq!(key("me:ssh-rsa AAAA me@host", now), Some(("me", "ssh-rsa AAAA me@host")));
        assert_eq!(key("ssh-rsa AAAA a:b", now), Some(("", "ssh-rsa AAAA a:b")));
    }
}
