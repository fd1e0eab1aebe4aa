//! What every build is told about its package: build arguments that a Dockerfile may ask for, and labels of the image.

use std::path::Path;

use super::PkgError;
use super::argument::Value;
use super::dockerfile::{declares, takes_image};
use super::git::WorkTree;
use super::graph::Package;

/// Variables that say how the network is reached; they may hold passwords, and so have no values on command lines.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
];

/// Build arguments: the package's own, and those that LinuxKit gives to every Dockerfile that asks for them and does not
/// have them otherwise. One without a value has that of the variable of its name.
///
/// # Errors
/// When git fails.
pub fn arguments(
    package: &Package,
    dockerfile: &str,
    references: impl Fn(&Path) -> Option<String>,
    network: bool,
) -> Result<Vec<(String, Option<String>)>, PkgError> {
    let mut arguments: Vec<(String, Option<String>)> = Vec::new();
    for argument in &package.arguments {
        match &argument.value {
            Value::Text(text) => arguments.push((argument.name.clone(), Some(text.clone()))),
            // Whose files are taken, is handed to the driver as an image.
            Value::Package(_) if takes_image(dockerfile, &argument.name) => {}
            Value::Package(dir) => arguments.push((argument.name.clone(), references(dir))),
        }
    }
    let mut offer = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty())
            && declares(dockerfile, name)
            && package.arguments.iter().all(|argument| argument.name != name)
        {
            arguments.push((name.into(), Some(value)));
        }
    };
    offer("SOURCE", package.manifest.gitrepo.clone());
    offer("REVISION", package.hash.revision.clone());
    offer("SOURCE_DATE_EPOCH", Some(crate::tree::GENERATED_MTIME.to_string()));
    offer("PKG_HASH", Some(package.hash.text.clone()));
    offer("PKG_IMAGE", Some(package.name.clone()));
    if declares(dockerfile, "GOPKGVERSION")
        && let Some(tree) = WorkTree::around(&package.dir)?
    {
        offer("GOPKGVERSION", Some(tree.go_version("HEAD")?));
    }
    if network {
        let set = PROXIES.iter().filter(|name| std::env::var_os(name).is_some());
        arguments.extend(set.map(|name| ((*name).to_owned(), None)));
    }
    Ok(arguments)
}

/// Labels of the image. The same sources have the same labels on every machine: the revision is the last commit that changed
/// them, and not the one that happens to be checked out.
#[must_use]
pub fn labels(package: &Package) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut add =
        |name: &str, value: Option<String>| labels.extend(value.map(|value| (name.to_owned(), value)));
    add("org.mobyproject.config", package.manifest.config.as_ref().map(ToString::to_string));
    add("org.opencontainers.image.source", package.manifest.gitrepo.clone());
    add("org.opencontainers.image.revision", package.hash.revision.clone());
    add("org.mobyproject.linuxkit.version", Some(concat!("lkb-", env!("CARGO_PKG_VERSION")).into()));
    // `make` sets it.
    add("org.mobyproject.linuxkit.revision", option_env!("LKB_COMMIT").map(String::from));
    labels
}
