//! `@pkg:PATH`: an image that is named by the directory of its package.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::problem::Place;
use super::schema::CONTAINER_SECTIONS;
use super::yaml::{Node, Value};

/// Knows the image of a package that is built from a directory.
pub trait PackageResolver {
    /// The image reference, with tag, of the package in `dir`.
    ///
    /// # Errors
    /// A sentence that says why the directory is not a package, or has no tag.
    fn tag(&self, dir: &Path) -> Result<String, String>;
}

/// Replaces every `@pkg:PATH` and `@lkt:pkg:PATH` in the place of an image. What cannot be replaced is a problem.
pub(super) fn resolve(document: &mut Document<'_>, packages: &dyn PackageResolver) {
    let dir = document.dir.clone();
    let mut findings: Vec<(Place, String)> = Vec::new();
    let mut found: Vec<Place> = Vec::new();
    for node in image_nodes(&mut document.root) {
        let at = node.at;
        let Value::Text(text) = &mut node.value else { continue };
        match replacement(text, dir.as_deref(), packages) {
            Ok(None) => {}
            Ok(Some(image)) => {
                *text = image;
                found.push(at);
            }
            Err(error) => findings.push((at, error)),
        }
    }
    document.packages = found;
    for (at, message) in findings {
        document.problem(at, message);
    }
}

fn replacement(
    text: &str,
    dir: Option<&Path>,
    packages: &dyn PackageResolver,
) -> Result<Option<String>, String> {
    let Some(directive) = text.strip_prefix('@') else { return Ok(None) };
    let directive = directive.strip_prefix("lkt:").unwrap_or(directive);
    let Some(path) = directive.strip_prefix("pkg:").filter(|path| !path.is_empty()) else {
        return Err(format!("image `{text}` is no reference; a package's directory is written `@pkg:PATH`"));
    };
    let Some(dir) = dir else {
        return Err(format!("`{text}` is relative to the configuration's directory, and this one has none"));
    };
    let package: PathBuf = dir.join(path).components().collect();
    packages
        .tag(&package)
        .map(Some)
        .map_err(|error| format!("cannot resolve `{text}` as the package in {}: {error}", package.display()))
}

/// Every node in the place of an image.
pub(super) fn image_nodes(root: &mut Node) -> impl Iterator<Item = &mut Node> {
    let entries = match &mut root.value {
        Value::Map(entries) => entries.as_mut_slice(),
        _ => &mut [],
    };
    entries.iter_mut().flat_map(|(key, section)| -> Vec<&mut Node> {
        match key.text.as_str() {
            "kernel" => section.get_mut("image").into_iter().collect(),
            "init" => section.items_mut().iter_mut().collect(),
            name if name == "volumes" || CONTAINER_SECTIONS.contains(&name) => {
                section.items_mut().iter_mut().filter_map(|item| item.get_mut("image")).collect()
            }
            _ => Vec::new(),
        }
    })
}
