//! `lkb schema`.

use super::{Context, Outcome, SUCCESS};
use crate::config;

/// Print the JSON schema of configurations, for editors
///
/// With `lkb schema >lkb.schema.json`, an editor's YAML language server checks and completes a configuration that
/// starts with the line `# yaml-language-server: $schema=lkb.schema.json`.
#[derive(Debug, clap::Args)]
pub struct Options {}

pub fn run(_: &Options, context: &Context) -> Outcome {
    context.terminal.print(serde_json::to_string_pretty(&config::json_schema())?)?;
    SUCCESS
}
