//! Checked trees → one [`Config`].

use super::document::Document;
use super::overrides::Overrides;
use super::problem::{Place, Spot};
use super::syntax;
use super::types::{
    Config, Container, FileEntry, FileKind, Id, ImageUse, Kernel, MetadataFormat, Trust, Volume, VolumeFormat,
};
use super::yaml::{Node, Value};

/// The kernel's path in its image unless the configuration says otherwise.
const KERNEL_BINARY: &str = "kernel";
/// The modules' archive in the kernel's image unless the configuration says otherwise.
const KERNEL_TAR: &str = "kernel.tar";

/// A value that passed the checks and cannot be decoded all the same.
pub(super) type Fault = (Place, String);

/// Appends what `document` says to `config`: lists grow, the kernel's scalars override when they are not empty.
pub(super) fn append(config: &mut Config, document: &Document<'_>) -> Result<(), Fault> {
    let root = &document.root;
    let items = |name: &str| root.get(name).map(Node::items).unwrap_or_default();
    if let Some(node) = root.get("kernel") {
        kernel(&mut config.kernel, node, document);
    }
    config.init.extend(items("init").iter().filter_map(|node| image(node, document)));
    for node in items("volumes") {
        config.volumes.push(volume(node, document));
    }
    for (name, list) in [
        ("onboot", &mut config.onboot),
        ("onshutdown", &mut config.onshutdown),
        ("services", &mut config.services),
    ] {
        for node in items(name) {
            list.push(container(node, document)?);
        }
    }
    for node in items("files") {
        config.files.push(file(node, document)?);
    }
    if let Some(node) = root.get("trust") {
        let trust: Trust = decode(node)?;
        config.trust.image.extend(trust.image);
        config.trust.org.extend(trust.org);
        config.trust.key.extend(trust.key);
    }
    Ok(())
}

fn kernel(slot: &mut Option<Kernel>, node: &Node, document: &Document<'_>) {
    let kernel = slot.get_or_insert_with(|| Kernel {
        // The checks see to it that one of the sources names an image.
        image: ImageUse {
            reference: String::new(),
            spot: document.spot(node.at),
            is_package: false,
            local: None,
        },
        cmdline: String::new(),
        binary: KERNEL_BINARY.to_owned(),
        tar: Some(KERNEL_TAR.to_owned()),
        ucode: None,
    });
    if let Some(image) = node.get("image").and_then(|node| image(node, document)) {
        kernel.image = image;
    }
    if let Some(cmdline) = text(node, "cmdline").filter(|text| !text.is_empty()) {
        kernel.cmdline = cmdline;
    }
    if let Some(binary) = text(node, "binary").filter(|text| !text.is_empty()) {
        kernel.binary = binary;
    }
    if let Some(tar) = text(node, "tar") {
        kernel.tar = Some(tar).filter(|tar| !matches!(tar.as_str(), "" | "none"));
    }
    if let Some(ucode) = text(node, "ucode") {
        kernel.ucode = Some(ucode).filter(|ucode| !ucode.is_empty());
    }
}

fn volume(node: &Node, document: &Document<'_>) -> Volume {
    let oci = text(node, "format").as_deref() == Some("oci");
    let platforms = node.get("platforms").map(Node::items).unwrap_or_default();
    Volume {
        name: text(node, "name").unwrap_or_default(),
        image: node.get("image").and_then(|node| image(node, document)),
        readonly: is_true(node, "readonly"),
        format: if oci { VolumeFormat::Oci } else { VolumeFormat::Filesystem },
        platforms: platforms.iter().filter_map(|node| node.text().map(str::to_owned)).collect(),
        spot: spot(node, "name", document),
    }
}

fn container(node: &Node, document: &Document<'_>) -> Result<Container, Fault> {
    let mut rest = node.clone();
    if let Value::Map(entries) = &mut rest.value {
        entries.retain(|(key, _)| !matches!(key.text.as_str(), "name" | "image"));
    }
    let overrides: Overrides = decode(&rest)?;
    let image = node.get("image").and_then(|node| image(node, document));
    Ok(Container {
        name: text(node, "name").unwrap_or_default(),
        image: image.ok_or_else(|| (node.at, "image is required".to_owned()))?,
        overrides,
        spot: spot(node, "name", document),
    })
}

fn file(node: &Node, document: &Document<'_>) -> Result<FileEntry, Fault> {
    let kind = if is_true(node, "directory") {
        FileKind::Directory
    } else if let Some(target) = text(node, "symlink") {
        FileKind::Symlink(target)
    } else if let Some(source) = text(node, "source") {
        FileKind::Source(source)
    } else if let Some(format) = text(node, "metadata") {
        FileKind::Metadata(if format == "json" { MetadataFormat::Json } else { MetadataFormat::Yaml })
    } else {
        FileKind::Contents(text(node, "contents").unwrap_or_default())
    };
    let mode = match text(node, "mode") {
        Some(mode) => syntax::octal_mode(&mode).map_err(|error| (node.at, error))?,
        None if kind == FileKind::Directory => 0o700,
        None => 0o600,
    };
    let id = |key: &str| node.get(key).map_or(Ok(Id::ROOT), decode);
    Ok(FileEntry {
        path: text(node, "path").unwrap_or_default(),
        kind,
        optional: is_true(node, "optional"),
        mode,
        uid: id("uid")?,
        gid: id("gid")?,
        spot: spot(node, "path", document),
    })
}

fn image(node: &Node, document: &Document<'_>) -> Option<ImageUse> {
    Some(ImageUse {
        reference: node.text()?.to_owned(),
        spot: document.spot(node.at),
        is_package: document.packages.contains(&node.at),
        local: document.local_images.iter().find(|(at, _)| *at == node.at).map(|(_, image)| image.clone()),
    })
}

fn spot(node: &Node, key: &str, document: &Document<'_>) -> Spot {
    document.spot(node.get(key).unwrap_or(node).at)
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key)?.text().map(str::to_owned)
}

fn is_true(node: &Node, key: &str) -> bool {
    node.get(key).is_some_and(Node::is_true)
}

fn decode<T: serde::de::DeserializeOwned>(node: &Node) -> Result<T, Fault> {
    serde_json::from_value(node.to_json()).map_err(|error| (node.at, error.to_string()))
}
