//! The examples in the packages' READMEs: what people copy is what the suite boots.

use std::path::{Path, PathBuf};

use crate::root;

/// The example of a package: the first YAML block of `pkg/NAME/README.md`, in a file of `dir` that `lkb build` takes beside other
/// configurations.
///
/// # Panics
/// When the README has no such block, or the file cannot be written.
#[must_use]
pub fn example(package: &str, dir: &Path) -> PathBuf {
    let readme = root().join("pkg").join(package).join("README.md");
    let text = std::fs::read_to_string(&readme).unwrap_or_else(|e| panic!("{}: {e}", readme.display()));
    let yaml = first_yaml(&text).unwrap_or_else(|| panic!("{}: no ```yaml block", readme.display()));
    let path = dir.join(format!("{package}.yml"));
    let here = format!("@pkg:{}", root().display());
    std::fs::write(&path, yaml.replace("@pkg:..", &here))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    path
}

fn first_yaml(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("```yaml\n")?;
    Some(rest.split_once("```")?.0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lkb::config::{PackageResolver, Source, load};
    use lkb::pkg::manifest::{FILE, Manifest};
    use serde_json::Value;

    use super::*;

    /// What the table begins with that says what a package has, and why.
    const HAS: &str = "| it has | because |";

    /// Knows each package by its directory.
    struct Directories;

    impl PackageResolver for Directories {
        fn tag(&self, dir: &Path) -> Result<String, String> {
            let name = dir.file_name().ok_or("it has no name")?.to_string_lossy();
            match dir.join(FILE).is_file() {
                true => Ok(format!("lkb/{name}:1")),
                false => Err(format!("it has no {FILE}")),
            }
        }
    }

    /// The packages: name, manifest and README.
    fn packages() -> Vec<(String, Manifest, String)> {
        let mut packages = Vec::new();
        for entry in fs::read_dir(root().join("pkg")).expect("the packages") {
            let dir = entry.expect("a package").path();
            if dir.join(FILE).is_file() {
                let name = dir.file_name().expect("a name").to_string_lossy().into_owned();
                let manifest = Manifest::read(&dir, FILE).expect("its manifest");
                let readme = fs::read_to_string(dir.join("README.md"));
                packages.push((name, manifest, readme.expect("its README")));
            }
        }
        packages
    }

    /// The words in code of the table's left column.
    fn told(readme: &str) -> Vec<&str> {
        let table =
            readme.split_once(HAS).map(|(_, table)| table.trim_start_matches('\n')).unwrap_or_default();
        let rows = table.lines().take_while(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
    }

    /// What a README has to tell of a configuration: capabilities, binds by what they take from the machine, namespaces that are
    /// the machine's.
    fn powers(config: &Value) -> Vec<String> {
        let list = |key: &str| config[key].as_array().into_iter().flatten().filter_map(Value::as_str);
        let binds = list("binds").map(|bind| bind.split(':').next().unwrap_or_default().to_owned());
        let shared = ["net", "pid", "ipc"].into_iter().filter(|key| config[*key] == "host");
        let capabilities = list("capabilities").filter(|name| *name != "all").map(str::to_owned);
        capabilities.chain(binds).chain(shared.map(|key| format!("{key}: host"))).collect()
    }

    #[test]
    fn every_package_has_an_example_that_names_it_and_that_lkb_accepts() {
        for (name, _, readme) in packages() {
            let text = first_yaml(&readme).unwrap_or_else(|| panic!("{name}: no ```yaml block"));
            assert!(text.contains(&format!("\"@pkg:../pkg/{name}\"")), "{name}: not in its own example");
            let dir = Some(root().join("examples"));
            let source = Source { name: format!("pkg/{name}/README.md"), text: text.to_owned(), dir };
            let loaded = load(&[source], &Directories).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(loaded.warnings, [], "{name}");
        }
    }

    #[test]
    fn every_readme_says_why_its_package_has_what_it_has() {
        for (name, manifest, readme) in packages() {
            let Some(config) = &manifest.config else { continue };
            let told = told(&readme);
            let missing: Vec<String> =
                powers(config).into_iter().filter(|power| !told.contains(&power.as_str())).collect();
            assert!(missing.is_empty(), "{name}: nothing of {missing:?} below `{HAS}`");
            let all = config["capabilities"].as_array().is_some_and(|list| list.contains(&"all".into()));
            assert_eq!(all, readme.contains("| all capabilities"), "{name}: all capabilities");
            let none = config["capabilities"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(none, readme.contains("| no capability"), "{name}: no capability");
        }
    }

    #[test]
    fn what_is_told_is_the_code_in_the_left_column_of_that_table() {
        let readme =
            "`A`\n\n| it has | because |\n| --- | --- |\n| `B`, `C` | `D` |\n| no E | F |\n\n| `G` | |\n";
        assert_eq!(told(readme), ["B", "C"]);
        let config = serde_json::json!({
            "capabilities": ["all", "CAP_X"], "binds": ["/a:/b:ro"], "net": "host", "pid": "new",
        });
        assert_eq!(powers(&config), ["CAP_X", "/a", "net: host"]);
    }

    #[test]
    fn the_first_yaml_block_is_the_example() {
        let text = "# x\n\n```sh\nls\n```\n\n```yaml\na: 1\nb: 2\n```\n\n```yaml\nc: 3\n```\n";
        assert_eq!(first_yaml(text), Some("a: 1\nb: 2\n"));
        assert_eq!(first_yaml("```yaml\nno end"), None);
        assert_eq!(first_yaml("nothing"), None);
    }

    #[test]
    fn every_example_names_packages_from_where_examples_are() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let text = std::fs::read_to_string(example("format", dir.path())).expect("the example");
        assert!(text.contains(&format!("@pkg:{}/pkg/format", root().display())), "{text}");
    }
}
