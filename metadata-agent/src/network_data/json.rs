//! Reads the document. Its schema is nova's ("network_data.json", OpenStack Compute's user documentation), and what
//! clouds send: `null` for what is not there, masks as numbers, addresses with their length.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::{Kind, Link, Mac, Network, Plan, Problem, Route, Wrong};

const MAX_LINKS: usize = 64;
const MAX_NETWORKS: usize = 256;
const MAX_ROUTES: usize = 256;
const MAX_NAME_SERVERS: usize = 16;
/// What an interface takes, in bytes: IPv4 needs the least.
const MTUS: std::ops::RangeInclusive<u64> = 68..=65_536;

/// The bonding driver's modes, by number.
const MODES: [&str; 7] =
    ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
/// Its policies for choosing a link, by number.
const POLICIES: [&str; 6] = ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"];

type Object = Map<String, Value>;

pub(super) fn plan(bytes: &[u8]) -> (Plan, Vec<Problem>) {
    let mut reader = Reader::default();
    match serde_json::from_slice::<Object>(bytes) {
        Ok(document) => reader.read(&document),
        Err(error) => {
            let why = Wrong::Syntax { line: error.line(), column: error.column() };
            reader.problems.push(Problem { place: "the document".to_owned(), why });
        }
    }
    (reader.plan, reader.problems)
}

#[derive(Default)]
struct Reader {
    plan: Plan,
    /// Places of links, by their id.
    places: BTreeMap<String, usize>,
    problems: Vec<Problem>,
}

impl Reader {
    fn read(&mut self, document: &Object) {
        let links = self.list(document, "links", MAX_LINKS);
        // Bonds need physical links, VLANs need either.
        let rank = |link: &Object| match text(link, "type") {
            Some("bond") => 1,
            Some("vlan") => 2,
            _ => 0,
        };
        for wanted in 0..=2 {
            for (index, link) in links.iter().filter(|(_, link)| rank(link) == wanted) {
                let added = self.link(link, wanted);
                self.note("links", *index, added);
            }
        }
        for (index, network) in self.list(document, "networks", MAX_NETWORKS) {
            let added = self.network(network);
            self.note("networks", index, added);
            self.services(network);
        }
        self.services(document);
    }

    fn note(&mut self, list: &str, index: usize, result: Result<(), Wrong>) {
        if let Err(why) = result {
            self.problems.push(Problem { place: format!("{list}[{index}]"), why });
        }
    }

    /// The maps in a list, each with its place in it.
    fn list<'d>(&mut self, from: &'d Object, name: &'static str, most: usize) -> Vec<(usize, &'d Object)> {
        let values = from.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if values.len() > most {
            self.problems.push(Problem { place: name.to_owned(), why: Wrong::TooMany(most) });
        }
        let maps = values.iter().take(most).enumerate();
        maps.filter_map(|(index, value)| Some((index, value.as_object()?))).collect()
    }

    fn link(&mut self, link: &Object, rank: usize) -> Result<(), Wrong> {
        let id = text(link, "id").ok_or(Wrong::Field("id"))?;
        if self.places.contains_key(id) {
            return Err(Wrong::Twice);
        }
        let (kind, mac) = match rank {
            1 => (self.bond(link)?, optional_mac(link, "ethernet_mac_address")?),
            2 => (self.vlan(link)?, optional_mac(link, "vlan_mac_address")?),
            _ => {
                let mac = optional_mac(link, "ethernet_mac_address")?;
                (Kind::Physical, Some(mac.ok_or(Wrong::Field("ethernet_mac_address"))?))
            }
        };
        let mtu = match present(link, "mtu") {
            None => None,
            Some(value) => {
                let mtu = value.as_u64().filter(|mtu| MTUS.contains(mtu)).ok_or(Wrong::Field("mtu"))?;
                u32::try_from(mtu).ok()
            }
        };
        self.places.insert(id.to_owned(), self.plan.links.len());
        let (addresses, routes) = (Vec::new(), Vec::new());
        self.plan.links.push(Link { id: id.to_owned(), kind, mac, mtu, addresses, routes });
        Ok(())
    }

    fn bond(&self, link: &Object) -> Result<Kind, Wrong> {
        let members =
            present(link, "bond_links").and_then(Value::as_array).ok_or(Wrong::Field("bond_links"))?;
        let place = |id: &Value| {
            let place = *self.places.get(id.as_str()?)?;
            let is_physical = self.plan.links.get(place)?.kind == Kind::Physical;
            is_physical.then_some(place)
        };
        let members: Option<Vec<_>> = members.iter().map(place).collect();
        let members = members.filter(|members| !members.is_empty()).ok_or(Wrong::Link("bond_links"))?;
        let mode = number_of(link, "bond_mode", &MODES)?.unwrap_or_default();
        let hash = number_of(link, "bond_xmit_hash_policy", &POLICIES)?;
        let monitor = match present(link, "bond_miimon") {
            None => None,
            Some(value) => Some(number(value).ok_or(Wrong::Field("bond_miimon"))?),
        };
        let bonds = self.plan.links.iter().filter(|link| matches!(link.kind, Kind::Bond { .. })).count();
        Ok(Kind::Bond { name: format!("bond{bonds}"), mode, monitor, hash, members })
    }

    fn vlan(&self, link: &Object) -> Result<Kind, Wrong> {
        let parent = text(link, "vlan_link").and_then(|id| self.places.get(id));
        let parent = *parent.ok_or(Wrong::Link("vlan_link"))?;
        let number = present(link, "vlan_id").and_then(number::<u16>);
        let number = number.filter(|id| (1..=4094).contains(id)).ok_or(Wrong::Field("vlan_id"))?;
        Ok(Kind::Vlan { parent, number })
    }

    fn network(&mut self, network: &Object) -> Result<(), Wrong> {
        let place = text(network, "link").and_then(|id| self.places.get(id));
        let place = *place.ok_or(Wrong::Link("link"))?;
        // Everything else is had from elsewhere: ipv4_dhcp, ipv6_slaac, ipv6_dhcpv6-stateful…
        if !matches!(text(network, "type"), Some("ipv4" | "ipv6")) {
            return Ok(());
        }
        let mask = text(network, "netmask");
        let address = text(network, "ip_address").and_then(|address| Network::parse(address, mask));
        let address = address.ok_or(Wrong::Field("ip_address"))?;
        let mut routes = Vec::new();
        if let Some(gateway) = present(network, "gateway") {
            let any = if address.address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            let gateway = ip(gateway).ok_or(Wrong::Field("gateway"))?;
            routes.extend(Network::parse(any, None).map(|to| Route { to, gateway: Some(gateway) }));
        }
        for (_, route) in self.list(network, "routes", MAX_ROUTES) {
            routes.push(parse_route(route)?);
        }
        if let Some(link) = self.plan.links.get_mut(place) {
            link.addresses.push(address);
            for route in routes {
                if !link.routes.contains(&route) {
                    link.routes.push(route);
                }
            }
        }
        Ok(())
    }

    /// Name servers; others services are not known.
    fn services(&mut self, of: &Object) {
        for (_, service) in self.list(of, "services", MAX_NAME_SERVERS) {
            let server = present(service, "address").and_then(ip);
            let known = server.is_some_and(|server| self.plan.name_servers.contains(&server));
            let room = self.plan.name_servers.len() < MAX_NAME_SERVERS;
            if text(service, "type") == Some("dns") && !known && room {
                self.plan.name_servers.extend(server);
            }
        }
    }
}

fn parse_route(route: &Object) -> Result<Route, Wrong> {
    let to = text(route, "network").and_then(|to| Network::parse(to, text(route, "netmask")));
    let to = to.ok_or(Wrong::Field("network"))?;
    let gateway = match present(route, "gateway") {
        None => None,
        Some(gateway) => {
            let same = |gateway: &IpAddr| gateway.is_ipv4() == to.address.is_ipv4();
            Some(ip(gateway).filter(same).ok_or(Wrong::Field("gateway"))?)
        }
    };
    Ok(Route { to, gateway })
}

fn present<'d>(object: &'d Object, name: &str) -> Option<&'d Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn text<'d>(object: &'d Object, name: &str) -> Option<&'d str> {
    object.get(name).and_then(Value::as_str)
}

fn ip(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

/// A number, also as text.
fn number<N: TryFrom<u64>>(value: &Value) -> Option<N> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    N::try_from(number).ok()
}

/// Which of the names it is, or the number itself.
fn number_of(object: &Object, name: &'static str, names: &[&str]) -> Result<Option<u8>, Wrong> {
    let Some(value) = present(object, name) else { return Ok(None) };
    let named = value.as_str().and_then(|text| names.iter().position(|name| *name == text));
    let found = named.or_else(|| number::<usize>(value)).filter(|number| *number < names.len());
    let found = found.and_then(|number| u8::try_from(number).ok());
    found.map(Some).ok_or(Wrong::Field(name))
}

fn optional_mac(link: &Object, name: &'static str) -> Result<Option<Mac>, Wrong> {
    match present(link, name) {
        None => Ok(None),
        Some(value) => value.as_str().and_then(Mac::parse).map(Some).ok_or(Wrong::Field(name)),
    }
}
