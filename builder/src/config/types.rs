//! What a configuration says, after validation and merging.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, de};

use super::local_image::LocalImage;
use super::overrides::Overrides;
use super::problem::Spot;
use super::yaml;

/// The whole machine, of all sources together.
///
/// Serialises to the YAML that it would be read from, with all defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Config {
    /// The kernel, if the machine is to boot by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// Images that are unpacked over `/`, in this order.
    pub init: Vec<ImageUse>,
    /// Directories that containers share.
    pub volumes: Vec<Volume>,
    /// Containers that run to their end, one after another, at boot.
    pub onboot: Vec<Container>,
    /// Containers that run to their end, one after another, at shutdown.
    pub onshutdown: Vec<Container>,
    /// Containers that run side by side; their names are unique.
    pub services: Vec<Container>,
    /// Files of the root filesystem, written over what the images brought.
    pub files: Vec<FileEntry>,
    /// Which images must be signed, and by whose keys.
    #[serde(skip_serializing_if = "Trust::is_empty")]
    pub trust: Trust,
}

impl Config {
    /// The configuration as YAML.
    ///
    /// # Errors
    /// When the writer of YAML fails, which no valid configuration brings about.
    pub fn to_yaml(&self) -> Result<String, String> {
        yaml::print(self)
    }

    /// The configuration as indented JSON.
    ///
    /// # Errors
    /// When the writer of JSON fails, which no valid configuration brings about.
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }

    /// All containers: onboot, onshutdown, services.
    pub fn containers(&self) -> impl Iterator<Item = &Container> {
        self.onboot.iter().chain(&self.onshutdown).chain(&self.services)
    }

    /// Every reference to an image, in the order in which images are laid out.
    pub fn images(&self) -> impl Iterator<Item = &ImageUse> {
        self.kernel
            .iter()
            .map(|kernel| &kernel.image)
            .chain(&self.init)
            .chain(self.volumes.iter().filter_map(|volume| volume.image.as_ref()))
            .chain(self.containers().map(|container| &container.image))
    }

    /// As [`Config::images`], to be changed; for canonical names.
    pub fn images_mut(&mut self) -> impl Iterator<Item = &mut ImageUse> {
        let containers = self.onboot.iter_mut().chain(&mut self.onshutdown).chain(&mut self.services);
        self.kernel
            .iter_mut()
            .map(|kernel| &mut kernel.image)
            .chain(&mut self.init)
            .chain(self.volumes.iter_mut().filter_map(|volume| volume.image.as_mut()))
            .chain(containers.map(|container| &mut container.image))
    }
}

/// A reference to an image, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// As written, or what `@pkg:` resolved to.
    pub reference: String,
    /// Where it was written.
    pub spot: Spot,
    /// Whether `@pkg:` named it: then it is built from its directory, and no registry is asked for it.
    pub is_package: bool,
    /// The file that it is in, if it is in one: then no registry is asked for it either.
    pub local: Option<LocalImage>,
}

impl ImageUse {
    /// Whether it is a registry that has it.
    #[must_use]
    pub fn is_pulled(&self) -> bool {
        !self.is_package && self.local.is_none()
    }
}

impl fmt::Display for ImageUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference)
    }
}

impl Serialize for ImageUse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reference)
    }
}

/// The kernel and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The image that holds the files below.
    pub image: ImageUse,
    /// The kernel command line.
    pub cmdline: String,
    /// The kernel's path in the image: `kernel` unless given.
    pub binary: String,
    /// The modules' archive in the image: `kernel.tar` unless given; `None` for none.
    pub tar: Option<String>,
    /// The processor microcode's path in the image.
    pub ucode: Option<String>,
}

impl Serialize for Kernel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("image", &self.image)?;
        map.serialize_entry("cmdline", &self.cmdline)?;
        map.serialize_entry("binary", &self.binary)?;
        map.serialize_entry("tar", self.tar.as_deref().unwrap_or("none"))?;
        if let Some(ucode) = &self.ucode {
            map.serialize_entry("ucode", ucode)?;
        }
        map.end()
    }
}

/// A directory that containers share by its name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Volume {
    /// Unique; lower-case letters, digits, `_`, `-`.
    pub name: String,
    /// What it holds at first; nothing if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageUse>,
    /// Whether containers may only read it.
    pub readonly: bool,
    /// How the image is laid out in it.
    pub format: VolumeFormat,
    /// Which platforms of the image are kept, for [`VolumeFormat::Oci`]; empty means the machine's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Where its name was written.
    #[serde(skip)]
    pub spot: Spot,
}

/// How an image is laid out in a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeFormat {
    /// Unpacked.
    #[default]
    Filesystem,
    /// As an OCI image layout.
    Oci,
}

/// A container: its image, and what the YAML says over the image's label.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Container {
    /// A file name; unique among services.
    pub name: String,
    /// The image.
    pub image: ImageUse,
    /// Everything else.
    #[serde(flatten)]
    pub overrides: Overrides,
    /// Where its name was written.
    #[serde(skip)]
    pub spot: Spot,
}

/// A file of the root filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path, as written; a leading `/` means nothing.
    pub path: String,
    /// What it is and where its content comes from.
    pub kind: FileKind,
    /// Whether it is left out when its source cannot be read.
    pub optional: bool,
    /// Permission bits: 0600 unless given, directories 0700.
    pub mode: u32,
    /// Owner.
    pub uid: Id,
    /// Group.
    pub gid: Id,
    /// Where its path was written.
    pub spot: Spot,
}

/// What a [`FileEntry`] is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Symlink(String),
    /// A file with this text.
    Contents(String),
    /// A copy of this file of the host: relative to the working directory, or below `~/`.
    Source(String),
    /// The merged configuration.
    Metadata(MetadataFormat),
}

/// How the configuration is written into the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetadataFormat {
    /// By [`Config::to_yaml`].
    Yaml,
    /// By [`Config::to_json`].
    Json,
}

impl Serialize for FileEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("path", &self.path)?;
        map.serialize_entry("directory", &matches!(self.kind, FileKind::Directory))?;
        match &self.kind {
            FileKind::Directory => {}
            FileKind::Symlink(target) => map.serialize_entry("symlink", target)?,
            FileKind::Contents(text) => map.serialize_entry("contents", text)?,
            FileKind::Source(path) => map.serialize_entry("source", path)?,
            FileKind::Metadata(format) => map.serialize_entry("metadata", format)?,
        }
        map.serialize_entry("optional", &self.optional)?;
        map.serialize_entry("mode", &format!("{:04o}", self.mode))?;
        for (key, id) in [("uid", &self.uid), ("gid", &self.gid)] {
            if *id != Id::ROOT {
                map.serialize_entry(key, id)?;
            }
        }
        map.end()
    }
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// By number.
    Number(u32),
    /// The one that was given to the container of this name.
    Name(String),
}

impl Id {
    /// The superuser.
    pub const ROOT: Id = Id::Number(0);
}

impl Default for Id {
    fn default() -> Self {
        Id::ROOT
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Name(name) => f.write_str(name),
        }
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Id::Number(number) => serializer.serialize_u32(*number),
            Id::Name(name) => serializer.serialize_str(name),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl de::Visitor<'_> for IdVisitor {
            type Value = Id;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or the name of a container")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Id, E> {
                u32::try_from(value).map(Id::Number).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Id, E> {
                u32::try_from(value).map(Id::Number).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Id, E> {
                // LinuxKit writes the superuser in these ways too.
                Ok(if matches!(value, "" | "root") { Id::ROOT } else { Id::Name(value.to_owned()) })
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

/// Which images must be signed, and by whose keys. LinuxKit dropped what enforced it; keys are ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(default)]
pub struct Trust {
    /// Images: all tags, where none is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image: Vec<String>,
    /// Organisations: the beginning of a repository's path, on every registry where none is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub org: Vec<String>,
    /// Public keys in PEM form, or files of such: a signature by one of them counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
}

impl Trust {
    fn is_empty(&self) -> bool {
        self.image.is_empty() && self.org.is_empty() && self.key.is_empty()
    }
}
