//! `resolv_conf`: a file by resolv.conf(5), if `manage_resolv_conf` asks for it.

use std::net::IpAddr;

use super::value::Yaml;
use super::{Wrong, get, is_true, text};
use crate::hostname;
use crate::tree::{Name, Node};
use crate::user_data::{Gathering, Why};

const KEY: &str = "resolv_conf";
const FILE: &str = "resolv.conf";
const MODE: u32 = 0o644;

/// Reads both keys.
pub(super) fn read(map: &[(String, Yaml)], gathering: &mut Gathering) {
    let wanted = is_true(map, "manage_resolv_conf", gathering);
    match get(map, KEY) {
        None => {}
        Some(_) if !wanted => {
            gathering.ignore(&[KEY], "not written, because manage_resolv_conf is not true");
        }
        Some(Yaml::Map(resolver)) => {
            let lines = lines(resolver, gathering);
            if let Err(why) = add(lines, gathering) {
                gathering.refuse(&[KEY], why);
            }
        }
        Some(_) => gathering.refuse(&[KEY], Wrong::NotMap),
    }
}

fn add(lines: String, gathering: &mut Gathering) -> Result<(), Why> {
    gathering.add_file(&[Name::new(FILE)?], Node::file(MODE, lines), false)
}

fn lines(resolver: &[(String, Yaml)], gathering: &mut Gathering) -> String {
    let mut lines = String::new();
    if let Some(domain) = get(resolver, "domain") {
        match text(domain).filter(|name| hostname::is_valid(name)) {
            Some(name) => lines.extend(["domain ", name, "\n"]),
            None => gathering.refuse(&[KEY, "domain"], Wrong::Domain),
        }
    }
    let domains = list(resolver, "searchdomains", gathering, Wrong::Domain, hostname::is_valid);
    if !domains.is_empty() {
        lines.extend(["search ", &domains.join(" "), "\n"]);
    }
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    for server in list(resolver, "nameservers", gathering, Wrong::Address, is_address) {
        lines.extend(["nameserver ", server, "\n"]);
    }
    if let Some(options) = get(resolver, "options") {
        let options = self::options(options, gathering);
        if !options.is_empty() {
            lines.extend(["options ", &options.join(" "), "\n"]);
        }
    }
    lines
}

/// The texts of a list that `fits`.
fn list<'y>(
    resolver: &'y [(String, Yaml)],
    key: &str,
    gathering: &mut Gathering,
    wrong: Wrong,
    fits: impl Fn(&str) -> bool,
) -> Vec<&'y str> {
    let items = match get(resolver, key) {
        None => return Vec::new(),
        Some(Yaml::List(items)) => items,
        Some(_) => {
            gathering.refuse(&[KEY, key], Wrong::NotList);
            return Vec::new();
        }
    };
    let mut good = Vec::new();
    for item in items {
        match text(item).filter(|text| fits(text)) {
            Some(text) => good.push(text),
            None => gathering.refuse(&[KEY, key], wrong),
        }
    }
    good
}

/// `rotate: true` becomes `rotate`, `timeout: 1` becomes `timeout:1`.
fn options(value: &Yaml, gathering: &mut Gathering) -> Vec<String> {
    let Yaml::Map(options) = value else {
        gathering.refuse(&[KEY, "options"], Wrong::NotMap);
        return Vec::new();
    };
    let mut good = Vec::new();
    for (name, value) in options {
        let named =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b"-0123456789".contains(&b));
        let number = text(value).and_then(|text| text.parse::<u16>().ok());
        match (named, number, super::boolean(value)) {
            (true, Some(number), _) => good.push(format!("{name}:{number}")),
            (true, None, Some(true)) => good.push(name.clone()),
            (true, None, Some(false)) => {}
            _ => gathering.refuse(&[KEY, "options"], Wrong::ResolverOption),
        }
    }
    good
}
