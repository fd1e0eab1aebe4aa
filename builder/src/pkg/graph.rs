//! Which package needs which: found by following `@pkg:` through the manifests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::PkgError;
use super::argument::{self, Argument, Look, Value};
use super::dockerfile::takes_image;
use super::hash::{ContentHash, Sources, State, content_hash};
use super::manifest::{self, Manifest};
use crate::config::fill_tag;

/// How packages are looked at. The packages that these need are looked at with `build_yml` and `org` alone.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// File name of the manifest, if not `build.yml`.
    pub build_yml: Option<String>,
    /// Organisation instead of the manifest's.
    pub org: Option<String>,
    /// Content hash instead of the computed one.
    pub hash: Option<String>,
    /// Template of the tag instead of the manifest's.
    pub tag: Option<String>,
    /// What is hashed.
    pub state: State,
    /// Dockerfile instead of the manifest's.
    pub dockerfile: Option<String>,
    /// Build arguments over those of the manifest.
    pub arguments: Vec<Argument>,
}

impl Options {
    /// The file name of the manifests.
    fn build_yml(&self) -> &str {
        self.build_yml.as_deref().unwrap_or(manifest::FILE)
    }

    /// How packages are looked at that these need.
    fn of_needed(&self) -> Self {
        Self { build_yml: self.build_yml.clone(), org: self.org.clone(), ..Self::default() }
    }

    /// How packages are looked at for build arguments.
    #[must_use]
    pub fn look(&self) -> Look<'_> {
        Look { build_yml: self.build_yml(), org: self.org.as_deref() }
    }
}

/// A package whose manifest was read and whose tag is known.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its directory, absolute.
    pub dir: PathBuf,
    /// Its manifest, with what the options say instead.
    pub manifest: Manifest,
    /// `ORG/IMAGE`.
    pub name: String,
    /// `ORG/IMAGE:TAG`.
    pub reference: String,
    /// What the tag is made of.
    pub hash: ContentHash,
    /// Its build arguments; a package is named by its absolute directory.
    pub arguments: Vec<Argument>,
    /// The packages of which its Dockerfile takes files: their directories, absolute.
    pub needs: Vec<PathBuf>,
}

/// The packages `dirs` and all that their build arguments name; each stands after those.
///
/// # Errors
/// When a manifest can't be read, or packages need each other in a circle.
pub fn resolve(dirs: &[PathBuf], options: &Options) -> Result<Vec<Package>, PkgError> {
    let of_needed = options.of_needed();
    let mut walk = Walk { options, of_needed, open: Vec::new(), done: HashMap::new(), order: Vec::new() };
    for dir in dirs {
        walk.visit(dir)?;
    }
    Ok(walk.order)
}

struct Walk<'a> {
    options: &'a Options,
    of_needed: Options,
    /// The packages between the start and here: meeting one of them again is a circle.
    open: Vec<PathBuf>,
    done: HashMap<PathBuf, usize>,
    order: Vec<Package>,
}

impl Walk<'_> {
    fn visit(&mut self, dir: &Path) -> Result<(), PkgError> {
        let dir = dir.canonicalize().map_err(|source| PkgError::NoManifest {
            dir: dir.into(),
            file: dir.join(self.options.build_yml()),
            source,
        })?;
        if self.done.contains_key(&dir) {
            return Ok(());
        }
        if let Some(start) = self.open.iter().position(|p| *p == dir) {
            let circle = self.open[start..].iter().chain([&dir]).cloned().collect();
            return Err(PkgError::Cycle(circle));
        }
        let options = if self.open.is_empty() { self.options.clone() } else { self.of_needed.clone() };
        let (manifest, arguments) = read(&dir, &options)?;
        self.open.push(dir.clone());
        for argument in &arguments {
            if let Value::Package(needed) = &argument.value {
                self.visit(needed)?;
            }
        }
        self.open.pop();

        let mut hash = content_hash(&dir, &sources(&dir, &manifest)?, &options.state)?;
        if let Some(text) = &options.hash {
            hash.text.clone_from(text);
        }
        let tag = fill_tag(&manifest.tag, &hash.text)
            .map_err(|message| PkgError::Manifest { file: dir.join(options.build_yml()), message })?;
        let name = manifest.name(options.org.as_deref());
        let needs = needs(&dir.join(&manifest.dockerfile), &arguments);
        let package = Package {
            dir: dir.clone(),
            manifest,
            reference: format!("{name}:{tag}"),
            name,
            hash,
            arguments,
            needs,
        };
        self.done.insert(dir, self.order.len());
        self.order.push(package);
        Ok(())
    }
}

/// The manifest with what the options say instead, and the build arguments.
fn read(dir: &Path, options: &Options) -> Result<(Manifest, Vec<Argument>), PkgError> {
    let mut manifest = Manifest::read(dir, options.build_yml())?;
    if let Some(tag) = &options.tag {
        manifest.tag.clone_from(tag);
    }
    if let Some(dockerfile) = &options.dockerfile {
        manifest.dockerfile.clone_from(dockerfile);
    }
    let mut arguments = Vec::new();
    for text in &manifest.build_args {
        arguments.extend(argument::expand(text, dir, options.look())?);
    }
    argument::override_with(&mut arguments, &options.arguments);
    for argument in &mut arguments {
        if let Value::Package(needed) = &mut argument.value {
            let file = needed.join(options.build_yml());
            *needed = needed.canonicalize().map_err(|source| PkgError::NoManifest {
                dir: needed.clone(),
                file,
                source,
            })?;
        }
    }
    Ok((manifest, arguments))
}

/// The packages that a Dockerfile takes files of. One that is not there is told when it is to be run.
fn needs(dockerfile: &Path, arguments: &[Argument]) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(dockerfile).unwrap_or_default();
    let mut needs = Vec::new();
    for argument in arguments {
        if let Value::Package(dir) = &argument.value
            && takes_image(&text, &argument.name)
            && !needs.contains(dir)
        {
            needs.push(dir.clone());
        }
    }
    needs
}

/// What goes into a package besides its own directory.
fn sources(dir: &Path, manifest: &Manifest) -> Result<Sources, PkgError> {
    let mut sources = match manifest.cargo.as_slice() {
        [] => Sources::default(),
        binaries => super::cargo::Workspace::around(dir)?.sources(binaries)?,
    };
    let extra = manifest.extra_sources.iter().map(|s| dir.join(&s.from));
    sources.paths.splice(..0, extra);
    Ok(sources)
}

/// Replaces `@pkg:DIR` in a YAML by the package's reference.
#[derive(Debug, Clone, Default)]
pub struct Resolver {
    /// How packages are looked at.
    pub options: Options,
}

impl crate::config::PackageResolver for Resolver {
    fn tag(&self, dir: &Path) -> Result<String, String> {
        let packages = resolve(&[dir.to_path_buf()], &self.options).map_err(|e| e.to_string())?;
        packages.last().map(|p| p.reference.clone()).ok_or_else(|| format!("no package in {}", dir.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(root: &Path, name: &str, needs: &[&str]) -> PathBuf {
        let dir = root.join(name);
        std::fs::create_dir_all(&dir).unwrap();
        let args: Vec<String> = needs.iter().map(|n| format!("\"{n}=@pkg:../{n}\"")).collect();
        std::fs::write(dir.join("build.yml"), format!("image: {name}\nbuildArgs: [{}]\n", args.join(", ")))
            .unwrap();
        dir
    }

    fn options() -> Options {
        Options { hash: Some("h".into()), ..Options::default() }
    }

    #[test]
    fn a_package_comes_after_what_it_needs_and_only_once() {
        let root = tempfile::tempdir().unwrap();
        let a = package(root.path(), "a", &["b", "c"]);
        package(root.path(), "b", &["c"]);
        package(root.path(), "c", &[]);
        let order: Vec<_> =
            resolve(&[a], &options()).unwrap().into_iter().map(|p| p.manifest.image).collect();
        assert_eq!(order, ["c", "b", "a"]);
    }

    #[test]
    fn a_circle_is_named() {
        let root = tempfile::tempdir().unwrap();
        let a = package(root.path(), "a", &["b"]);
        package(root.path(), "b", &["c"]);
        package(root.path(), "c", &["b"]);
        let error = resolve(&[a], &options()).unwrap_err();
        assert!(matches!(&error, PkgError::Cycle(c) if c.len() == 3), "{error}");
        let text = error.to_string();
        assert!(text.contains("/b → ") && text.contains("/c → "), "{text}");
    }

    #[test]
    fn a_missing_package_is_named() {
        let error = resolve(&[PathBuf::from("/nonexistent/x")], &options()).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/x"), "{error}");
    }
}
