//! The order of services: what `after` and `requires` name.

use std::collections::{BTreeMap, BTreeSet};

use super::document::Document;
use super::problem::Place;
use super::syntax;
use super::yaml::Node;

/// The keys that name other services.
const KEYS: [&str; 2] = ["after", "requires"];

/// A name in one of the [`KEYS`] of a service.
struct Edge {
    document: usize,
    at: Place,
    /// `services[2].after`
    path: String,
    to: String,
}

/// Takes down every name that is no service's, and every circle, named in full.
pub(super) fn check(documents: &mut [Document<'_>]) {
    let edges = edges(documents);
    let services = names(documents, "services");
    let onboot = names(documents, "onboot");
    for edge in edges.values().flatten() {
        if services.contains(&edge.to) {
            continue;
        }
        let hint = match onboot.contains(&edge.to) {
            true => "; it is in onboot, and that ends before any service is started".to_owned(),
            false => syntax::suggestion(&edge.to, services.iter().map(String::as_str)),
        };
        let message = format!("{}: `{}` is not the name of a service{hint}", edge.path, edge.to);
        if let Some(document) = documents.get_mut(edge.document) {
            document.problem(edge.at, message);
        }
    }
    for (edge, circle) in circles(&edges) {
        let message = format!("{}: services wait for each other: {}", edge.path, circle.join(" → "));
        if let Some(document) = documents.get_mut(edge.document) {
            document.problem(edge.at, message);
        }
    }
}

fn names(documents: &[Document<'_>], section: &str) -> BTreeSet<String> {
    let nodes = documents.iter().filter_map(|document| document.root.get(section)).flat_map(Node::items);
    nodes.filter_map(|node| node.get("name")?.text().map(str::to_owned)).collect()
}

/// What each service names, in the order of the sources.
fn edges(documents: &[Document<'_>]) -> BTreeMap<String, Vec<Edge>> {
    let mut edges: BTreeMap<String, Vec<Edge>> = BTreeMap::new();
    for (document, source) in documents.iter().enumerate() {
        let services = source.root.get("services").map(Node::items).unwrap_or_default();
        for (index, service) in services.iter().enumerate() {
            let Some(from) = service.get("name").and_then(Node::text) else { continue };
            for key in KEYS {
                for item in service.get(key).map(Node::items).unwrap_or_default() {
                    let Some(to) = item.text() else { continue };
                    let path = format!("services[{index}].{key}");
                    let edge = Edge { document, at: item.at, path, to: to.to_owned() };
                    edges.entry(from.to_owned()).or_default().push(edge);
                }
            }
        }
    }
    edges
}

/// Each circle once: the edge that closes it, and its names, of which the first is also the last.
fn circles(edges: &BTreeMap<String, Vec<Edge>>) -> Vec<(&Edge, Vec<String>)> {
    let mut found = Vec::new();
    let mut done = BTreeSet::new();
    for start in edges.keys() {
        // The way from `start` to where we are, with what is still to be followed at each step.
        let mut way = vec![(start, edges.get(start).into_iter().flatten())];
        while let Some((here, rest)) = way.last_mut() {
            if done.contains(here) {
                way.pop();
                continue;
            }
            let Some(edge) = rest.next() else {
                done.insert(*here);
                way.pop();
                continue;
            };
            match way.iter().position(|(name, _)| **name == edge.to) {
                Some(first) => {
                    let circle = way.iter().skip(first).map(|(name, _)| (*name).clone());
                    found.push((edge, circle.chain([edge.to.clone()]).collect()));
                }
                None => way.push((&edge.to, edges.get(&edge.to).into_iter().flatten())),
            }
        }
    }
    found
}
