//! Where a tree came from: `.source.json`, mode 0600 (a digest of a weak secret tells it).
//!
//! | key | |
//! | --- | --- |
//! | `provider` | who said it |
//! | `version` | of this program |
//! | `instance_id` | what the provider calls this machine, or null |
//! | `time` | when it was written, RFC 3339 in UTC |
//! | `digest` | `sha256:` and the digest of all other files: for each, in order of paths, the path, a NUL, the length in eight bytes, least significant first, and the content |

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::tree::{Entries, Node};

/// The file's name.
pub const FILE: &str = ".source.json";

const DAY: u64 = 24 * 60 * 60;

/// The file for a tree that does not have it yet.
#[must_use]
pub fn node(provider: &str, instance_id: Option<&str>, entries: &Entries, now: SystemTime) -> Node {
    let mut sha256 = Sha256::new();
    digest(entries, "", &mut sha256);
    let digest: String = sha256.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let source = json!({
        "provider": provider,
        "version": env!("CARGO_PKG_VERSION"),
        "instance_id": instance_id,
        "time": rfc_3339(now),
        "digest": format!("sha256:{digest}"),
    });
    Node::file(0o600, format!("{source}\n"))
}

fn digest(entries: &Entries, parent: &str, sha256: &mut Sha256) {
    for (name, node) in entries {
        let path = format!("{parent}{}", name.as_str());
        match node {
            Node::Directory { entries, .. } => digest(entries, &format!("{path}/"), sha256),
            Node::File { content, .. } => {
                sha256.update(path.as_bytes());
                sha256.update([0]);
                sha256.update((content.len() as u64).to_le_bytes());
                sha256.update(content);
            }
        }
    }
}

/// A time in seconds; one before 1970 is 1970, which is what a machine without a clock believes anyway.
fn rfc_3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of the Gregorian calendar from days since 1970. Years are counted from March, so that a leap day is
/// a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 1 March of the year 0
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // 0 is March
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Name;
    use std::time::Duration;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc_3339(UNIX_EPOCH + Duration::from_secs(seconds)), wanted);
        }
    }

    #[test]
    fn the_digest_is_of_paths_and_contents_alone() {
        let tree = |path: &str, content: &str| {
            Entries::from([(Name::new(path).unwrap(), Node::file(0o644, content))])
        };
        let source = |tree: &Entries, now| match node("openstack", Some("i-1"), tree, now) {
            Node::File { content, mode: 0o600, .. } => {
                serde_json::from_slice::<serde_json::Value>(&content).unwrap()
            }
            other => panic!("{other:?}"),
        };
        let one = source(&tree("a", "1"), UNIX_EPOCH);
        // printf 'a\0\001\0\0\0\0\0\0\0001' | sha256sum
        assert_eq!(one["digest"], "sha256:754a4581ef29b322dae5fcc988fe95abdb41810975b70007eefdba49424b8a7f");
        assert_eq!((&one["provider"], &one["instance_id"]), (&"openstack".into(), &"i-1".into()));
        assert_eq!(source(&tree("a", "1"), UNIX_EPOCH + Duration::from_secs(1))["digest"], one["digest"]);
        for other in [tree("a", "2"), tree("b", "1"), tree("a1", ""), Entries::new()] {
            assert_ne!(source(&other, UNIX_EPOCH)["digest"], one["digest"]);
        }
    }
}
