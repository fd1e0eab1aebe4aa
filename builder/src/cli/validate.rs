//! `lkb validate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::source::{self, Fault, SourceError};
use super::{Context, Outcome, SUCCESS};
use crate::config::{self, Advice, PackageResolver, Problem, Source, Spot};
use crate::pkg::manifest;

/// Check configurations and build nothing
///
/// Everything that is wrong is told at once, with file, line and column; no image is looked up. The exit status
/// is 1 when something is wrong; warnings, and advice on what services could do without, leave it 0.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The configurations, merged from left to right as `lkb build` does; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    /// It cannot be built.
    Error,
    /// It can be built, and may not be what was meant.
    Warning,
}

/// What was found, in the order in which it is told.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<(Severity, Problem)>,
    /// Of a configuration that can be built, what its services could do without.
    advice: Vec<Advice>,
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let findings = Findings::of(&options.files, &context.certificates);
    if context.terminal.is_json() {
        context.terminal.print(findings.to_json()?)?;
    } else {
        findings.tell(context)?;
        if findings.errors() == 0 && !context.terminal.is_quiet() {
            for file in &options.files {
                context.terminal.print(format_args!("{}: ok", file.display()))?;
            }
        }
    }
    if findings.errors() == 0 { SUCCESS } else { Ok(ExitCode::FAILURE) }
}

impl Findings {
    fn of(files: &[PathBuf], certificates: &[PathBuf]) -> Self {
        let mut sources: Vec<Source> = Vec::new();
        let mut findings = Self::default();
        for file in files {
            match source::read(file, certificates) {
                Ok(source) => sources.push(source),
                Err(error) => findings.found.push((Severity::Error, unread(&error))),
            }
        }
        // With a part missing, what the other parts refer to may be in that part.
        if findings.found.is_empty() {
            let (errors, warnings) = match config::load(&sources, &Directories) {
                Ok(loaded) => {
                    findings.advice = config::advise(&loaded.config);
                    (Vec::new(), loaded.warnings)
                }
                Err(error) => (error.problems, error.warnings),
            };
            findings.found.extend(errors.into_iter().map(|problem| (Severity::Error, problem)));
            findings.found.extend(warnings.into_iter().map(|problem| (Severity::Warning, problem)));
            findings.found.sort_by_key(|(_, Problem { spot, .. })| {
                let source = sources.iter().position(|source| *source.name == *spot.file);
                (source, spot.line, spot.column)
            });
        }
        findings
    }

    fn errors(&self) -> usize {
        self.found.iter().filter(|(severity, _)| *severity == Severity::Error).count()
    }

    fn tell(&self, context: &Context) -> std::io::Result<()> {
        for (severity, problem) in &self.found {
            let word = match severity {
                Severity::Error => "error",
                Severity::Warning if context.terminal.is_quiet() => continue,
                Severity::Warning => "warning",
            };
            let (spot, message, snippet) = (&problem.spot, &problem.message, problem.snippet());
            context
                .terminal
                .print(format_args!("{spot}: {word}: {message}\n{snippet}").to_string().trim_end())?;
        }
        for Advice { spot, name, could_drop } in self.advice.iter().filter(|_| !context.terminal.is_quiet()) {
            context.terminal.print(format_args!("{spot}: advice: {name} may be able to do without"))?;
            for what in could_drop {
                context.terminal.print(format_args!("  - {what}"))?;
            }
        }
        match self.errors() {
            0 => {}
            1 => context.terminal.note("1 error"),
            // Of a source that has more, the rest is not kept.
            errors @ config::MAX_PROBLEMS.. => context.terminal.note(format_args!("{errors} errors or more")),
            errors => context.terminal.note(format_args!("{errors} errors")),
        }
        Ok(())
    }

    fn to_json(&self) -> serde_json::Result<String> {
        let items: Vec<Item<'_>> = self.found.iter().map(Item::new).collect();
        serde_json::to_string_pretty(&items)
    }
}

/// A problem as programs read it.
#[derive(Debug, Serialize)]
struct Item<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    severity: Severity,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

impl<'a> Item<'a> {
    fn new((severity, problem): &'a (Severity, Problem)) -> Self {
        let (message, help) = problem.message_and_help();
        let Spot { file, line, column } = &problem.spot;
        Self { file, line: *line, column: *column, severity: *severity, message, help }
    }
}

/// A file that cannot be read is a problem like any other, so that programs have one form to read.
fn unread(error: &SourceError) -> Problem {
    let (line, column) = match error.fault {
        Fault::NotText { line, column, .. } => (line, column),
        _ => (1, 1),
    };
    let spot = Spot { file: error.name.as_str().into(), line, column };
    Problem { spot, message: format!("cannot be read: {}", error.fault), text: String::new() }
}

/// Packages need not be fit to be built here, nor git know them; but they must be there.
struct Directories;

impl PackageResolver for Directories {
    fn tag(&self, dir: &Path) -> Result<String, String> {
        match dir.join(manifest::FILE).is_file() {
            true => Ok(dir.display().to_string()),
            false if dir.is_dir() => Err(format!("it has no {}", manifest::FILE)),
            false => Err("there is no such directory".to_owned()),
        }
    }
}
