//! `lkb man`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{Cli, Context, Outcome, SUCCESS};

/// Write the manual pages
///
/// One page a subcommand, such as lkb-build.1; what is there of the same names is replaced.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The directory that they are written into, such as /usr/local/share/man/man1; made if it is missing
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

/// A page that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
struct ManError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ManError {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

pub fn run(options: &Options, context: &Context) -> Outcome {
    let dir = &options.dir;
    fs::create_dir_all(dir).map_err(ManError::new("create the directory", dir))?;
    for (name, page) in pages()? {
        let path = dir.join(name);
        fs::write(&path, page).map_err(ManError::new("write", &path))?;
        context.terminal.print(path.display())?;
    }
    SUCCESS
}

/// The pages by their file names, a command before its subcommands.
fn pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    // `lkb help build` shows what `lkb-build.1` does.
    let mut definition = Cli::command().disable_help_subcommand(true);
    definition.build();
    let mut pages = Vec::new();
    add(&definition, &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    if command.is_hide_set() {
        return Ok(());
    }
    let mut page = Vec::new();
    // A date would make a page differ from day to day, and without any the fields behind it would move up.
    let source = concat!("lkb ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).date(" ").source(source).manual("lkb");
    let name = man.get_filename();
    man.render(&mut page)?;
    pages.push((name, page));
    command.get_subcommands().try_for_each(|command| add(command, pages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_page_that_is_always_the_same() {
        let first = pages().unwrap();
        let names: Vec<&str> = first.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["lkb.1", "lkb-build.1", "lkb-run-qemu.1", "lkb-cache-import.1", "lkb-man.1"] {
            assert!(names.contains(&name), "{name} is not among {names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("help")), "{names:?}");
        for (name, page) in &first {
            let text = String::from_utf8_lossy(page);
            let title = name.trim_end_matches(".1");
            let heading = format!(".TH {title} 1 \" \" \"lkb {}\" lkb\n", env!("CARGO_PKG_VERSION"));
            assert!(text.contains(&heading), "{text}");
        }
        assert_eq!(first, pages().unwrap());
    }
}
