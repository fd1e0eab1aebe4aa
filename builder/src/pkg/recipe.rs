//! The part of a workspace's `Cargo.toml` and `Cargo.lock` that decides what a binary becomes.
//!
//! Both files change whenever any crate of the workspace takes a dependency. A package's tag changes only when its own
//! binaries can.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use toml::{Table, Value};

use super::PkgError;
use super::git::WorkTree;

/// Profiles that no package is built with.
const OTHER_PROFILES: [&str; 3] = ["dev", "test", "bench"];
/// What of `[workspace]` reaches a crate that inherits it, besides dependencies.
const INHERITED: &str = "package";
/// Tables of the top `Cargo.toml` that change what is compiled.
const TABLES: [&str; 3] = ["patch", "replace", "profile"];

/// Which crates a package's binaries are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The workspace's top directory.
    pub root: PathBuf,
    /// The workspace's crates that are compiled, by name.
    pub crates: BTreeSet<String>,
    /// What these depend on, by the name in their manifests.
    pub dependencies: BTreeSet<String>,
}

/// `Cargo.lock`, as far as it matters here (The Cargo Book, "Cargo.toml vs Cargo.lock").
#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    /// `NAME`, `NAME VERSION` or `NAME VERSION (SOURCE)`, as much as it takes to mean one.
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Locked {
    fn is(&self, wanted: &str) -> bool {
        let mut words = wanted.split(' ');
        words.next() == Some(&self.name) && words.next().is_none_or(|version| version == self.version)
    }
}

impl Recipe {
    /// The recipe's text as the work tree has it, and as `commit` has it; `None` when that lacks a file of it.
    ///
    /// # Errors
    /// When a file can't be read or understood.
    pub(super) fn texts(&self, tree: &WorkTree, commit: &str) -> Result<(String, Option<String>), PkgError> {
        let [manifest, lock] = ["Cargo.toml", "Cargo.lock"].map(|file| self.root.join(file));
        let read = |path: &Path| std::fs::read_to_string(path).map_err(PkgError::io("reading", path));
        let now = self.excerpt(&read(&manifest)?, &read(&lock)?)?;
        let then = match (tree.text(commit, &manifest)?, tree.text(commit, &lock)?) {
            (Some(manifest), Some(lock)) => Some(self.excerpt(&manifest, &lock)?),
            _ => None,
        };
        Ok((now, then))
    }

    /// What of these two files matters, in one order whatever theirs is.
    fn excerpt(&self, manifest: &str, lock: &str) -> Result<String, PkgError> {
        let manifest: Table = toml::from_str(manifest).map_err(|e| self.bad("Cargo.toml", &e))?;
        let lock: Lock = toml::from_str(lock).map_err(|e| self.bad("Cargo.lock", &e))?;
        Ok(json!({ "manifest": self.settings(manifest), "lock": self.locked(&lock) }).to_string())
    }

    fn settings(&self, mut manifest: Table) -> BTreeMap<String, Value> {
        let mut kept: BTreeMap<String, Value> = BTreeMap::new();
        for name in TABLES {
            kept.extend(manifest.remove(name).map(|table| (name.to_owned(), table)));
        }
        if let Some(Value::Table(profiles)) = kept.get_mut("profile") {
            profiles.retain(|name, _| !OTHER_PROFILES.contains(&name));
        }
        let Some(Value::Table(mut workspace)) = manifest.remove("workspace") else { return kept };
        kept.extend(workspace.remove(INHERITED).map(|table| (INHERITED.to_owned(), table)));
        if let Some(Value::Table(mut dependencies)) = workspace.remove("dependencies") {
            dependencies.retain(|name, _| self.dependencies.contains(name));
            kept.insert("dependencies".into(), Value::Table(dependencies));
        }
        kept
    }

    /// The locked crates that can be reached from ours: name, version and checksum, or source where there is none.
    fn locked(&self, lock: &Lock) -> BTreeSet<(String, String, String)> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&Locked> =
            lock.package.iter().filter(|p| p.source.is_none() && self.crates.contains(&p.name)).collect();
        while let Some(one) = open.pop() {
            let from = one.checksum.as_ref().or(one.source.as_ref()).cloned().unwrap_or_default();
            if found.insert((one.name.clone(), one.version.clone(), from)) {
                let needed = |wanted| lock.package.iter().filter(move |p| p.is(wanted));
                open.extend(one.dependencies.iter().flat_map(|wanted| needed(wanted)));
            }
        }
        found
    }

    fn bad(&self, file: &str, error: &toml::de::Error) -> PkgError {
        PkgError::Manifest { file: self.root.join(file), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"
        [workspace.package]
        edition = "2024"
        [workspace.dependencies]
        serde = "1"
        clap = "4"
        [profile.dist]
        lto = "fat"
        [profile.dev]
        debug = 1
    "#;
    const LOCK: &str = r#"
        [[package]]
        name = "init"
        version = "0.1.0"
        dependencies = ["serde 1.0.1", "layout"]
        [[package]]
        name = "layout"
        version = "0.1.0"
        [[package]]
        name = "builder"
        version = "0.1.0"
        dependencies = ["clap", "serde 0.9.0"]
        [[package]]
        name = "serde"
        version = "1.0.1"
        source = "registry"
        checksum = "aa"
        dependencies = ["derive"]
        [[package]]
        name = "derive"
        version = "1.0.0"
        source = "registry"
        checksum = "bb"
        [[package]]
        name = "serde"
        version = "0.9.0"
        source = "registry"
        checksum = "cc"
        [[package]]
        name = "clap"
        version = "4.0.0"
        source = "registry"
        checksum = "dd"
    "#;

    fn excerpt(manifest: &str, lock: &str) -> String {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let recipe = Recipe {
            root: "/src".into(),
            crates: names(&["init", "layout"]),
            dependencies: names(&["serde", "layout"]),
        };
        recipe.excerpt(manifest, lock).unwrap()
    }

    #[test]
    fn what_decides_what_a_binary_becomes_changes_the_recipe_and_nothing_else_does() {
        let cases = [
            // (in which file, what, becomes what, matters)
            ("manifest", "serde = \"1\"", "serde = { version = \"1\", features = [\"rc\"] }", true),
            ("manifest", "clap = \"4\"", "clap = \"5\"", false),
            ("manifest", "lto = \"fat\"", "lto = \"thin\"", true),
            ("manifest", "debug = 1", "debug = 2", false),
            ("manifest", "edition = \"2024\"", "edition = \"2021\"", true),
            ("manifest", "[profile.dev]", "# a comment\n[profile.dev]", false),
            ("lock", "checksum = \"aa\"", "checksum = \"ab\"", true),
            ("lock", "checksum = \"bb\"", "checksum = \"bc\"", true),
            ("lock", "checksum = \"cc\"", "checksum = \"cd\"", false),
            ("lock", "checksum = \"dd\"", "checksum = \"de\"", false),
            ("lock", "\"serde 1.0.1\", \"layout\"", "\"layout\"", true),
            ("lock", "[\"clap\", \"serde 0.9.0\"]", "[]", false),
        ];
        let before = excerpt(MANIFEST, LOCK);
        for (file, from, to, matters) in cases {
            let change = |name: &str, text: &str| match file == name {
                true => {
                    assert!(text.contains(from), "{from}");
                    text.replace(from, to)
                }
                false => text.to_owned(),
            };
            let after = excerpt(&change("manifest", MANIFEST), &change("lock", LOCK));
            assert_eq!(before != after, matters, "{from} to {to}");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_is_named() {
        let recipe = Recipe { root: "/src".into(), crates: BTreeSet::new(), dependencies: BTreeSet::new() };
        let error = recipe.excerpt("[", "").unwrap_err().to_string();
        assert!(error.contains("/src/Cargo.toml"), "{error}");
    }
}
