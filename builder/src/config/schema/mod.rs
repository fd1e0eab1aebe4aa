//! The keys of the YAML and the kinds of their values, as data: what is read is held against them, and editors get
//! them as a JSON schema.
//!
//! Source: LinuxKit's documentation and JSON schema; [`container::ISOLATION`], [`container::SUPERVISION`] and [`container::ORDER`] are ours.
//! Keys are case-sensitive.

mod container;
mod form;
mod json;
mod package;
mod resources;

use container::{CONTAINER, ISOLATION, ORDER, OVERRIDES, SUPERVISION};
use form::{FILE_PATH, IMAGE, MODE, VOLUME_NAME};

pub(super) use form::Form;
pub use json::json_schema;
pub(super) use package::PACKAGE;

/// What a value must be.
#[derive(Debug)]
pub(super) enum Kind {
    /// A string in this form.
    Text(Form),
    /// `true` or `false`.
    Bool,
    /// A whole number from the first to the second, inclusive.
    Int(i128, i128),
    /// A user or group: a number, or the name of a container.
    Id,
    /// A length of time of at least this many milliseconds.
    Period(u64),
    /// The word `none`, or this.
    OrNone(&'static Kind),
    /// A list of this.
    List(&'static Kind),
    /// A mapping from any key to this.
    Map(&'static Kind),
    /// A mapping with these keys and no others.
    Object(&'static [&'static [Field]]),
}

/// A key of a [`Kind::Object`].
#[derive(Debug)]
pub(super) struct Field {
    /// The key.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it is for, in a sentence.
    pub about: &'static str,
}

const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, required: false, about }
}

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { name, kind, required: true, about }
}

const TEXT: Kind = Kind::Text(Form::Any);
const TEXTS: Kind = Kind::List(&Kind::Text(Form::Any));

/// The whole file.
pub(super) static CONFIG: Kind = Kind::Object(&[SECTIONS]);

const SECTIONS: &[Field] = &[
    optional("kernel", Kind::Object(&[KERNEL]), "The kernel, if the machine is to boot by itself."),
    optional("init", Kind::List(&IMAGE), "Images that are unpacked over `/`, in this order."),
    optional("volumes", Kind::List(&Kind::Object(&[VOLUME])), "Directories that containers share."),
    optional("onboot", CONTAINERS, "Containers that run to their end, one after another, at boot."),
    optional("onshutdown", CONTAINERS, "Containers that run to their end, one after another, at shutdown."),
    optional("services", CONTAINERS, "Containers that run side by side for as long as the machine does."),
    optional(
        "files",
        Kind::List(&Kind::Object(&[FILE])),
        "Files of the root filesystem, written over what the images brought.",
    ),
    optional("trust", Kind::Object(&[TRUST]), "Which images must be signed, and by whose keys."),
];

/// The label `org.mobyproject.config` of an image, which knows nothing of the machine's other containers.
pub(super) static LABEL: Kind = Kind::Object(LABEL_KEYS);

const LABEL_KEYS: &[&[Field]] = &[OVERRIDES, ISOLATION, SUPERVISION];

/// A section of containers. [`BELONGS`] says which keys may stand in which.
const CONTAINERS: Kind = Kind::List(&Kind::Object(&[CONTAINER, OVERRIDES, ISOLATION, SUPERVISION, ORDER]));

/// The keys that only some sections of containers have.
pub(super) const BELONGS: [(&str, &[&str]); 8] = [
    ("restart", &["services"]),
    ("after", &["services"]),
    ("requires", &["services"]),
    ("ready", &["services"]),
    ("health", &["services"]),
    ("stop", &["services"]),
    ("timeout", &["onboot", "onshutdown"]),
    ("onFailure", &["onboot"]),
];

/// The sections that are lists of containers.
pub(super) const CONTAINER_SECTIONS: [&str; 3] = ["onboot", "onshutdown", "services"];

/// The keys of a probe: one of them must be given.
pub(super) const PROBES: [&str; 4] = ["log", "tcp", "exec", "file"];

/// The keys of a file that say what it is: one of them must be given, or `directory: true`.
pub(super) const FILE_KINDS: [&str; 4] = ["contents", "symlink", "source", "metadata"];

/// Whether a key may stand at the top of the file.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.name == name)
}

const KERNEL: &[Field] = &[
    optional("image", IMAGE, "The image that holds the files below."),
    optional("cmdline", TEXT, "The kernel command line."),
    optional("binary", TEXT, "The kernel's path in the image: `kernel` unless given."),
    optional(
        "tar",
        TEXT,
        "The modules' archive in the image: `kernel.tar` unless given; `none` if there is none.",
    ),
    optional("ucode", TEXT, "The processor microcode's path in the image."),
];

const VOLUME: &[Field] = &[
    required("name", VOLUME_NAME, "Unique; lower-case letters, digits, `_` and `-`."),
    optional("image", IMAGE, "What it holds at first; nothing if absent."),
    optional("readonly", Kind::Bool, "Whether containers may only read it."),
    optional(
        "format",
        Kind::Text(Form::OneOf(&["oci", "filesystem"])),
        "How the image is laid out in it: unpacked, or as an OCI image layout.",
    ),
    optional(
        "platforms",
        TEXTS,
        "Which platforms of the image are kept when the format is `oci`: the machine's unless given.",
    ),
];

const FILE: &[Field] = &[
    required("path", FILE_PATH, "Where it is in the image; a leading `/` means nothing."),
    optional("directory", Kind::Bool, "Whether it is a directory."),
    optional("symlink", TEXT, "It is a symbolic link to this."),
    optional("contents", TEXT, "It has this text."),
    optional("source", TEXT, "It is a copy of this file: relative to the working directory, or below `~/`."),
    optional(
        "metadata",
        Kind::Text(Form::OneOf(&["yaml", "json"])),
        "It has the merged configuration, in this form.",
    ),
    optional("optional", Kind::Bool, "Whether it is left out when its source cannot be read."),
    optional("mode", MODE, "Octal permission bits, in quotes: \"0600\" unless given, directories \"0700\"."),
    optional("uid", Kind::Id, "Its owner: a number, or the name of a container."),
    optional("gid", Kind::Id, "Its group: a number, or the name of a container."),
];

const TRUST: &[Field] = &[
    optional("image", TEXTS, "Images that must be signed: all tags, where none is written."),
    optional(
        "org",
        TEXTS,
        "Organisations whose images must be signed, on every registry where none is written: `acme`, `ghcr.io/acme`.",
    ),
    optional(
        "key",
        TEXTS,
        "Public keys in PEM form, or files of such relative to the working directory; --trust-key adds to them.",
    ),
];
