//! What a cloud can say about a machine, and the files that it becomes. Every provider fills the same form.
//!
//! | file | mode | |
//! | --- | --- | --- |
//! | `provider` | 0644 | who said it |
//! | [`Fact::ALL`]: `hostname`, `local_ipv4`, `instance_id`… | 0644 | one line, without its end; absent when not said |
//! | `ssh/authorized_keys` | 0600 in 0700 | a key a line; empty when there is none, so that it can be bound |
//! | `userdata` | 0600 | as the user gave it |
//! | [`Document::ALL`] | 0600; what tells the network 0644 | as the service gave it; most can hold passwords and random seeds |
//!
//! Names and contents are LinuxKit's (its `pkg/metadata`), except for the documents.

mod document;
mod fact;

use std::collections::BTreeMap;

use thiserror::Error;

use crate::tree::{Entries, Name, NameError, Node};

pub use document::Document;
pub use fact::Fact;

/// Top-level names that metadata writes and user-data must not.
pub const RESERVED: &[&str] = &[
    PROVIDER,
    SSH,
    USER_DATA,
    "hostname",
    "local_hostname",
    "public_ipv4",
    "local_ipv4",
    "private_ipv4",
    "private_netmask",
    "public_ip",
    "private_ip",
    "availability_zone",
    "failure_domain",
    "instance_location",
    "region",
    "region_code",
    "instance_type",
    "machine_type",
    "instance_id",
    "machine_id",
    "id",
    "meta_data.json",
    "network_data.json",
    "vendor_data.json",
    "vendor_data2.json",
    "password",
    "metadata",
    "network-config",
    "vendor-data",
];

/// The file that says where the metadata came from.
pub const PROVIDER: &str = "provider";
/// The file with raw user-data.
pub const USER_DATA: &str = "userdata";
const SSH: &str = "ssh";
const AUTHORIZED_KEYS: &str = "authorized_keys";

/// Longest public key with its options and comment, in bytes: sshd's own limit for a line.
const MAX_KEY: usize = 8192;
/// Public keys.
const MAX_KEYS: usize = 256;

/// Something that the cloud said and that is not written. Says which, and not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {why}; left out")]
pub struct Invalid {
    /// The file or key that it would have been.
    pub what: String,
    /// What is wrong.
    pub why: &'static str,
}

/// What a provider has found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    facts: BTreeMap<Fact, String>,
    authorized_keys: Vec<String>,
    documents: BTreeMap<Document, Vec<u8>>,
    /// Raw user-data; none when there is none.
    pub user_data: Option<Vec<u8>>,
}

impl Metadata {
    /// Notes a fact, trimmed, unless it is empty.
    ///
    /// # Errors
    /// [`Invalid`] when it can't be what it says; it is left out then.
    pub fn set(&mut self, fact: Fact, value: &[u8]) -> Result<(), Invalid> {
        let invalid = |why| Invalid { what: fact.file_name().to_owned(), why };
        let value = std::str::from_utf8(value).map_err(|_| invalid("is not text"))?.trim();
        if value.is_empty() {
            return Ok(());
        }
        fact.check(value).map_err(invalid)?;
        self.facts.insert(fact, value.to_owned());
        Ok(())
    }

    /// A fact, if it is known.
    #[must_use]
    pub fn get(&self, fact: Fact) -> Option<&str> {
        self.facts.get(&fact).map(String::as_str)
    }

    /// Adds a public key, once.
    ///
    /// # Errors
    /// [`Invalid`] when it is not one printable line; `name` is what the message calls it.
    pub fn add_key(&mut self, name: &str, key: &[u8]) -> Result<(), Invalid> {
        let invalid = |why| Invalid { what: format!("public key {}", crate::tree::Quoted(name)), why };
        let key = std::str::from_utf8(key).map_err(|_| invalid("is not text"))?.trim();
        match key {
            "" => return Ok(()),
            _ if key.chars().any(|c| c.is_control() && c != '\t') => {
                return Err(invalid("is not a single line"));
            }
            _ if !key.contains([' ', '\t']) => return Err(invalid("is no public key")),
            _ if key.len() > MAX_KEY => return Err(invalid("is too long")),
            _ if self.authorized_keys.len() >= MAX_KEYS => return Err(invalid("is one too many")),
            _ => {}
        }
        if !self.authorized_keys.iter().any(|known| known == key) {
            self.authorized_keys.push(key.to_owned());
        }
        Ok(())
    }

    /// How many keys there are.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.authorized_keys.len()
    }

    /// Keeps a document as it came.
    pub fn keep(&mut self, document: Document, content: Vec<u8>) {
        self.documents.insert(document, content);
    }

    /// A document, if there is one.
    #[must_use]
    pub fn document(&self, document: Document) -> Option<&[u8]> {
        self.documents.get(&document).map(Vec::as_slice)
    }

    /// The files of all this, said by `provider`; user-data's own files are for [`crate::user_data`].
    ///
    /// # Errors
    /// Never for the names that this crate uses.
    pub fn entries(&self, provider: &str) -> Result<Entries, NameError> {
        let mut entries = without_metadata()?;
        entries.insert(Name::new(PROVIDER)?, Node::file(0o644, provider));
        for (fact, value) in &self.facts {
            entries.insert(Name::new(fact.file_name())?, Node::file(0o644, value.as_str()));
        }
        for (document, content) in &self.documents {
            let (name, mode) = document.file();
            entries.insert(Name::new(name)?, Node::file(mode, content.as_slice()));
        }
        if let Some(user_data) = &self.user_data {
            entries.insert(Name::new(USER_DATA)?, Node::file(0o600, user_data.as_slice()));
        }
        if !self.authorized_keys.is_empty() {
            let lines: String = self.authorized_keys.iter().map(|key| format!("{key}\n")).collect();
            entries.insert(Name::new(SSH)?, ssh(Node::file(0o600, lines))?);
        }
        Ok(entries)
    }
}

/// What is there even when nobody says anything: an empty `ssh/authorized_keys`, for those who bind it.
///
/// # Errors
/// Never for the names that this crate uses.
pub fn without_metadata() -> Result<Entries, NameError> {
    Ok(Entries::from([(Name::new(SSH)?, ssh(Node::placeholder(0o600))?)]))
}

fn ssh(authorized_keys: Node) -> Result<Node, NameError> {
    Ok(Node::directory(0o700, Entries::from([(Name::new(AUTHORIZED_KEYS)?, authorized_keys)])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_trimmed_checked_and_absent_when_empty() {
        let mut metadata = Metadata::default();
        for (fact, value, wanted) in [
            (Fact::Hostname, " web-1.novalocal\n", Some("web-1.novalocal")),
            (Fact::PublicIpv4, "", None),
            (Fact::LocalIpv4, "10.77.0.5", Some("10.77.0.5")),
            (Fact::InstanceType, "m1 tiny, ünïcode", Some("m1 tiny, ünïcode")),
        ] {
            assert_eq!(metadata.set(fact, value.as_bytes()), Ok(()));
            assert_eq!(metadata.get(fact), wanted);
        }
        let long = "x".repeat(254);
        for (fact, value, why) in [
            (Fact::Hostname, "a;reboot".as_bytes(), "is not a host name by RFC 1123"),
            (Fact::LocalHostname, b"<html>", "is not a host name by RFC 1123"),
            (Fact::PublicIpv4, b"10.0.0.256", "is not an IPv4 address"),
            (Fact::InstanceType, b"a\nb", "has control characters"),
            (Fact::InstanceId, long.as_bytes(), "is too long"),
            (Fact::InstanceId, b"\xff", "is not text"),
        ] {
            assert_eq!(metadata.set(fact, value).unwrap_err().why, why);
        }
        assert_eq!(metadata.get(Fact::Hostname), Some("web-1.novalocal"), "a bad value replaced a good one");
    }

    #[test]
    fn keys_are_single_lines_and_each_is_there_once() {
        let mut metadata = Metadata::default();
        for key in ["ssh-ed25519 AAAA a@b\n", "ssh-ed25519 AAAA a@b", "ssh-rsa BBBB ünï", "\n"] {
            assert_eq!(metadata.add_key("k", key.as_bytes()), Ok(()));
        }
        for (key, why) in [
            ("ssh-ed25519 AAAA\nssh-ed25519 BBBB".as_bytes(), "is not a single line"),
            (b"ssh-ed25519 \x1b[2J", "is not a single line"),
            (b"ssh-ed25519", "is no public key"),
            (b"\xff\xfe", "is not text"),
            ("ssh-rsa ".repeat(2000).as_bytes(), "is too long"),
        ] {
            assert_eq!(metadata.add_key("k", key).unwrap_err().why, why);
        }
        let entries = metadata.entries("openstack").unwrap();
        let wanted = ssh(Node::file(0o600, "ssh-ed25519 AAAA a@b\nssh-rsa BBBB ünï\n")).unwrap();
        assert_eq!(entries[&Name::new("ssh").unwrap()], wanted);
    }

    #[test]
    fn every_name_that_is_written_is_reserved() {
        let mut metadata = Metadata { user_data: Some(vec![]), ..Metadata::default() };
        for &(fact, _) in Fact::ALL {
            // An address is a valid host name and a valid anything.
            metadata.set(fact, b"1.2.3.4").unwrap();
        }
        for &(document, ..) in Document::ALL {
            metadata.keep(document, vec![]);
        }
        let entries = metadata.entries("openstack").unwrap();
        let mut names: Vec<_> = entries.keys().map(Name::as_str).collect();
        let mut reserved = RESERVED.to_vec();
        names.sort_unstable();
        reserved.sort_unstable();
        assert_eq!(names, reserved);
    }

    #[test]
    fn without_metadata_there_is_an_empty_authorized_keys_that_replaces_nothing() {
        let entries = without_metadata().unwrap();
        assert_eq!(
            entries,
            Entries::from([(Name::new("ssh").unwrap(), ssh(Node::placeholder(0o600)).unwrap())])
        );
    }
}
