//! The configuration from the outside: [`load`] and what it answers.

mod hostile;
mod json_schema;
mod mistakes;
mod sources;
mod structural;
mod supervision;
mod whole;

use std::path::Path;

use super::*;

struct NoPackages;

impl PackageResolver for NoPackages {
    fn tag(&self, _: &Path) -> Result<String, String> {
        Err("there are no packages here".to_owned())
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned(), dir: None }
}

fn read(text: &str) -> Loaded {
    match load(&[source("a.yml", text)], &NoPackages) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}\n---\n{text}"),
    }
}

fn problems(text: &str) -> Vec<String> {
    let error = load(&[source("a.yml", text)], &NoPackages).expect_err(text);
    error.problems.iter().map(ToString::to_string).collect()
}

/// A service `s` with these lines in it.
fn service(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  - name: s\n    image: i\n{lines}")
}
