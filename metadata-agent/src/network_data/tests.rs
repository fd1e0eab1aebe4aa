//! Documents to plans, and plans to messages, which another reader of rtnetlink understands.

use std::net::IpAddr;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoBond, InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteFlags};
use proptest::prelude::*;
use serde_json::json;

use super::message::{
    Answer, Message, add_address, add_route, answers, make_bond, make_vlan, set_mtu, set_state,
};
use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn network(text: &str) -> Network {
    Network::parse(text, None).unwrap()
}

fn route(to: &str, gateway: &str) -> Route {
    Route { to: network(to), gateway: Some(ip(gateway)) }
}

#[test]
fn a_server_of_two_families_has_addresses_routes_and_name_servers() {
    let document = json!({
        "links": [{"id": "tap1", "type": "ovs", "mtu": 1450, "ethernet_mac_address": "fa:16:3e:60:32:83", "vif_id": "x"}],
        "networks": [
            {"id": "network0", "type": "ipv4", "link": "tap1", "ip_address": "10.192.35.66", "netmask": "255.255.252.0",
             "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.192.35.254"},
                        {"network": "192.0.2.0", "netmask": "255.255.255.0", "gateway": "10.192.35.1"}],
             "services": [{"type": "dns", "address": "10.0.0.53"}], "network_id": "y"},
            {"id": "network1", "type": "ipv6", "link": "tap1", "ip_address": "2001:db8::66/64",
             "routes": [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]},
            {"id": "network2", "type": "ipv6_slaac", "link": "tap1", "ip_address": "2001:db8::67"},
        ],
        "services": [{"type": "dns", "address": "10.0.0.53"}, {"type": "dns", "address": "2001:db8::53"},
                     {"type": "ntp", "address": "10.0.0.123"}]
    });
    let (plan, problems) = plan(document.to_string().as_bytes());
    assert_eq!(problems, []);
    let link = Link {
        id: "tap1".to_owned(),
        kind: Kind::Physical,
        mac: Mac::parse("fa:16:3e:60:32:83"),
        mtu: Some(1450),
        addresses: vec![network("10.192.35.66/22"), network("2001:db8::66/64")],
        routes: vec![
            route("0.0.0.0/0", "10.192.35.254"),
            route("192.0.2.0/24", "10.192.35.1"),
            route("::/0", "2001:db8::1"),
        ],
    };
    assert_eq!(plan, Plan { links: vec![link], name_servers: vec![ip("10.0.0.53"), ip("2001:db8::53")] });
    assert_eq!(plan.resolv_conf().as_deref(), Some("nameserver 10.0.0.53\nnameserver 2001:db8::53\n"));
}

#[test]
fn bonds_and_vlans_come_after_what_they_are_made_of() {
    let document = json!({
        "links": [
            {"id": "v", "type": "vlan", "vlan_link": "b", "vlan_id": "101", "vlan_mac_address": "52:54:00:00:00:09"},
            {"id": "b", "type": "bond", "bond_links": ["p1", "p2"], "bond_mode": "802.3ad", "bond_miimon": 100,
             "bond_xmit_hash_policy": "layer3+4", "ethernet_mac_address": "52:54:00:00:00:01", "mtu": null},
            {"id": "p1", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"},
            {"id": "p2", "type": "phy", "ethernet_mac_address": "52-54-00-00-00-02"},
        ],
        "networks": [{"id": "n", "type": "ipv4", "link": "v", "ip_address": "10.0.0.2", "netmask": "24", "gateway": "10.0.0.1"}]
    });
    let (plan, problems) = plan(document.to_string().as_bytes());
    assert_eq!(problems, []);
    let kinds: Vec<_> = plan.links.iter().map(|link| (link.id.as_str(), &link.kind)).collect();
    let bond = Kind::Bond {
        name: "bond0".to_owned(),
        mode: 4,
        monitor: Some(100),
        hash: Some(1),
        members: vec![0, 1],
    };
    assert_eq!(
        kinds,
        [
            ("p1", &Kind::Physical),
            ("p2", &Kind::Physical),
            ("b", &bond),
            ("v", &Kind::Vlan { parent: 2, number: 101 })
        ]
    );
    assert_eq!(plan.links[3].routes, [route("0.0.0.0/0", "10.0.0.1")]);
    assert_eq!(plan.resolv_conf(), None);
}

#[test]
fn what_is_wrong_costs_itself() {
    let good = json!({"id": "p", "type": "phy", "ethernet_mac_address": "52:54:00:00:00:01"});
    let link = |link| json!({"links": [good, link]});
    let on_p = |network| json!({"links": [good], "networks": [network]});
    for (document, place, why) in [
        (link(json!({"type": "phy"})), "links[1]", Wrong::Field("id")),
        (link(json!({"id": "x", "type": "phy"})), "links[1]", Wrong::Field("ethernet_mac_address")),
        (
            link(json!({"id": "x", "ethernet_mac_address": "evil"})),
            "links[1]",
            Wrong::Field("ethernet_mac_address"),
        ),
        (link(good.clone()), "links[1]", Wrong::Twice),
        (
            link(json!({"id": "x", "ethernet_mac_address": "52:54:00:00:00:02", "mtu": 1e9})),
            "links[1]",
            Wrong::Field("mtu"),
        ),
        (
            link(json!({"id": "b", "type": "bond", "bond_links": ["p", "q"]})),
            "links[1]",
            Wrong::Link("bond_links"),
        ),
        (link(json!({"id": "b", "type": "bond", "bond_links": []})), "links[1]", Wrong::Link("bond_links")),
        (
            link(json!({"id": "b", "type": "bond", "bond_links": ["p"], "bond_mode": "x"})),
            "links[1]",
            Wrong::Field("bond_mode"),
        ),
        (
            link(json!({"id": "v", "type": "vlan", "vlan_link": "v", "vlan_id": 1})),
            "links[1]",
            Wrong::Link("vlan_link"),
        ),
        (
            link(json!({"id": "v", "type": "vlan", "vlan_link": "p", "vlan_id": 4095})),
            "links[1]",
            Wrong::Field("vlan_id"),
        ),
        (
            on_p(json!({"type": "ipv4", "link": "q", "ip_address": "10.0.0.1"})),
            "networks[0]",
            Wrong::Link("link"),
        ),
        (
            on_p(json!({"type": "ipv4", "link": "p", "ip_address": "10.0.0.256"})),
            "networks[0]",
            Wrong::Field("ip_address"),
        ),
        (
            on_p(
                json!({"type": "ipv4", "link": "p", "ip_address": "10.0.0.1", "routes": [{"network": "0.0.0.0/0", "gateway": "::1"}]}),
            ),
            "networks[0]",
            Wrong::Field("gateway"),
        ),
    ] {
        let (plan, problems) = plan(document.to_string().as_bytes());
        assert_eq!(problems, [Problem { place: place.to_owned(), why }], "{document}");
        assert_eq!((plan.links.len(), plan.links[0].addresses.len()), (1, 0), "{document}");
    }
    for text in ["", "[]", "{", "\u{0}"] {
        let (plan, problems) = plan(text.as_bytes());
        assert_eq!((plan, problems.len()), (Plan::default(), 1), "{text}");
    }
    let many: Vec<_> = (0..1000)
        .map(|n| json!({"id": n.to_string(), "ethernet_mac_address": "52:54:00:00:00:01"}))
        .collect();
    let (plan, problems) = plan(json!({"links": many}).to_string().as_bytes());
    assert_eq!((plan.links.len(), problems.len()), (64, 1));
}

/// What another implementation understands.
fn understood(message: &Message) -> RouteNetlinkMessage {
    let bytes = message.bytes(7);
    let parsed = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&bytes).unwrap();
    assert_eq!((parsed.header.sequence_number, parsed.header.length as usize), (7, bytes.len()));
    match parsed.payload {
        NetlinkPayload::InnerMessage(inner) => inner,
        other => panic!("{other:?}"),
    }
}

fn link_of(message: &Message) -> LinkMessage {
    match understood(message) {
        RouteNetlinkMessage::NewLink(link) => link,
        other => panic!("{other:?}"),
    }
}

#[test]
fn links_are_made_as_the_kernel_wants_them() {
    let bond = link_of(&make_bond("bond0", Some(Mac([1, 2, 3, 4, 5, 6])), 4, Some(100), Some(1)));
    let name = LinkAttribute::IfName("bond0".to_owned());
    assert!(bond.attributes.contains(&name), "{bond:?}");
    assert!(bond.attributes.contains(&LinkAttribute::Address(vec![1, 2, 3, 4, 5, 6])));
    let info = |message: &LinkMessage| {
        let found = message.attributes.iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(info) => Some(info.clone()),
            _ => None,
        });
        found.unwrap()
    };
    let [LinkInfo::Kind(InfoKind::Bond), LinkInfo::Data(InfoData::Bond(data))] = &info(&bond)[..] else {
        panic!("{bond:?}")
    };
    assert!(data.contains(&InfoBond::MiiMon(100)), "{data:?}");
    assert_eq!(data.len(), 3);

    let vlan = link_of(&make_vlan("eth0.5", None, 3, 5));
    assert!(vlan.attributes.contains(&LinkAttribute::Link(3)), "{vlan:?}");
    let [LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(data))] = &info(&vlan)[..] else {
        panic!("{vlan:?}")
    };
    assert_eq!(data[..], [InfoVlan::Id(5)]);

    let up = link_of(&set_state(9, true));
    assert_eq!((up.header.index, up.header.flags, up.header.change_mask), (9, LinkFlags::Up, LinkFlags::Up));
    assert_eq!(link_of(&set_mtu(9, 1450)).attributes, [LinkAttribute::Mtu(1450)]);
}

#[test]
fn addresses_and_routes_are_added_as_the_kernel_wants_them() {
    let RouteNetlinkMessage::NewAddress(address) = understood(&add_address(2, network("10.0.0.5/22"))) else {
        panic!()
    };
    assert_eq!((address.header.index, address.header.prefix_len), (2, 22));
    assert_eq!(address.attributes.len(), 2);

    for (to, gateway, destination) in [
        ("10.0.9.9/16", "10.0.0.1", Some(RouteAddress::Inet([10, 0, 0, 0].into()))),
        ("2001:db8:1:2::9/48", "fe80::1", Some(RouteAddress::Inet6("2001:db8:1::".parse().unwrap()))),
        ("0.0.0.0/0", "10.0.0.1", None),
    ] {
        let RouteNetlinkMessage::NewRoute(found) = understood(&add_route(2, &route(to, gateway), true))
        else {
            panic!()
        };
        assert_eq!(found.header.destination_prefix_length, network(to).length);
        assert!(found.header.flags.contains(RouteFlags::Onlink));
        let to = found.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Destination(to) => Some(to.clone()),
            _ => None,
        });
        assert_eq!(to, destination);
        assert!(found.attributes.contains(&RouteAttribute::Oif(2)));
    }
}

proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), number in any::<u32>()) {
        let mut framed = u32::try_from(bytes.len() + 16).unwrap().to_ne_bytes().to_vec();
        framed.extend([16, 0, 0, 0]);
        framed.extend(number.to_ne_bytes());
        framed.extend([0; 4]);
        framed.extend(&bytes);
        prop_assert!(answers(&framed, number).len() <= 1);
        answers(&bytes, number);
    }

    #[test]
    fn any_document_is_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (plan, problems) = plan(&bytes);
        prop_assert!(!problems.is_empty() || plan.links.is_empty());
    }
}

#[test]
fn an_answer_of_the_kernel_is_done_or_an_error() {
    let answer = |kind: u16, body: &[u8]| {
        let mut bytes = u32::try_from(16 + body.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(5_u32.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        answers(&bytes, 5)
    };
    assert_eq!(answer(2, &0_i32.to_ne_bytes()), [Answer::Done(0)]);
    assert_eq!(answer(2, &(-1_i32).to_ne_bytes()), [Answer::Done(1)]);
    assert_eq!(answer(3, &0_i32.to_ne_bytes()), [Answer::Done(0)]);
    assert_eq!(answers(&[0; 15], 5), []);
}
