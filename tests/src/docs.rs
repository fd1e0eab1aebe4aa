//! What the documents list, held against what there is.

use crate::root;

fn text(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of `[workspace.dependencies]`, but for our own crates.
fn dependencies(manifest: &str) -> Vec<&str> {
    let (_, section) = manifest.split_once("\n[workspace.dependencies]\n").expect("the section");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let entries = lines.filter(|line| line.starts_with(|c: char| c.is_ascii_alphanumeric()));
    let others = entries.filter(|line| !line.contains("{ path = "));
    others.filter_map(|line| Some(line.split_once([' ', '.', '='])?.0)).collect()
}

/// The crates in the left column of the first table.
fn listed(document: &str) -> Vec<&str> {
    let rows =
        document.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split(',').map(str::trim)).collect()
}

#[test]
fn every_crate_that_is_depended_on_has_its_reason_in_the_list() {
    let (manifest, document) = (text("Cargo.toml"), text("docs/dependencies.md"));
    let listed = listed(&document);
    let missing: Vec<&str> =
        dependencies(&manifest).into_iter().filter(|name| !listed.contains(name)).collect();
    assert!(missing.is_empty(), "docs/dependencies.md has nothing of {missing:?}");
}

#[test]
fn every_package_is_in_the_list_of_packages() {
    let document = text("pkg/README.md");
    let packages = std::fs::read_dir(root().join("pkg")).expect("the packages");
    let packages = packages.map(|entry| entry.expect("a package"));
    let names = packages.filter(|entry| entry.path().join("build.yml").is_file()).map(|e| e.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let missing: Vec<String> =
        names.filter(|name| !document.contains(&format!("[{name}]({name})"))).collect();
    assert!(missing.is_empty(), "pkg/README.md has nothing of {missing:?}");
}
