//! `build.yml`: how a package is made (LinuxKit's fields, and `cargo`).

use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::PkgError;

/// The manifest's usual file name.
pub const FILE: &str = "build.yml";

/// The largest manifest that is read, in bytes: a real one has under a hundred lines.
const MAX_BYTES: u64 = 256 * 1024;

/// A package's `build.yml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// Architectures that the package can be built for.
    #[serde(default = "default_arches")]
    pub arches: Vec<String>,
    /// `SRC:DST`: directories from elsewhere that are put into the build context.
    #[serde(default, rename = "extra-sources")]
    pub extra_sources: Vec<ExtraSource>,
    /// Where the sources live, for a label.
    #[serde(default)]
    pub gitrepo: Option<String>,
    /// Whether the build may use the network.
    #[serde(default)]
    pub network: bool,
    /// Whether the driver must forget what it built before.
    #[serde(default, rename = "disable-cache")]
    pub disable_cache: bool,
    /// Run-time configuration, stored in the label `org.mobyproject.config`.
    #[serde(default)]
    pub config: Option<serde_json::Value>,
    /// `KEY=VALUE` for the Dockerfile; a value `@pkg:DIR` becomes that package's image.
    #[serde(default, rename = "buildArgs")]
    pub build_args: Vec<String>,
    /// Static binaries of the surrounding Rust workspace, put into the context as `bin/NAME`.
    #[serde(default)]
    pub cargo: Vec<String>,
}

/// One entry of `extra-sources`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ExtraSource {
    /// Directory or file to copy, relative to the package.
    pub from: PathBuf,
    /// Place in the build context.
    pub to: PathBuf,
}

impl TryFrom<String> for ExtraSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (from, to) =
            text.split_once(':').ok_or_else(|| format!("extra-sources: expected SRC:DST, found {text:?}"))?;
        let to = PathBuf::from(to);
        if !stays_inside(&to) {
            return Err(format!("extra-sources: {text:?} would leave the build context"));
        }
        Ok(Self { from: PathBuf::from(from), to })
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
    /// When the file can't be read, is not YAML, or holds a key that does not exist.
    pub fn read(dir: &Path, name: &str) -> Result<Self, PkgError> {
        let file = dir.join(name);
        let missing = |source| PkgError::NoManifest { dir: dir.into(), file: file.clone(), source };
        let size = std::fs::metadata(&file).map_err(missing)?.len();
        if size > MAX_BYTES {
            let message = format!("{size} bytes are too many for a build.yml (at most {MAX_BYTES})");
            return Err(PkgError::Manifest { file, message });
        }
        let text = std::fs::read_to_string(&file).map_err(missing)?;
        Self::parse(&text).map_err(|message| PkgError::Manifest { file: file.clone(), message })
    }

    /// Parses the text of a manifest.
    ///
    /// # Errors
    /// A message with line and column where the YAML itself is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        if manifest.image.is_empty() || manifest.image.contains(['/', ':', '@']) {
            return Err(format!("image: {:?} is not a plain image name", manifest.image));
        }
        if !stays_inside(Path::new(&manifest.dockerfile)) {
            return Err(format!("dockerfile: {:?} is outside the package", manifest.dockerfile));
        }
        if let Some(arg) = manifest.build_args.iter().find(|a| !a.contains('=')) {
            return Err(format!("buildArgs: expected KEY=VALUE, found {arg:?}"));
        }
        if let Some(config) = &manifest.config {
            crate::config::Overrides::from_label(&config.to_string()).map_err(|e| format!("config: {e}"))?;
        }
        Ok(manifest)
    }

    /// The packages that this one's build arguments name, as `(KEY, DIR)`.
    pub fn needs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.build_args.iter().filter_map(|arg| {
            let (key, value) = arg.split_once('=')?;
            Some((key, package_path(value)?))
        })
    }

    /// `ORG/IMAGE:TAG` for a content hash.
    #[must_use]
    pub fn reference(&self, org: Option<&str>, hash: &str) -> String {
        let tag = self.tag.replace("{{.Hash}}", hash);
        format!("{}/{}:{tag}", org.unwrap_or(&self.org), self.image)
    }
}

/// The directory in `@pkg:DIR`, if it is one.
#[must_use]
pub fn package_path(value: &str) -> Option<&str> {
    value.strip_prefix("@pkg:").or_else(|| value.strip_prefix("@lkt:pkg:"))
}

/// Whether a relative path has no `..` and is not absolute.
fn stays_inside(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
        && path.components().next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_linuxkits() {
        let m = Manifest::parse("image: foo\n").unwrap();
        assert_eq!(m.reference(None, "abc"), "linuxkit/foo:abc");
        assert_eq!(m.reference(Some("mine"), "abc"), "mine/foo:abc");
        assert_eq!(m.dockerfile, "Dockerfile");
        assert!(!m.network);
    }

    #[test]
    fn a_wrong_manifest_says_what_is_wrong() {
        for (text, part) in [
            ("org: x\n", "image"),
            ("image: foo\ndockerfil: x\n", "dockerfil"),
            ("image: foo\ndockerfile: ../x\n", "outside the package"),
            ("image: foo\nextra-sources: [src]\n", "SRC:DST"),
            ("image: foo\nextra-sources: [\"src:../x\"]\n", "leave the build context"),
            ("image: foo\nbuildArgs: [X]\n", "KEY=VALUE"),
            ("image: a/b\n", "plain image name"),
            ("image: foo\nconfig: {binnds: [x]}\n", "binnds"),
        ] {
            let e = Manifest::parse(text).unwrap_err();
            assert!(e.contains(part), "{text:?}: {e}");
        }
    }

    #[test]
    fn needed_packages_are_found_in_build_arguments() {
        let m =
            Manifest::parse("image: a\nbuildArgs: [\"A=@pkg:../b\", \"B=@lkt:pkg:../c\", C=d]\n").unwrap();
        assert_eq!(m.needs().collect::<Vec<_>>(), [("A", "../b"), ("B", "../c")]);
    }
}
