//! `build.yml`: how a package is made (LinuxKit's keys, and `cargo`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::PkgError;
use crate::config::{self, ConfigError};

/// The manifest's usual file name.
pub const FILE: &str = "build.yml";

/// The largest manifest that is read, in bytes: a real one has under a hundred lines.
const MAX_BYTES: u64 = 256 * 1024;

/// A package's `build.yml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Name of the image, without organisation and tag.
    pub image: String,
    /// Organisation in front of the name.
    #[serde(default = "default_org")]
    pub org: String,
    /// Template of the tag; `{{.Hash}}` stands for the content hash.
    #[serde(default = "default_tag")]
    pub tag: String,
    /// The Dockerfile, relative to the package.
    #[serde(default = "default_dockerfile")]
    pub dockerfile: String,
    /// Architectures that the package can be built for, in Go's words.
    #[serde(default = "default_arches")]
    pub arches: Vec<String>,
    /// `SRC:DST`: directories from elsewhere that are put into the build context.
    #[serde(default)]
    pub extra_sources: Vec<ExtraSource>,
    /// Where the sources live, for a label.
    #[serde(default)]
    pub gitrepo: Option<String>,
    /// Whether the build may use the network.
    #[serde(default)]
    pub network: bool,
    /// Whether the driver must forget what it built before.
    #[serde(default)]
    pub disable_cache: bool,
    /// Run-time configuration, stored in the label `org.mobyproject.config`.
    #[serde(default)]
    pub config: Option<serde_json::Value>,
    /// `KEY=VALUE` for the Dockerfile; a value `@pkg:DIR` becomes that package's image.
    #[serde(default, rename = "buildArgs")]
    pub build_args: Vec<String>,
    /// What must be there before it can be built.
    #[serde(default)]
    pub depends: Depends,
    /// Static binaries of the surrounding Rust workspace, put into the context as `bin/NAME`.
    #[serde(default)]
    pub cargo: Vec<String>,
}

/// What a package needs that is no package of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Depends {
    /// Images that its build context must have.
    pub docker_images: Option<DockerImages>,
}

/// Images in the form of `docker save`, as files of the build context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct DockerImages {
    /// The archive with all of them.
    pub target: Option<String>,
    /// The directory with an archive of each.
    pub target_dir: Option<String>,
    /// A file of the package that lists them, one a line; lines that begin with `#` say nothing.
    pub from_file: Option<String>,
    /// Their references, each with its digest.
    pub list: Vec<String>,
}

/// One entry of `extra-sources`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ExtraSource {
    /// Directory or file to copy, relative to the package.
    pub from: PathBuf,
    /// Place in the build context, relative to it.
    pub to: PathBuf,
}

impl TryFrom<String> for ExtraSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (from, to) = config::extra_source(&text)?;
        Ok(Self { from: from.into(), to: to.into() })
    }
}

fn default_org() -> String {
    "linuxkit".into()
}
fn default_tag() -> String {
    "{{.Hash}}".into()
}
fn default_dockerfile() -> String {
    "Dockerfile".into()
}
fn default_arches() -> Vec<String> {
    ["amd64", "arm64", "riscv64"].map(String::from).into()
}

impl Manifest {
    /// Reads `DIR/NAME`.
    ///
    /// # Errors
    /// When the file can't be read, and everything that is wrong with it, with line and column.
    pub fn read(dir: &Path, name: &str) -> Result<Self, PkgError> {
        let file = dir.join(name);
        let missing = |source| PkgError::NoManifest { dir: dir.into(), file: file.clone(), source };
        let size = std::fs::metadata(&file).map_err(missing)?.len();
        if size > MAX_BYTES {
            let message = format!("{size} bytes are too many for a build.yml (at most {MAX_BYTES})");
            return Err(PkgError::Manifest { file, message });
        }
        let text = std::fs::read_to_string(&file).map_err(missing)?;
        Ok(Self::parse(&file.display().to_string(), &text)?)
    }

    /// Parses the text of a manifest, which is called `name` in errors.
    ///
    /// # Errors
    /// Everything that is wrong with it, with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        config::read_package(name, text)
    }

    /// Name and organisation: `ORG/IMAGE`.
    #[must_use]
    pub fn name(&self, org: Option<&str>) -> String {
        format!("{}/{}", org.unwrap_or(&self.org), self.image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_linuxkits() {
        let m = Manifest::parse("build.yml", "image: foo\n").unwrap();
        assert_eq!((m.name(None), m.name(Some("mine"))), ("linuxkit/foo".into(), "mine/foo".into()));
        assert_eq!((m.tag.as_str(), m.dockerfile.as_str()), ("{{.Hash}}", "Dockerfile"));
        assert_eq!(m.arches, ["amd64", "arm64", "riscv64"]);
        assert!(!m.network && !m.disable_cache);
    }

    #[test]
    fn every_key_of_linuxkit_is_read() {
        let text = "\
image: foo
org: acme
tag: v1-{{.Hash}}
dockerfile: build/Dockerfile
arches: [amd64]
extra-sources: [../common:/common]
gitrepo: https://git.example/foo
network: true
disable-cache: true
config: {net: host, binds: [/a:/b]}
buildArgs: [A=b]
depends: {docker-images: {target-dir: images, from-file: list}}
";
        let m = Manifest::parse("build.yml", text).unwrap();
        assert_eq!(m.extra_sources, [ExtraSource { from: "../common".into(), to: "common".into() }]);
        assert_eq!(m.config.unwrap()["net"], "host");
        let images = m.depends.docker_images.unwrap();
        assert_eq!(
            (images.target_dir.as_deref(), images.from_file.as_deref()),
            (Some("images"), Some("list"))
        );
        assert!(m.network && m.disable_cache);
    }

    #[test]
    fn a_wrong_manifest_says_what_is_wrong_and_where() {
        for (text, part) in [
            ("org: x\n", "1:1: image is required"),
            ("image: foo\ndockerfil: x\n", "2:1: unknown key `dockerfil`; did you mean `dockerfile`?"),
            ("image: foo\ndockerfile: ../x\n", "2:13: dockerfile: `../x` is outside the package"),
            ("image: foo\nextra-sources: [src]\n", "2:17: extra-sources[0]: `src` is no extra source"),
            ("image: foo\nextra-sources: [\"src:../x\"]\n", "is outside the build context"),
            ("image: foo\nbuildArgs: [X]\n", "2:13: buildArgs[0]: `X` is no build argument"),
            ("image: a/b\n", "1:8: image: `a/b` is not a plain image name"),
            ("image: foo\norg: Acme\n", "2:6: org: `Acme` is no name"),
            (
                "image: foo\nconfig:\n  binnds: [x]\n",
                "3:3: config: unknown key `binnds`; did you mean `binds`?",
            ),
            ("image: foo\nconfig:\n  ready: {}\n", "3:10: config.ready: give one of"),
            ("image: foo\ntag: \"{{.Tag}}\"\n", "2:6: tag: `{{.Tag}}` is no template"),
            ("image: foo\ntag: a b\n", "2:6: tag: `a b` makes no tag"),
            ("image: foo\narches: [x86_64]\n", "2:10: arches[0]: `x86_64` must be one of"),
            ("image: foo\nnetwork: 1\n", "2:10: network: expected true or false"),
            ("image: foo\nimage: bar\n", "2:1: key `image` is given twice"),
            ("image: foo\ndepends: {docker-images: {target: x, list: [a:1]}}\n", "`a:1` has no digest"),
            (
                "image: foo\ndepends: {docker-images: {target: x, target-dir: y, list: []}}\n",
                "`target` and `target-dir` exclude each other",
            ),
            ("image: foo\ndepends: {docker-images: {target: x}}\n", "one of `from-file` and `list`"),
            ("image: [\n", "p/build.yml:"),
            ("", "the file is empty"),
        ] {
            let e = Manifest::parse("p/build.yml", text).unwrap_err().to_string();
            assert!(e.contains(part) && e.starts_with("p/build.yml:"), "{text:?}: {e}");
        }
    }
}
