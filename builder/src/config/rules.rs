//! Rules that look at more than one value: of a file entry, of a container, of all sources together.

use std::collections::{HashMap, HashSet};

use super::document::Document;
use super::problem::{Place, Spot};
use super::schema::{BELONGS, CONTAINER_SECTIONS, FILE_KINDS, PROBES};
use super::syntax;
use super::yaml::{Node, Value};

/// What containers and files may refer to by name, over all sources.
struct Names {
    containers: HashSet<String>,
    volumes: HashSet<String>,
}

/// Takes down every break of a rule. The sources have been held against the schema before; values that it
/// refused are passed over here.
pub(super) fn check(documents: &mut [Document<'_>]) {
    let names = Names {
        containers: collect(documents, &CONTAINER_SECTIONS),
        volumes: collect(documents, &["volumes"]),
    };
    for document in documents.iter_mut() {
        let mut findings = Findings::default();
        let root = &document.root;
        for (index, node) in section(root, "files").iter().enumerate() {
            file(node, &format!("files[{index}]"), &names, &mut findings);
        }
        for name in CONTAINER_SECTIONS {
            for (index, node) in section(root, name).iter().enumerate() {
                let path = format!("{name}[{index}]");
                container(node, &path, &names, &mut findings);
                section_keys(node, name, &path, &mut findings);
                probes(node, &format!("{path}."), &mut findings);
            }
        }
        for node in section(root, "volumes") {
            volume(node, &mut findings);
        }
        if let Some(trust) = root.get("trust") {
            trusted(trust, &mut findings);
        }
        for (at, message) in findings.problems {
            document.problem(at, message);
        }
        for (at, message) in findings.warnings {
            document.warning(at, &message);
        }
    }
    unique(documents, "services", "duplicate service name");
    unique(documents, "volumes", "duplicate volume name");
    kernel(documents);
}

/// The same for the label of an image.
pub(super) fn check_label(document: &mut Document<'_>) {
    let mut findings = Findings::default();
    probes(&document.root, "", &mut findings);
    findings.problems.into_iter().for_each(|(at, message)| document.problem(at, message));
}

/// The same for what stands at a key and becomes a label.
pub(super) fn check_label_at(document: &mut Document<'_>, key: &str) {
    let mut findings = Findings::default();
    if let Some(label) = document.root.get(key) {
        probes(label, &format!("{key}."), &mut findings);
    }
    for (at, message) in findings.problems {
        document.problem(at, message);
    }
}

#[derive(Default)]
struct Findings {
    problems: Vec<(Place, String)>,
    warnings: Vec<(Place, String)>,
}

impl Findings {
    fn problem(&mut self, at: Place, message: String) {
        self.problems.push((at, message));
    }
}

fn section<'a>(root: &'a Node, name: &str) -> &'a [Node] {
    root.get(name).map(Node::items).unwrap_or_default()
}

fn collect(documents: &[Document<'_>], sections: &[&str]) -> HashSet<String> {
    let nodes = documents.iter().flat_map(|d| sections.iter().flat_map(|name| section(&d.root, name)));
    nodes.filter_map(|node| node.get("name")?.text().map(str::to_owned)).collect()
}

fn unique(documents: &mut [Document<'_>], name: &str, what: &str) {
    let mut first: HashMap<String, Spot> = HashMap::new();
    for document in documents {
        let mut findings = Vec::new();
        for node in section(&document.root, name) {
            let Some((at, text)) = node.get("name").and_then(|n| Some((n.at, n.text()?))) else { continue };
            match first.get(text) {
                Some(spot) => findings.push((at, format!("{what}: {text}; first at {spot}"))),
                None => drop(first.insert(text.to_owned(), document.spot(at))),
            }
        }
        for (at, message) in findings {
            document.problem(at, message);
        }
    }
}

/// A kernel needs an image, from whichever source.
fn kernel(documents: &mut [Document<'_>]) {
    let given = documents.iter().any(|d| d.root.get("kernel").is_some_and(|k| k.get("image").is_some()));
    let last = documents.iter_mut().rev().find(|d| d.root.get("kernel").is_some());
    if let (false, Some(document)) = (given, last) {
        let at = document.root.get("kernel").map(|node| node.at).unwrap_or_default();
        document.problem(at, "kernel: image is required".to_owned());
    }
}

fn file(node: &Node, path: &str, names: &Names, findings: &mut Findings) {
    let named = node.get("path").and_then(Node::text).unwrap_or_default();
    let mut kinds: Vec<&str> = FILE_KINDS.into_iter().filter(|key| node.get(key).is_some()).collect();
    if node.get("directory").is_some_and(Node::is_true) {
        kinds.push("directory");
    }
    match kinds.as_slice() {
        [_] => {}
        [] => findings.problem(
            node.at,
            format!(
                "{path}: contents of file ({named}) not specified; \
                 give one of contents, directory, symlink, source, metadata"
            ),
        ),
        several => findings
            .problem(node.at, format!("{path}: file ({named}) can be only one of {}", several.join(", "))),
    }
    for key in ["uid", "gid"] {
        if let Some(id) = node.get(key) {
            known_id(id, &format!("{path}.{key}"), names, findings);
        }
    }
}

fn container(node: &Node, path: &str, names: &Names, findings: &mut Findings) {
    for key in ["capabilities", "capabilities.add", "ambient"] {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        let group =
            items.iter().find(|item| item.text().is_some_and(|t| syntax::is_all(t) || syntax::is_none(t)));
        if let (Some(item), 2..) = (group, items.len()) {
            let word = item.text().unwrap_or_default();
            findings.problem(item.at, format!("{path}.{key}: `{word}` must stand alone"));
        }
    }
    for key in ["uid", "gid"] {
        if let Some(id) = node.get(key) {
            known_id(id, &format!("{path}.{key}"), names, findings);
        }
    }
    for id in node.get("additionalGids").map(Node::items).unwrap_or_default() {
        known_id(id, &format!("{path}.additionalGids"), names, findings);
    }
    for key in ["binds", "binds.add"] {
        for bind in node.get(key).map(Node::items).unwrap_or_default() {
            // What is wrong with it was found by the schema.
            let source = bind.text().and_then(|text| syntax::bind(text).ok()).map(|bind| bind.source);
            known_volume(source, bind.at, &format!("{path}.{key}"), names, findings);
        }
    }
    for (index, mount) in node.get("mounts").map(Node::items).unwrap_or_default().iter().enumerate() {
        if mount.get("type").and_then(Node::text) == Some("bind") {
            let source = mount.get("source").and_then(Node::text);
            known_volume(source, mount.at, &format!("{path}.mounts[{index}]"), names, findings);
        }
    }
    for (index, device) in node.get("devices").map(Node::items).unwrap_or_default().iter().enumerate() {
        let path = format!("{path}.devices[{index}]");
        match device.get("path").and_then(Node::text) {
            Some("all") | None => {}
            Some(_) if device.get("mode").is_none() => {
                findings.problem(device.at, format!("{path}: mode is required"));
            }
            Some(device_path) => {
                if let Err(error) = syntax::absolute(device_path) {
                    findings.problem(device.at, format!("{path}: {error}"));
                }
            }
        }
    }
}

/// Keys that mean something only elsewhere.
fn section_keys(node: &Node, section: &str, path: &str, findings: &mut Findings) {
    let allowed: Vec<String> = BELONGS
        .iter()
        .filter(|(_, sections)| sections.contains(&section))
        .map(|(key, _)| format!("`{key}`"))
        .collect();
    for (key, _) in node.entries() {
        if let Some((name, sections)) = BELONGS.iter().find(|(name, _)| *name == key.text)
            && !sections.contains(&section)
        {
            let (home, here) = (sections.join(" and "), allowed.join(", "));
            let message = format!("{path}: `{name}` is only for {home}; {section} may have {here}");
            findings.problem(key.at, message);
        }
    }
}

/// A probe is one of several.
fn probes(node: &Node, prefix: &str, findings: &mut Findings) {
    for key in ["ready", "health"] {
        let Some(probe) = node.get(key).filter(|probe| matches!(probe.value, Value::Map(_))) else {
            continue;
        };
        let given: Vec<&str> = PROBES.into_iter().filter(|name| probe.get(name).is_some()).collect();
        match given.as_slice() {
            [_] => {}
            [] => findings.problem(probe.at, format!("{prefix}{key}: give one of {}", PROBES.join(", "))),
            several => {
                let message = format!("{prefix}{key}: can be only one of {}", several.join(", "));
                findings.problem(probe.at, message);
            }
        }
        if let Some(exec) =
            probe.get("exec").filter(|exec| matches!(&exec.value, Value::List(l) if l.is_empty()))
        {
            findings.problem(exec.at, format!("{prefix}{key}.exec: there is no command"));
        }
    }
}

fn known_id(id: &Node, path: &str, names: &Names, findings: &mut Findings) {
    let Some(name) = id.text() else { return };
    let number = name.parse::<u32>().is_ok();
    if !matches!(name, "" | "root") && !number && !names.containers.contains(name) {
        let near = syntax::suggestion(name, names.containers.iter().map(String::as_str));
        findings
            .problem(id.at, format!("{path}: cannot find id: {name} is not the name of a container{near}"));
    }
}

fn known_volume(source: Option<&str>, at: Place, path: &str, names: &Names, findings: &mut Findings) {
    let Some(name) = source.filter(|source| !source.starts_with('/')) else { return };
    if !names.volumes.contains(name) {
        let near = syntax::suggestion(name, names.volumes.iter().map(String::as_str));
        findings.problem(at, format!("{path}: volume {name} not found{near}; a path must start with `/`"));
    }
}

fn volume(node: &Node, findings: &mut Findings) {
    let oci = node.get("format").and_then(Node::text) == Some("oci");
    if let (Some(platforms), false) = (node.get("platforms"), oci) {
        findings.warnings.push((platforms.at, "platforms has no effect unless format is `oci`".to_owned()));
    }
}

fn trusted(trust: &Node, findings: &mut Findings) {
    let is_given = |key| trust.get(key).is_some_and(|list| !list.items().is_empty());
    if let (Some(keys), false) = (trust.get("key"), is_given("image") || is_given("org")) {
        let message = "trust.key has no effect: neither trust.image nor trust.org says what must be signed";
        findings.warnings.push((keys.at, message.to_owned()));
    }
}
