//! The metadata tree that EC2 invented and others serve too: `/latest/meta-data/KEY`, one value a document.

use super::session::{MAX_VALUE, Session};
use crate::metadata::Fact;

/// The document that is always there where the tree is.
pub const HOSTNAME: &str = "/latest/meta-data/hostname";

/// Every fact and its document.
pub const FACTS: &[(Fact, &str)] = &[
    (Fact::Hostname, HOSTNAME),
    (Fact::LocalHostname, "/latest/meta-data/local-hostname"),
    (Fact::PublicIpv4, "/latest/meta-data/public-ipv4"),
    (Fact::LocalIpv4, "/latest/meta-data/local-ipv4"),
    (Fact::AvailabilityZone, "/latest/meta-data/placement/availability-zone"),
    (Fact::InstanceType, "/latest/meta-data/instance-type"),
    (Fact::InstanceId, "/latest/meta-data/instance-id"),
];

/// Raw user-data.
pub const USER_DATA: &str = "/latest/user-data";

const PUBLIC_KEYS: &str = "/latest/meta-data/public-keys/";
/// Keys that are asked for: each is a request.
const MAX_KEYS: usize = 64;

/// Takes all public keys, each with its name.
pub fn public_keys(session: &mut Session<'_>) {
    let Some(listing) = session.document(PUBLIC_KEYS, MAX_VALUE) else { return };
    for (index, name) in parse_listing(&String::from_utf8_lossy(&listing)) {
        if let Some(key) = session.document(&format!("{PUBLIC_KEYS}{index}/openssh-key"), MAX_VALUE) {
            session.key(&name, &key);
        }
    }
}

/// Lines `INDEX=NAME`; others are no keys.
fn parse_listing(listing: &str) -> Vec<(u16, String)> {
    let line = |line: &str| {
        let (index, name) = line.split_once('=')?;
        Some((index.parse().ok()?, name.trim().to_owned()))
    };
    listing.lines().filter_map(line).take(MAX_KEYS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_keys_gives_indices_and_names_and_nothing_that_could_alter_a_request() {
        let listing = "0=mine\n1=his key \n../x=evil\n2 HTTP/1.1=evil\nnonsense\n70000=too large\n12=last";
        let wanted = [(0, "mine"), (1, "his key"), (12, "last")].map(|(i, n)| (i, n.to_owned()));
        assert_eq!(parse_listing(listing), wanted);
        assert_eq!(parse_listing(&"1=k\n".repeat(1000)).len(), MAX_KEYS);
    }
}
