//! `#cloud-config`: what of cloud-init's documented keys means something to an image without users and package manager.
//!
//! | key | becomes |
//! | --- | --- |
//! | `hostname`, `fqdn`, `prefer_fqdn_over_hostname`, `preserve_hostname` | the host name |
//! | `ssh_authorized_keys`, `users[].ssh_authorized_keys` | lines of `ssh/authorized_keys`: whoever has one gets in |
//! | `write_files` | `files/PATH`; what is below `/var/config` or `/run/config` goes there |
//! | `ntp` | `ntp/servers`, `ntp/pools`: one a line |
//! | `manage_resolv_conf`, `resolv_conf` | `resolv.conf` |
//!
//! Any other key is named and ignored.

mod files;
mod flow;
mod name_servers;
mod time_servers;
mod value;
mod yaml;

use thiserror::Error;

use super::{Form, Gathering, Why};
use value::Yaml;
pub use value::{Fault, YamlError};

pub(super) const FORM: Form = Form { fits, read };

const HEADER: &[u8] = b"#cloud-config";

/// Says how a key is read.
type Reader = fn(&Yaml, &mut Gathering);

/// Every key that is acted on.
const KEYS: &[(&str, Reader)] = &[
    ("hostname", |_, _| ()), // the four of them together: see `hostname`
    ("fqdn", |_, _| ()),
    ("prefer_fqdn_over_hostname", |_, _| ()),
    ("preserve_hostname", |_, _| ()),
    ("ssh_authorized_keys", |value, gathering| keys("ssh_authorized_keys", value, gathering)),
    ("users", users),
    ("write_files", files::read),
    ("ntp", time_servers::read),
    ("manage_resolv_conf", |_, _| ()), // with the next
    ("resolv_conf", |_, _| ()),
];

/// What is wrong with a document or a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Wrong {
    /// The text.
    #[error("not the YAML that is read here, {0}")]
    Yaml(#[from] YamlError),
    /// Something else than keys with values.
    #[error("must be a map")]
    NotMap,
    /// A list.
    #[error("must be a list")]
    NotList,
    /// A text.
    #[error("must be a text")]
    NotText,
    /// Yes or no.
    #[error("must be true or false")]
    NotBool,
    /// `path`.
    #[error("\"path\" must be an absolute path of a file")]
    Path,
    /// `permissions`.
    #[error("\"permissions\" must be octal digits in quotes such as '0644'")]
    Permissions,
    /// `owner`.
    #[error("\"owner\" must be root or numbers such as '1000:1000': an image's users are not known here")]
    Owner,
    /// `encoding`.
    #[error("unknown \"encoding\"; b64, gzip and gz+b64 are known")]
    Encoding,
    /// A server.
    #[error("neither a host name nor an address")]
    Server,
    /// A name server.
    #[error("not an address")]
    Address,
    /// A domain.
    #[error("not a domain")]
    Domain,
    /// An option of the resolver.
    #[error("not an option's name with a number or a yes")]
    ResolverOption,
}

/// Whether the first line is the header, whatever blanks follow it.
fn fits(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(HEADER);
    rest.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace))
}

/// Reads a document, with or without the header.
pub(super) fn read(bytes: &[u8], gathering: &mut Gathering) {
    let Ok(text) = std::str::from_utf8(bytes) else { return gathering.refuse(&[], Why::NotText) };
    let map = match yaml::parse(text) {
        Ok(Yaml::Map(map)) => map,
        Ok(Yaml::Null) => return,
        Ok(_) => return gathering.refuse(&[], Wrong::NotMap),
        Err(error) => return gathering.refuse(&[], Wrong::from(error)),
    };
    for (key, value) in &map {
        match KEYS.iter().find(|(known, _)| known == key) {
            Some((_, read)) => read(value, gathering),
            None => gathering.ignore(&[key], "a key that is not acted on here"),
        }
    }
    hostname(&map, gathering);
    name_servers::read(&map, gathering);
}

/// The machine's name from the four keys that are about it.
fn hostname(map: &[(String, Yaml)], gathering: &mut Gathering) {
    let mut yes = |key| is_true(map, key, gathering);
    if yes("preserve_hostname") {
        return;
    }
    let prefer = yes("prefer_fqdn_over_hostname");
    let mut name = |key| {
        let value = get(map, key)?;
        let text = text(value).map(str::to_owned);
        if text.is_none() {
            gathering.refuse(&[key], Wrong::NotText);
        }
        text
    };
    let (short, full) = (name("hostname"), name("fqdn"));
    let name = if prefer { full.or(short) } else { short.or(full) };
    gathering.found.hostname = name.or(gathering.found.hostname.take());
}

fn users(value: &Yaml, gathering: &mut Gathering) {
    let Yaml::List(users) = value else { return gathering.refuse(&["users"], Wrong::NotList) };
    for user in users {
        // A text is a name (`default`), for which there is nothing to do.
        if let Yaml::Map(user) = user {
            for (_, value) in user.iter().filter(|(key, _)| key.replace('-', "_") == "ssh_authorized_keys") {
                keys("users", value, gathering);
            }
        }
    }
}

fn keys(key: &str, value: &Yaml, gathering: &mut Gathering) {
    let Yaml::List(keys) = value else { return gathering.refuse(&[key], Wrong::NotList) };
    for value in keys {
        match text(value) {
            Some(text) => gathering.found.keys.push(text.to_owned()),
            None => gathering.refuse(&[key], Wrong::NotText),
        }
    }
}

/// A key's value, unless it is null.
fn get<'y>(map: &'y [(String, Yaml)], key: &str) -> Option<&'y Yaml> {
    map.iter().find(|(known, _)| known == key).map(|(_, value)| value).filter(|value| **value != Yaml::Null)
}

fn text(value: &Yaml) -> Option<&str> {
    match value {
        Yaml::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// As YAML 1.1 has it, which is what cloud-init reads.
fn boolean(value: &Yaml) -> Option<bool> {
    match text(value)?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn is_true(map: &[(String, Yaml)], key: &str, gathering: &mut Gathering) -> bool {
    let Some(value) = get(map, key) else { return false };
    boolean(value).unwrap_or_else(|| {
        gathering.refuse(&[key], Wrong::NotBool);
        false
    })
}

#[cfg(test)]
mod tests;
