//! The keys of `build.yml`.
//!
//! Source: LinuxKit's `pkglib` and its documentation; `cargo` is ours.

use super::super::package;
use super::form::Language;
use super::{Field, Form, Kind, LABEL_KEYS, TEXT, TEXTS, optional, required};

/// The whole file.
pub(in crate::config) static PACKAGE: Kind = Kind::Object(&[KEYS]);

const IMAGE_NAME: Kind =
    Kind::Text(Form::Checked(&Language { check: package::image_name, pattern: "", words: &[] }));
const ORGANISATION: Kind =
    Kind::Text(Form::Checked(&Language { check: package::organisation, pattern: "", words: &[] }));
const TAG: Kind =
    Kind::Text(Form::Checked(&Language { check: package::tag_template, pattern: "", words: &[] }));
const INSIDE: Kind = Kind::Text(Form::Checked(&Language { check: package::inside, pattern: "", words: &[] }));
const EXTRA_SOURCE: Kind = Kind::Text(Form::Checked(&Language {
    check: |text| package::extra_source(text).map(drop),
    pattern: "",
    words: &[],
}));
const BUILD_ARG: Kind = Kind::Text(Form::Checked(&Language {
    check: |text| package::build_arg(text).map(drop),
    pattern: "",
    words: &[],
}));
const DIGESTED: Kind =
    Kind::Text(Form::Checked(&Language { check: package::digested, pattern: "", words: &[] }));

const ARCHITECTURES: &[&str] = &["amd64", "arm64", "riscv64", "s390x", "ppc64le"];

const KEYS: &[Field] = &[
    required("image", IMAGE_NAME, "Name of the image, without organisation and tag."),
    optional("org", ORGANISATION, "Organisation in front of the name: `linuxkit` unless given."),
    optional("tag", TAG, "The tag: `{{.Hash}}`, the content hash, unless given; text may stand around it."),
    optional("dockerfile", INSIDE, "The Dockerfile: `Dockerfile` unless given."),
    optional(
        "arches",
        Kind::List(&Kind::Text(Form::OneOf(ARCHITECTURES))),
        "What it can be built for: `amd64`, `arm64` and `riscv64` unless given.",
    ),
    optional(
        "extra-sources",
        Kind::List(&EXTRA_SOURCE),
        "`SOURCE:DESTINATION`: what comes into the build context from elsewhere.",
    ),
    optional("gitrepo", TEXT, "Where the sources live, for the label `org.opencontainers.image.source`."),
    optional("network", Kind::Bool, "Whether the build may use the network: it may not unless this is true."),
    optional("disable-cache", Kind::Bool, "Whether every step is run again that was run before."),
    optional(
        "config",
        Kind::Object(LABEL_KEYS),
        "How containers of it run: becomes the label `org.mobyproject.config`.",
    ),
    optional(
        "buildArgs",
        Kind::List(&BUILD_ARG),
        "`NAME=VALUE` for the Dockerfile; the value `@pkg:DIR` is that package's image.",
    ),
    optional("depends", Kind::Object(&[DEPENDS]), "What must be there before it can be built."),
    optional(
        "cargo",
        TEXTS,
        "Static binaries of the Rust workspace around it, put into the context as `bin/NAME`.",
    ),
];

const DEPENDS: &[Field] = &[optional(
    "docker-images",
    Kind::Object(&[DOCKER_IMAGES]),
    "Images that are put into the build context, as `docker save` writes them.",
)];

const DOCKER_IMAGES: &[Field] = &[
    optional("target", INSIDE, "The archive with all of them."),
    optional("target-dir", INSIDE, "The directory with an archive of each: `NAME@DIGEST.tar`."),
    optional("from-file", INSIDE, "A file of the package that lists them, one a line."),
    optional("list", Kind::List(&DIGESTED), "Their references, each with its digest."),
];
