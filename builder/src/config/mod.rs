//! The YAML: types, validation with line and column, merging.
//!
//! ```text
//! Source ─ parse ─▶ tree with places ─ schema, rules, @pkg ─▶ problems, or ─ decode, merge ─▶ Config
//! ```
//!
//! The format is LinuxKit's. Everything that can be found wrong is reported at once, each with its file, line
//! and column.

mod advice;
mod check;
mod decode;
mod document;
mod local_image;
mod order;
mod overrides;
mod package;
mod packages;
mod period;
mod problem;
mod resources;
mod rules;
mod schema;
mod supervision;
mod syntax;
#[cfg(test)]
mod tests;
mod types;
mod yaml;

use std::path::PathBuf;

use document::Document;
use yaml::Value;

pub use advice::{Advice, advise};
pub use document::MAX_PROBLEMS;
pub use local_image::{LocalForm, LocalImage};
pub use overrides::{BindNamespaces, Device, IdMapping, LABEL, Mount, Overrides, RuntimeOverrides};
pub use package::{build_arg, extra_source, fill_tag, inside, package_path, packages_pattern, read_package};
pub use packages::PackageResolver;
pub use period::Period;
pub use problem::{ConfigError, Problem, Spot};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, Network, Pids, Resources,
    ThrottleDevice, WeightDevice,
};
pub use schema::json_schema;
pub use supervision::{Health, HealthCheck, Off, Ready, Stop};
pub use syntax::{
    Bind, CAPABILITIES, Rlimit, Tmpfs, bind, capability, is_all, is_none, octal_mode, rlimit, tmpfs,
};
pub use types::{
    Config, Container, FileEntry, FileKind, Id, ImageUse, Kernel, MetadataFormat, Trust, Volume, VolumeFormat,
};

/// A text of configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in messages: a path, a URL, or `-`.
    pub name: String,
    /// The YAML.
    pub text: String,
    /// What `@pkg:` and images in files are relative to; `None` if it did not come from a local file.
    pub dir: Option<PathBuf>,
}

/// A configuration that is fit to be built.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// All sources together.
    pub config: Config,
    /// What the user should know.
    pub warnings: Vec<Problem>,
}

/// Reads, checks and merges sources, of which later ones add to earlier ones.
///
/// # Errors
/// Everything that was found wrong in all of them.
pub fn load(sources: &[Source], packages: &dyn PackageResolver) -> Result<Loaded, ConfigError> {
    let mut documents: Vec<Document<'_>> =
        sources.iter().map(|source| Document::read(&source.name, &source.text, source.dir.clone())).collect();
    for document in &mut documents {
        drop_empty_sections(document);
        check::check(document, &schema::CONFIG);
        packages::resolve(document, packages);
        local_image::locate(document);
    }
    rules::check(&mut documents);
    order::check(&mut documents);

    let mut config = Config::default();
    let sound = documents.iter().all(|document| document.problems.is_empty());
    if sound {
        for document in &mut documents {
            if let Err((at, message)) = decode::append(&mut config, document) {
                document.problem(at, message);
            }
        }
    }
    let problems = in_order(documents.iter_mut().map(|document| std::mem::take(&mut document.problems)));
    let warnings = in_order(documents.iter_mut().map(|document| std::mem::take(&mut document.warnings)));
    if problems.is_empty() {
        Ok(Loaded { config, warnings })
    } else {
        Err(ConfigError { problems, warnings })
    }
}

/// A section whose items are all commented out is as good as absent.
fn drop_empty_sections(document: &mut Document<'_>) {
    if let Value::Map(sections) = &mut document.root.value {
        sections.retain(|(key, node)| !(matches!(node.value, Value::Null) && schema::is_section(&key.text)));
    }
}

/// One list of all, each source's sorted by position.
fn in_order(lists: impl Iterator<Item = Vec<Problem>>) -> Vec<Problem> {
    lists
        .flat_map(|mut list| {
            list.sort_by_key(|problem| (problem.spot.line, problem.spot.column));
            list
        })
        .collect()
}
