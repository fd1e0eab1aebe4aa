//! What whoever starts a virtual machine gives it as system credentials, by qemu's firmware configuration device or in
//! SMBIOS strings: no network, no disk.
//!
//! ```text
//! -fw_cfg name=opt/io.systemd.credentials/NAME,file=…
//! -smbios type=11,value=io.systemd.credential:NAME=VALUE          text
//! -smbios type=11,value=io.systemd.credential.binary:NAME=VALUE   base64
//! ```
//!
//! | name | |
//! | --- | --- |
//! | `system.hostname`, `firstboot.hostname` | host name |
//! | `ssh.authorized_keys.root` | keys, one a line |
//! | `metadata.instance-id` | instance id |
//! | `metadata.user-data` | user-data |
//!
//! Sources: systemd.system-credentials(7) for the first three, smbios-type-11(7), qemu's `docs/specs/fw_cfg`. The last two
//! names are this agent's.

use std::collections::BTreeMap;

use super::smbios::{MAX_TABLES, oem_strings};
use super::{Problem, Provider, Reading};
use crate::encoding;
use crate::fetch::{FetchError, Fetcher};
use crate::local::{Local, read_bytes};
use crate::metadata::Fact;
use crate::user_data;

const FW_CFG: &str = "firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials";
const TABLES: &str = "firmware/dmi/tables/DMI";
const TEXT: &str = "io.systemd.credential:";
const BINARY: &str = "io.systemd.credential.binary:";

const HOSTNAMES: [&str; 2] = ["system.hostname", "firstboot.hostname"];
const KEYS: &str = "ssh.authorized_keys.root";
const INSTANCE_ID: &str = "metadata.instance-id";
const USER_DATA: &str = "metadata.user-data";

/// System credentials.
#[derive(Debug, Clone, Copy)]
pub struct Qemu;

impl Provider for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn read_local(&self, local: &Local) -> Result<Option<Reading>, FetchError> {
        let tables = read_bytes(&local.sys.join(TABLES), MAX_TABLES).unwrap_or_default();
        let mut reading = Reading::default();
        let mut credentials = from_strings(&oem_strings(&tables), &mut reading);
        // The device's are not limited in what they can carry, and come first.
        for name in HOSTNAMES.into_iter().chain([KEYS, INSTANCE_ID, USER_DATA]) {
            let raw = local.sys.join(FW_CFG).join(name).join("raw");
            if let Some(value) = read_bytes(&raw, user_data::MAX_SIZE) {
                credentials.insert(name.to_owned(), value);
            }
        }
        take(&credentials, &mut reading);
        Ok((!credentials.is_empty()).then_some(reading))
    }

    fn read(&self, _: &Local, _: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        Err(FetchError::NotHere("no credentials from whoever has started it"))
    }
}

/// Those of our names that the strings give.
fn from_strings(strings: &[String], reading: &mut Reading) -> BTreeMap<String, Vec<u8>> {
    let known = |name: &str| HOSTNAMES.contains(&name) || [KEYS, INSTANCE_ID, USER_DATA].contains(&name);
    let mut credentials = BTreeMap::new();
    for string in strings {
        let (credential, encoded) = match (string.strip_prefix(TEXT), string.strip_prefix(BINARY)) {
            (Some(credential), _) => (credential, false),
            (None, Some(credential)) => (credential, true),
            (None, None) => continue,
        };
        let Some((name, value)) = credential.split_once('=').filter(|(name, _)| known(name)) else {
            continue;
        };
        let value = if encoded {
            encoding::base64(value.as_bytes(), user_data::MAX_SIZE)
        } else {
            Ok(value.as_bytes().to_vec())
        };
        match value {
            Ok(value) => {
                credentials.insert(name.to_owned(), value);
            }
            Err(why) => reading.problems.push(Problem::Undecodable { what: "an SMBIOS credential", why }),
        }
    }
    credentials
}

fn take(credentials: &BTreeMap<String, Vec<u8>>, reading: &mut Reading) {
    let hostname = HOSTNAMES.iter().find_map(|name| credentials.get(*name));
    for (fact, value) in [(Fact::Hostname, hostname), (Fact::InstanceId, credentials.get(INSTANCE_ID))] {
        if let Some(Err(invalid)) = value.map(|value| reading.metadata.set(fact, value)) {
            reading.problems.push(invalid.into());
        }
    }
    for (index, key) in credentials.get(KEYS).into_iter().flat_map(|k| k.split(|&b| b == b'\n')).enumerate() {
        if let Err(invalid) = reading.metadata.add_key(&format!("in line {}", index + 1), key) {
            reading.problems.push(invalid.into());
        }
    }
    reading.metadata.user_data = credentials.get(USER_DATA).cloned();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_come_as_text_and_as_base64() {
        let strings = [
            "io.systemd.credential:system.hostname=web-1",
            "io.systemd.credential.binary:ssh.authorized_keys.root=c3NoLXJzYSBBCnNzaC1yc2EgQgo=",
            "io.systemd.credential:metadata.user-data=#cloud-config",
            "io.systemd.credential:passwd.hashed-password.root=x",
            "io.systemd.credential.binary:metadata.instance-id=**",
            "other",
        ]
        .map(str::to_owned);
        let mut reading = Reading::default();
        let credentials = from_strings(&strings, &mut reading);
        take(&credentials, &mut reading);
        assert_eq!(reading.metadata.get(Fact::Hostname), Some("web-1"));
        assert_eq!(reading.metadata.key_count(), 2);
        assert_eq!(reading.metadata.user_data.as_deref(), Some(&b"#cloud-config"[..]));
        assert_eq!(reading.problems.len(), 1);
    }
}
