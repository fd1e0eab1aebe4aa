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
    use super::*;

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
