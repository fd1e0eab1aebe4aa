//! Static binaries of a Rust workspace.
//!
//! They are built on the host with its cargo and shared target directory, not in a Dockerfile stage: all
//! packages of a workspace then compile their dependencies once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::PkgError;
use super::hash::Sources;
use super::recipe::Recipe;

/// Static needs the target to be named: else procedural macros, which are loaded at run time, would be static too.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// The cargo profile of what boots.
const PROFILE: &str = "dist";

/// A Rust workspace, as `cargo metadata` tells it.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    #[serde(rename = "workspace_root")]
    root: PathBuf,
    #[serde(rename = "target_directory")]
    target: PathBuf,
    packages: Vec<Crate>,
}

#[derive(Debug, Deserialize)]
struct Crate {
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    rename: Option<String>,
    path: Option<PathBuf>,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

impl Crate {
    fn dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    fn has_binary(&self, name: &str) -> bool {
        self.targets.iter().any(|t| t.name == name && t.kind.iter().any(|k| k == "bin"))
    }
}

impl Workspace {
    /// The workspace that holds `dir`.
    ///
    /// # Errors
    /// When cargo is missing or finds no workspace.
    pub fn around(dir: &Path) -> Result<Self, PkgError> {
        let args = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
        let out = run(Command::new("cargo").current_dir(dir).args(args), "looking for the Rust workspace")?;
        serde_json::from_slice(&out).map_err(|e| PkgError::Manifest {
            file: dir.join("Cargo.toml"),
            message: format!("cargo metadata says what can't be understood: {e}"),
        })
    }

    /// What decides what `binaries` become: the directories of their crates and of the crates below them, and the
    /// recipe that these are compiled by.
    ///
    /// # Errors
    /// When the workspace has no such binary.
    pub fn sources(&self, binaries: &[String]) -> Result<Sources, PkgError> {
        let by_dir: HashMap<&Path, &Crate> = self.packages.iter().map(|c| (c.dir(), c)).collect();
        let mut open = Vec::new();
        for name in binaries {
            open.push(self.crate_of(name)?.dir());
        }
        let mut paths = BTreeSet::new();
        let mut recipe =
            Recipe { root: self.root.clone(), crates: BTreeSet::new(), dependencies: BTreeSet::new() };
        while let Some(dir) = open.pop() {
            if !paths.insert(dir.to_path_buf()) {
                continue;
            }
            let Some(one) = by_dir.get(dir) else { continue };
            recipe.crates.insert(one.name.clone());
            for wanted in one.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")) {
                recipe.dependencies.insert(wanted.rename.as_ref().unwrap_or(&wanted.name).clone());
                open.extend(wanted.path.as_deref());
            }
        }
        Ok(Sources { paths: paths.into_iter().collect(), recipe: Some(recipe) })
    }

    /// The crates that `binaries` are of, each with those of them that are its own.
    ///
    /// They are compiled crate by crate: what is built together shares the features of its dependencies, so that a binary
    /// would depend on which others are wanted.
    ///
    /// # Errors
    /// When the workspace has no such binary.
    pub fn crates_of(&self, binaries: &BTreeSet<String>) -> Result<BTreeMap<String, Vec<String>>, PkgError> {
        let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for binary in binaries {
            crates.entry(self.crate_of(binary)?.name.clone()).or_default().push(binary.clone());
        }
        Ok(crates)
    }

    /// Where a binary is when it has been compiled.
    #[must_use]
    pub fn made(&self, binary: &str) -> PathBuf {
        self.target.join(TARGET).join(PROFILE).join(binary)
    }

    /// Compiles binaries of a crate, and returns what cargo warns of. `shown`: it says on standard error what it does, instead.
    ///
    /// # Errors
    /// When cargo fails.
    pub fn compile(&self, name: &str, binaries: &[String], shown: bool) -> Result<String, PkgError> {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&self.root).args(["build", "--locked", "--profile", PROFILE, "--target", TARGET]);
        cargo.env("RUSTFLAGS", self.flags()).env_remove("CARGO_ENCODED_RUSTFLAGS").args(["--package", name]);
        for binary in binaries {
            cargo.args(["--bin", binary]);
        }
        cargo.stdin(Stdio::null());
        match shown {
            true => cargo.stderr(Stdio::inherit()),
            false => cargo.arg("--quiet").stderr(Stdio::piped()),
        };
        let out = cargo.output().map_err(|_| missing())?;
        let said = String::from_utf8_lossy(&out.stderr).trim_end().to_owned();
        if out.status.success() {
            return Ok(said);
        }
        Err(PkgError::Command {
            doing: format!("compiling {}", binaries.join(", ")),
            command: format!("cargo build --profile {PROFILE} --package {name}"),
            outcome: out.status.to_string(),
            output: said,
        })
    }

    /// What rustc is told.
    fn flags(&self) -> String {
        // Linked for one address: relocating a static-pie touches 250 kB in every process, and takes 300 kB of the file.
        // Stack, heap and mappings are at random addresses all the same.
        // No path of this machine goes into a binary, so that another machine makes the same one. What build scripts write is
        // in the target directory, which CARGO_TARGET_DIR may have elsewhere.
        format!(
            "-C target-feature=+crt-static -C relocation-model=static --remap-path-prefix={}=/src \
             --remap-path-prefix={}=/src/target --remap-path-prefix={}=/cargo",
            self.root.display(),
            self.target.display(),
            cargo_home().display(),
        )
    }

    fn crate_of(&self, binary: &str) -> Result<&Crate, PkgError> {
        self.packages.iter().find(|c| c.has_binary(binary)).ok_or_else(|| PkgError::Manifest {
            file: self.root.join("Cargo.toml"),
            message: format!("the workspace has no binary `{binary}`"),
        })
    }

    /// The workspace's top directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

fn run(command: &mut Command, doing: &str) -> Result<Vec<u8>, PkgError> {
    let out = command.output().map_err(|_| missing())?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    Err(PkgError::Command {
        doing: doing.into(),
        command: format!("{command:?}"),
        outcome: out.status.to_string(),
        output: String::from_utf8_lossy(&out.stderr).trim_end().into(),
    })
}

fn missing() -> PkgError {
    PkgError::Missing {
        doing: "compiling a package's binaries".into(),
        program: "cargo".into(),
        remedy: "install Rust".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sources_of_a_binary_are_its_crate_the_crates_below_it_and_what_they_depend_on() {
        let workspace = Workspace::around(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let sources = workspace.sources(&["init".into()]).unwrap();
        let below =
            |path: &PathBuf| path.strip_prefix(workspace.root()).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            sources.paths.iter().map(below).collect::<Vec<_>>(),
            ["device-mapper", "init", "kmod", "layout"]
        );
        let recipe = sources.recipe.unwrap();
        assert_eq!(Vec::from_iter(&recipe.crates), ["device-mapper", "image-layout", "kmod", "lk-init"]);
        assert!(recipe.dependencies.contains("libcontainer"), "{:?}", recipe.dependencies);
        assert!(!recipe.dependencies.contains("clap"), "{:?}", recipe.dependencies);
    }

    #[test]
    fn paths_in_a_binary_are_the_same_wherever_its_target_directory_is() {
        let at = |target: &str| {
            Workspace { root: "/w".into(), target: target.into(), packages: Vec::new() }.flags()
        };
        for target in ["/w/target", "/elsewhere"] {
            assert!(at(target).contains(&format!("={target}=/src/target ")), "{}", at(target));
        }
    }

    #[test]
    fn an_unknown_binary_is_named() {
        let workspace = Workspace::around(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let error = workspace.sources(&["nope".into()]).unwrap_err().to_string();
        assert!(error.contains("`nope`"), "{error}");
    }
}
