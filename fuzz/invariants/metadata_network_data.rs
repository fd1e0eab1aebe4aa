//! OpenStack's `network_data.json` from anywhere.
//!
//! Holds for every document: each link of the plan comes after those that it needs, addresses and masks fit each other,
//! and every problem has a text.

use metadata_agent::network_data::{Kind, plan};

/// Checks one document.
pub fn check(data: &[u8]) {
    let (plan, problems) = plan(data);
    for (place, link) in plan.links.iter().enumerate() {
        match &link.kind {
            Kind::Physical => assert!(link.mac.is_some()),
            Kind::Bond { name, mode, members, .. } => {
                assert!(name.len() <= 15 && *mode < 7 && !members.is_empty());
                assert!(members.iter().all(|member| *member < place));
            }
            Kind::Vlan { parent, number } => assert!(*parent < place && (1..4095).contains(number)),
        }
        for network in link.addresses.iter().chain(link.routes.iter().map(|route| &route.to)) {
            assert!(network.length <= if network.address.is_ipv4() { 32 } else { 128 });
        }
    }
    assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
}
