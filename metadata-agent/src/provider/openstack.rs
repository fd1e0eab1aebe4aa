//! OpenStack: nova's own documents below `/openstack/latest`, and its EC2 view for what those don't say.
//!
//! Sources: nova's user documentation, "Metadata service", and what nova 34 serves. A document that is not there
//! answers 404: no key, no user-data and no public address are as normal as any.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::{Problem, Provider, Reading};
use crate::ec2_tree;
use crate::fetch::{FetchError, Fetcher};
use crate::metadata::Fact;
use crate::user_data;

const META_DATA: &str = "/openstack/latest/meta_data.json";
const NETWORK_DATA: &str = "/openstack/latest/network_data.json";
const VENDOR_DATA: &str = "/openstack/latest/vendor_data.json";
const USER_DATA: &str = "/openstack/latest/user_data";
const BOTH_TREES: &str = "/openstack/latest/meta_data.json, /latest/meta-data/hostname";

/// Largest JSON document, in bytes. Nova's are a few kilobytes; `meta` may bring 128 values of 255 characters.
const MAX_JSON: usize = 1024 * 1024;

/// OpenStack's nova.
#[derive(Debug, Clone, Copy)]
pub struct OpenStack;

impl Provider for OpenStack {
    fn name(&self) -> &'static str {
        "openstack"
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::new(169, 254, 169, 254), 80).into()
    }

    fn read(&self, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        let mut session = Session { http, reading: Reading::default() };
        if session.own_documents()? {
            session.ec2_facts();
        } else {
            session.ec2_alone()?;
        }
        Ok(session.reading)
    }
}

struct Session<'h, 'c> {
    http: &'h mut Fetcher<'c>,
    reading: Reading,
}

impl Session<'_, '_> {
    /// Everything below `/openstack`; false if there is nothing.
    fn own_documents(&mut self) -> Result<bool, FetchError> {
        match self.http.get(META_DATA, MAX_JSON) {
            Ok(None) => return Ok(false),
            Ok(Some(bytes)) => self.meta_data(bytes),
            Err(error) if error.is_absence() || error.is_refusal() => return Err(error),
            Err(error) => self.problem(error),
        }
        self.user_data(USER_DATA);
        self.json_document(NETWORK_DATA, "network_data.json", 0o644);
        self.json_document(VENDOR_DATA, "vendor_data.json", 0o600);
        Ok(true)
    }

    fn meta_data(&mut self, bytes: Vec<u8>) {
        let Some(document) = self.parse(META_DATA, &bytes) else { return };
        for (key, fact) in [("hostname", Fact::Hostname), ("availability_zone", Fact::AvailabilityZone)] {
            if let Some(value) = document.get(key).and_then(Value::as_str) {
                self.fact(fact, value.as_bytes());
            }
        }
        for (name, key) in ssh_keys(&document) {
            self.key(name, key.as_bytes());
        }
        self.uuid(&document);
        self.reading.metadata.keep_document("meta_data.json", 0o600, bytes);
    }

    /// The UUID stands in for the EC2 instance id until that is read: a cloud may serve no EC2 view.
    fn uuid(&mut self, document: &Value) {
        if let Some(uuid) = document.get("uuid").and_then(Value::as_str) {
            self.fact(Fact::InstanceId, uuid.as_bytes());
        }
    }

    /// What the EC2 view alone says: addresses, type, and the id that LinuxKit shows.
    fn ec2_facts(&mut self) {
        for &(fact, path) in ec2_tree::FACTS {
            let known = self.reading.metadata.get(fact).is_some() && fact != Fact::InstanceId;
            if !known && let Some(value) = self.document(path, ec2_tree::MAX_VALUE) {
                self.fact(fact, &value);
            }
        }
    }

    /// An old or foreign service without `/openstack`.
    fn ec2_alone(&mut self) -> Result<(), FetchError> {
        match self.http.get(ec2_tree::HOSTNAME, ec2_tree::MAX_VALUE)? {
            Some(value) => self.fact(Fact::Hostname, &value),
            None => return Err(FetchError::NotThere { address: self.http.address(), paths: BOTH_TREES }),
        }
        self.ec2_facts();
        match ec2_tree::public_keys(self.http) {
            Ok(keys) => keys.iter().for_each(|(name, key)| self.key(name, key)),
            Err(error) => self.problem(error),
        }
        self.user_data(ec2_tree::USER_DATA);
        Ok(())
    }

    fn user_data(&mut self, path: &str) {
        if self.http.out_of_time() {
            return;
        }
        match self.http.get(path, user_data::MAX_SIZE) {
            Ok(user_data) => self.reading.metadata.user_data = user_data,
            Err(error) => self.problem(Problem::UserData(error)),
        }
    }

    fn json_document(&mut self, path: &'static str, name: &'static str, mode: u32) {
        let Some(bytes) = self.document(path, MAX_JSON) else { return };
        // `{}` is how nova says that there is none.
        if self.parse(path, &bytes).is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty())) {
            self.reading.metadata.keep_document(name, mode, bytes);
        }
    }

    /// A document that need not be there. Once the time is up, nothing more is asked: one complaint is enough.
    fn document(&mut self, path: &str, limit: usize) -> Option<Vec<u8>> {
        if self.http.out_of_time() {
            return None;
        }
        self.http.get(path, limit).unwrap_or_else(|error| {
            self.problem(error);
            None
        })
    }

    fn parse(&mut self, path: &'static str, bytes: &[u8]) -> Option<Value> {
        serde_json::from_slice(bytes)
            .map_err(|e| self.problem(Problem::NotJson { path, line: e.line(), column: e.column() }))
            .ok()
    }

    fn fact(&mut self, fact: Fact, value: &[u8]) {
        if let Err(invalid) = self.reading.metadata.set(fact, value) {
            self.problem(invalid);
        }
    }

    fn key(&mut self, name: &str, key: &[u8]) {
        if let Err(invalid) = self.reading.metadata.add_key(name, key) {
            self.problem(invalid);
        }
    }

    fn problem(&mut self, problem: impl Into<Problem>) {
        self.reading.problems.push(problem.into());
    }
}

/// Names and keys of `public_keys`, without those that `keys` says are none of ssh's (X.509 certificates).
fn ssh_keys(document: &Value) -> Vec<(&str, &str)> {
    let text = |value: &'_ Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let foreign: BTreeSet<String> = document
        .get("keys")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter(|key| text(key, "type").is_some_and(|kind| kind != "ssh"))
        .filter_map(|key| text(key, "name"))
        .collect();
    let keys = document.get("public_keys").and_then(Value::as_object).into_iter().flatten();
    keys.filter(|(name, _)| !foreign.contains(name.as_str()))
        .filter_map(|(name, key)| Some((name.as_str(), key.as_str()?)))
        .collect()
}
