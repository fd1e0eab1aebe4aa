//! Which package needs which: found by following `@pkg:` through the manifests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::PkgError;
use super::hash::{Sources, content_hash};
use super::manifest::{self, Manifest};

/// How packages are looked at; the same for all packages of one command.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// File name of the manifest, if not `build.yml`.
    pub build_yml: Option<String>,
    /// Organisation instead of the manifest's.
    pub org: Option<String>,
    /// Tag hash instead of the computed one.
    pub hash: Option<String>,
}

/// A package whose manifest was read and whose tag is known.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its directory, absolute.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// `ORG/IMAGE:TAG`.
    pub reference: String,
    /// For each build argument that names a package: the argument and that package's directory.
    pub needs: Vec<(String, PathBuf)>,
}

/// The packages `dirs` and all that they need; each stands after what it needs.
///
/// # Errors
/// When a manifest can't be read, or packages need each other in a circle.
pub fn resolve(dirs: &[PathBuf], options: &Options) -> Result<Vec<Package>, PkgError> {
    let mut walk = Walk { options, open: Vec::new(), done: HashMap::new(), order: Vec::new() };
    for dir in dirs {
        walk.visit(dir)?;
    }
    Ok(walk.order)
}

struct Walk<'a> {
    options: &'a Options,
    /// The packages between the start and here: meeting one of them again is a circle.
    open: Vec<PathBuf>,
    done: HashMap<PathBuf, usize>,
    order: Vec<Package>,
}

impl Walk<'_> {
    fn visit(&mut self, dir: &Path) -> Result<(), PkgError> {
        let dir = dir.canonicalize().map_err(|source| PkgError::NoManifest {
            dir: dir.into(),
            file: dir.join(manifest::FILE),
            source,
        })?;
        if self.done.contains_key(&dir) {
            return Ok(());
        }
        if let Some(start) = self.open.iter().position(|p| *p == dir) {
            let circle = self.open[start..].iter().chain([&dir]).cloned().collect();
            return Err(PkgError::Cycle(circle));
        }
        let manifest = Manifest::read(&dir, self.options.build_yml.as_deref().unwrap_or(manifest::FILE))?;
        let needs: Vec<_> = manifest.needs().map(|(key, path)| (key.to_string(), dir.join(path))).collect();
        self.open.push(dir.clone());
        for (_, needed) in &needs {
            self.visit(needed)?;
        }
        self.open.pop();

        let hash = match &self.options.hash {
            Some(hash) => hash.clone(),
            None => content_hash(&dir, &sources(&dir, &manifest)?)?,
        };
        let reference = manifest.reference(self.options.org.as_deref(), &hash);
        self.done.insert(dir.clone(), self.order.len());
        self.order.push(Package { dir, manifest, reference, needs });
        Ok(())
    }
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
