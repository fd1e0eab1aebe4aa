//! What is in a machine, by the item of the YAML that it came from.

use std::collections::{BTreeMap, HashMap};
use std::io;

use serde::Serialize;

use crate::config::Config;
use crate::contents::{Listing, Spot};
use crate::image::Digest;
use crate::output::Machine;
use crate::tree::{Content, Kind, Location, Node, display};

/// What is in a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// One for each item of the YAML, in the order of the image.
    pub items: Vec<Item>,
    /// All of them together.
    pub total: Share,
    /// Copies that would not be needed: of each file that several items bring along, all but one.
    pub copies: Share,
}

/// What an item of the YAML brings along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// `kernel`, `init[0]`, `onboot[0]`, …; all `files` are one item.
    pub item: String,
    /// The name of the container or volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How much it is.
    #[serde(flatten)]
    pub share: Share,
}

/// An amount of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Number of files, links and devices; directories are not counted.
    pub files: u64,
    /// Bytes in them. Further names of the same file have none.
    pub bytes: u64,
}

/// A file of the machine that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} of {origin}: {source}")]
pub struct InventoryError {
    /// Its path in the machine.
    pub path: String,
    /// Where it came from.
    pub origin: String,
    /// Why.
    pub source: io::Error,
}

impl Share {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

impl Inventory {
    /// Takes the inventory of what was assembled of this configuration.
    ///
    /// # Errors
    /// When a file that another one may be equal to cannot be read.
    pub fn of(machine: &Machine, config: &Config) -> Result<Self, InventoryError> {
        let mut items = items(config);
        let mut add = |location: Location, bytes: u64| {
            // The machine has nothing but what its configuration asks for.
            items.entry(group(location)).or_insert_with(|| item(location, None, None)).share.add(bytes);
        };
        let boot = [&machine.kernel, &machine.ucode].into_iter().flatten();
        boot.for_each(|content| add(machine.boot.location, content.len()));
        for (_, node) in machine.root.iter().filter(|(_, node)| !node.is_directory()) {
            add(node.origin.location, file(node).map_or(0, Content::len));
        }
        let mut total = Share::default();
        for item in items.values() {
            total.files += item.share.files;
            total.bytes += item.share.bytes;
        }
        Ok(Self { items: items.into_values().collect(), total, copies: copies(machine)? })
    }
}

/// Every item, with nothing in it yet.
impl Inventory {
    /// Takes the inventory of what was built, by the place where things are.
    #[must_use]
    pub fn of_listing(listing: &Listing) -> Self {
        let mut places: BTreeMap<(String, Option<String>), Share> = BTreeMap::new();
        let mut total = Share::default();
        for (spot, bytes) in listing.files() {
            places.entry(place(spot)).or_default().add(bytes);
            total.add(bytes);
        }
        let items = places.into_iter().map(|((item, name), share)| Item { item, name, image: None, share });
        Self { items: items.collect(), total, copies: Share::default() }
    }
}

/// The place of an entry: a container, a volume, what the boot loader or the kernel has, the machine's own root, or what is
/// beside that.
fn place(Spot { volume, path }: &Spot) -> (String, Option<String>) {
    if !volume.is_empty() {
        return (volume.clone(), None);
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    match parts.as_slice() {
        [b"containers", kind, name, _, ..] => (display_part(kind), Some(display_part(name))),
        [b"boot", _, ..] => ("boot".into(), None),
        [b"lib", b"modules", ..] | [b"usr", b"lib", b"modules", ..] => ("modules".into(), None),
        _ => ("root".into(), None),
    }
}

fn display_part(part: &[u8]) -> String {
    part.escape_ascii().to_string()
}

fn items(config: &Config) -> BTreeMap<Location, Item> {
    let mut items = BTreeMap::new();
    let mut add = |location, name: Option<&str>, image: Option<&str>| {
        items.insert(group(location), item(location, name, image));
    };
    if let Some(kernel) = &config.kernel {
        add(Location::Kernel, None, Some(&kernel.image.reference));
    }
    for (index, image) in config.init.iter().enumerate() {
        add(Location::Init(index), None, Some(&image.reference));
    }
    for (index, volume) in config.volumes.iter().enumerate() {
        let image = volume.image.as_ref().map(|image| image.reference.as_str());
        add(Location::Volume(index), Some(&volume.name), image);
    }
    let onboot = config.onboot.iter().enumerate().map(|(index, one)| (Location::Onboot(index), one));
    let onshutdown =
        config.onshutdown.iter().enumerate().map(|(index, one)| (Location::Onshutdown(index), one));
    let services = config.services.iter().enumerate().map(|(index, one)| (Location::Service(index), one));
    for (location, container) in onboot.chain(onshutdown).chain(services) {
        add(location, Some(&container.name), Some(&container.image.reference));
    }
    if !config.files.is_empty() {
        add(Location::File(0), None, None);
    }
    items
}

fn item(location: Location, name: Option<&str>, image: Option<&str>) -> Item {
    let item = match location {
        Location::File(_) => "files".to_owned(),
        // The key is in the plural, unlike LinuxKit's name for its items.
        Location::Volume(index) => format!("volumes[{index}]"),
        location => location.to_string(),
    };
    Item { item, name: name.map(str::to_owned), image: image.map(str::to_owned), share: Share::default() }
}

/// Of what is counted together, the first.
fn group(location: Location) -> Location {
    match location {
        Location::File(_) => Location::File(0),
        location => location,
    }
}

fn file(node: &Node) -> Option<&Content> {
    match &node.kind {
        Kind::File(content) => Some(content),
        _ => None,
    }
}

/// Equal files of different items, all but the first of each. Only files of equal length are read.
fn copies(machine: &Machine) -> Result<Share, InventoryError> {
    let mut by_length: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for (path, node) in machine.root.iter() {
        if let Some(content) = file(node).filter(|content| !content.is_empty()) {
            by_length.entry(content.len()).or_default().push((path, node, content));
        }
    }
    let mut copies = Share::default();
    for (length, files) in by_length.into_iter().filter(|(_, files)| files.len() > 1) {
        let mut equal: HashMap<Digest, Vec<Location>> = HashMap::new();
        for (path, node, content) in files {
            let digest = content.digest().map_err(|source| InventoryError {
                path: display(path),
                origin: node.origin.to_string(),
                source,
            })?;
            equal.entry(digest).or_default().push(group(node.origin.location));
        }
        for locations in equal.into_values() {
            let several = locations.iter().any(|location| Some(location) != locations.first());
            (1..locations.len()).filter(|_| several).for_each(|_| copies.add(length));
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::tree::{Origin, Tree};

    fn machine(files: &[(&str, Location, Kind)]) -> Machine {
        let mut root = Tree::new();
        for (path, location, kind) in files {
            let origin = Arc::new(Origin { location: *location, source: String::new() });
            root.insert(path.as_bytes(), Node::generated(kind.clone(), 0o644, &origin)).unwrap();
        }
        Machine { kernel: Some(b"kernel"[..].into()), root, ..Machine::default() }
    }

    fn content(text: &str) -> Kind {
        Kind::File(text.as_bytes().into())
    }

    #[test]
    fn what_was_built_is_counted_by_its_place() {
        for (path, item, name) in [
            ("containers/services/web/lower/bin/a", "services", Some("web")),
            ("containers/onboot/000-a/config.json", "onboot", Some("000-a")),
            ("containers/volumes/v/lower/x", "volumes", Some("v")),
            ("boot/kernel", "boot", None),
            ("usr/lib/modules/6/a.ko", "modules", None),
            ("containers/services", "root", None),
            ("sbin/init", "root", None),
        ] {
            let spot = Spot { path: path.into(), ..Spot::default() };
            assert_eq!(place(&spot), (item.to_owned(), name.map(str::to_owned)), "{path}");
        }
        let spot = Spot { volume: "partition 1".into(), path: b"containers/services/web/x".to_vec() };
        assert_eq!(place(&spot), ("partition 1".into(), None));
    }

    #[test]
    fn every_item_has_its_files_and_equal_files_of_several_are_counted() {
        let machine = machine(&[
            ("lib/modules/x", Location::Kernel, content("module")),
            ("bin/a", Location::Init(0), content("equal")),
            ("bin/b", Location::Init(0), Kind::Hardlink(b"bin/a".to_vec())),
            ("bin/c", Location::Init(0), Kind::Symlink(b"a".to_vec())),
            ("c/one", Location::Onboot(0), content("equal")),
            ("c/two", Location::Onboot(0), content("EQUAL")),
            ("c/three", Location::Onboot(0), content("EQUAL")),
            ("etc/x", Location::File(0), content("")),
            ("etc/y", Location::File(1), content("y")),
        ]);
        let inventory = Inventory::of(&machine, &Config::default()).unwrap();
        let told: Vec<(&str, u64, u64)> = inventory
            .items
            .iter()
            .map(|item| (item.item.as_str(), item.share.files, item.share.bytes))
            .collect();
        assert_eq!(told, [("kernel", 2, 12), ("init[0]", 3, 5), ("onboot[0]", 3, 15), ("files", 2, 1)]);
        assert_eq!(inventory.total, Share { files: 10, bytes: 33 });
        // Twice the same in one item is that item's own affair.
        assert_eq!(inventory.copies, Share { files: 1, bytes: 5 });
    }
}
