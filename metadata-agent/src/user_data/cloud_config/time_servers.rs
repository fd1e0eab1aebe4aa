//! `ntp`: time servers, as lists for the image's own daemon to take.

use std::net::IpAddr;

use super::value::Yaml;
use super::{Wrong, get, text};
use crate::hostname;
use crate::tree::{Name, Node};
use crate::user_data::{Gathering, Why};

const KEY: &str = "ntp";
const LISTS: [&str; 2] = ["servers", "pools"];
const MODE: u32 = 0o644;

/// Reads both lists, unless `enabled` says no.
pub(super) fn read(value: &Yaml, gathering: &mut Gathering) {
    let map = match value {
        Yaml::Map(map) => map,
        Yaml::Null => return, // cloud-init's default servers; here the image has its own
        _ => return gathering.refuse(&[KEY], Wrong::NotMap),
    };
    if get(map, "enabled").is_some_and(|value| super::boolean(value) == Some(false)) {
        return;
    }
    for list in LISTS {
        let Some(value) = get(map, list) else { continue };
        let lines = servers(value, list, gathering);
        if let Err(why) = add(list, lines, gathering) {
            gathering.refuse(&[KEY, list], why);
        }
    }
}

fn servers(value: &Yaml, list: &str, gathering: &mut Gathering) -> String {
    let Yaml::List(servers) = value else {
        gathering.refuse(&[KEY, list], Wrong::NotList);
        return String::new();
    };
    let mut lines = String::new();
    for server in servers {
        match text(server).filter(|name| hostname::is_valid(name) || name.parse::<IpAddr>().is_ok()) {
            Some(name) => lines.extend([name, "\n"]),
            None => gathering.refuse(&[KEY, list], Wrong::Server),
        }
    }
    lines
}

fn add(list: &str, lines: String, gathering: &mut Gathering) -> Result<(), Why> {
    if lines.is_empty() {
        return Ok(());
    }
    gathering.add_file(&[Name::new(KEY)?, Name::new(list)?], Node::file(MODE, lines), false)
}
