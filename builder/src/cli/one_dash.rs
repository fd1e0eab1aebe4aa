//! Long options with one dash: `-format qcow2-bios` means `--format qcow2-bios`.
//!
//! The arguments are rewritten before clap sees them, by clap's own definition of the options.
//!
//! | argument | meaning |
//! |---|---|
//! | `-name x`, `-name=x` | the long option, when the subcommand has it; also against a cluster of short ones |
//! | `-f x`, `-fx`, `-qv` | short options, as ever: one letter is never a long option |
//! | `-nmae` | when `-n` is no short option: `--nmae`, so that clap can tell what was meant |
//! | what follows an option that takes a value | that value, whatever it looks like |
//! | what follows `--` | left alone |
//! | `-v 2`, `-v2`, `-verbose 2` | `-v=2`, `-v=2`, `--verbose=2`; a `-v` without a number counts |
//!
//! A second duty, because it needs the same knowledge: `run PATH` means `run qemu PATH`, and options may come before
//! the back-end.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The subcommand that has a default among its own subcommands, and that default.
const DEFAULT: (&str, &str) = ("run", "qemu");

/// Rewrites the arguments of a process, the program's name first. `definition` must have been built.
pub fn normalise(args: impl IntoIterator<Item = OsString>, definition: &Command) -> Vec<OsString> {
    let mut rest: VecDeque<OsString> = args.into_iter().collect();
    let mut done: Vec<OsString> = rest.pop_front().into_iter().collect();
    let mut command = definition;
    while let Some(arg) = rest.pop_front() {
        if arg == "--" {
            done.push(arg);
            break;
        }
        match Known::of(command).read(&arg) {
            Read::Option { rewritten, takes_next } => {
                let mut option = level_apart(rewritten.unwrap_or(arg));
                if is_level(&option, rest.front()) {
                    option.push("=");
                    option.push(rest.pop_front().unwrap_or_default());
                }
                done.push(option);
                done.extend(if takes_next { rest.pop_front() } else { None });
            }
            Read::Positional => {
                if let Some(subcommand) = command.find_subcommand(&arg) {
                    command = subcommand;
                    if command.get_name() == DEFAULT.0 {
                        put_default_first(&mut rest, command);
                    }
                }
                done.push(arg);
            }
        }
    }
    done.extend(rest);
    done
}

/// Brings the back-end's name to the front of `run`'s arguments, or puts the default there.
fn put_default_first(rest: &mut VecDeque<OsString>, run: &Command) {
    let known = Known { commands: std::iter::once(run).chain(run.get_subcommands()).collect() };
    let mut at = 0;
    while let Some(arg) = rest.get(at).filter(|arg| *arg != "--") {
        match known.read(arg) {
            Read::Option { .. }
                if ["-h", "-help", "--help", "-V", "-version", "--version"]
                    .iter()
                    .any(|help| arg == help) =>
            {
                return;
            }
            Read::Option { takes_next, .. } => at += 1 + usize::from(takes_next),
            Read::Positional => {
                if run.find_subcommand(arg).is_some()
                    && let Some(backend) = rest.remove(at)
                {
                    rest.push_front(backend);
                    return;
                }
                break;
            }
        }
    }
    rest.push_front(DEFAULT.1.into());
}

/// What an argument is.
enum Read {
    /// An option, rewritten if it must be, and whether the next argument is its value.
    Option { rewritten: Option<OsString>, takes_next: bool },
    /// No option.
    Positional,
}

/// The options of some commands.
struct Known<'a> {
    commands: Vec<&'a Command>,
}

impl<'a> Known<'a> {
    fn of(command: &'a Command) -> Self {
        Self { commands: vec![command] }
    }

    fn find(&self, is_it: impl Fn(&Arg) -> bool) -> Option<&'a Arg> {
        self.commands.iter().flat_map(|command| command.get_arguments()).find(|arg| is_it(arg))
    }

    fn long(&self, name: &str) -> Option<&'a Arg> {
        let alias = |arg: &Arg| arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name));
        self.find(|arg| arg.get_long() == Some(name) || alias(arg))
    }

    fn short(&self, letter: char) -> Option<&'a Arg> {
        self.find(|arg| arg.get_short() == Some(letter))
    }

    fn read(&self, arg: &OsStr) -> Read {
        let option = |rewritten, takes_next| Read::Option { rewritten, takes_next };
        let bytes = arg.as_encoded_bytes();
        let (dashes, body) = match bytes {
            [b'-', b'-', body @ ..] if !body.is_empty() => (2, body),
            [b'-', body @ ..] if !body.is_empty() => (1, body),
            _ => return Read::Positional,
        };
        let name_len = body.iter().position(|byte| *byte == b'=').unwrap_or(body.len());
        // Names are ASCII: what is not UTF-8 is a value behind a short option, or nothing that is known.
        let Ok(name) = std::str::from_utf8(&body[..name_len]) else { return option(None, false) };
        let has_value = name_len < body.len();

        if dashes == 2 {
            return option(None, self.long(name).is_some_and(|arg| takes_value(arg) && !has_value));
        }
        if name.chars().nth(1).is_some() {
            if let Some(long) = self.long(name) {
                return option(Some(two_dashes(arg)), takes_value(long) && !has_value);
            }
            if name.starts_with(|letter: char| letter.is_alphabetic() && self.short(letter).is_none()) {
                return option(Some(two_dashes(arg)), false);
            }
        }
        option(None, self.cluster_takes_next(name) && !has_value)
    }

    /// Whether the last of some short options in one argument takes the next argument as its value.
    fn cluster_takes_next(&self, letters: &str) -> bool {
        let mut letters = letters.chars();
        let takes = letters.by_ref().find_map(|letter| self.short(letter).filter(|arg| takes_value(arg)));
        takes.is_some() && letters.as_str().is_empty()
    }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

/// Whether these two are LinuxKit's way to say how much is to be said.
fn is_level(option: &OsStr, next: Option<&OsString>) -> bool {
    (option == "-v" || option == "--verbose")
        && next.is_some_and(|next| ["0", "1", "2", "3"].iter().any(|n| next == n))
}

/// `-v2` as clap reads it.
fn level_apart(option: OsString) -> OsString {
    match option.as_encoded_bytes() {
        [b'-', b'v', level @ b'0'..=b'3'] => format!("-v={}", char::from(*level)).into(),
        _ => option,
    }
}

fn two_dashes(arg: &OsStr) -> OsString {
    let mut rewritten = OsString::from("-");
    rewritten.push(arg);
    rewritten
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn normalised(line: &str) -> String {
        let mut definition = super::super::Cli::command();
        definition.build();
        let args = ["lkb"].into_iter().chain(line.split_whitespace()).map(OsString::from);
        let done = normalise(args, &definition);
        done[1..].iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn long_options_work_with_one_dash() {
        for (line, expected) in [
            ("build -format qcow2-bios -name x m.yml", "build --format qcow2-bios --name x m.yml"),
            ("build -format=x -name=y m.yml", "build --format=x --name=y m.yml"),
            ("build --format x m.yml", "build --format x m.yml"),
            ("build m.yml -dry-run", "build m.yml --dry-run"),
            ("-cache d build -cache e m.yml", "--cache d build --cache e m.yml"),
            ("-quiet build m.yml", "--quiet build m.yml"),
            ("build -help", "build --help"),
            ("-version", "--version"),
            ("-verbose 2 build -v 1", "--verbose=2 build -v=1"),
            ("-v build -v", "-v build -v"),
            ("-v2 build -v0", "-v=2 build -v=0"),
            ("pkg show-tag -canonical -org o d", "pkg show-tag --canonical --org o d"),
            ("run qemu -publish 8080:80 -detached x", "run qemu --publish 8080:80 --detached x"),
        ] {
            assert_eq!(normalised(line), expected, "{line}");
        }
    }

    #[test]
    fn short_options_stay_short() {
        for line in [
            "build -f x -o y m.yml",
            "build -fx m.yml",
            "build -f=x m.yml",
            "build -o - m.yml",
            "-q build m.yml",
            "-vv build m.yml",
            "build -vf x m.yml",
        ] {
            assert_eq!(normalised(line), line);
        }
    }

    #[test]
    fn values_are_left_alone() {
        for (line, expected) in [
            ("build -name -format -f x", "build --name -format -f x"),
            ("build -f -name m.yml", "build -f -name m.yml"),
            ("build -vf -name m.yml", "build -vf -name m.yml"),
            ("build --name -format", "build --name -format"),
            ("build -size -5 m.yml", "build --size -5 m.yml"),
            ("run qemu -data -name x", "run qemu --data -name x"),
            ("run qemu -data build x", "run qemu --data build x"),
            ("build -name build -dir pkg m.yml", "build --name build --dir pkg m.yml"),
            ("build -5", "build -5"),
            ("build -", "build -"),
            ("build -name", "build --name"),
            ("build -- -name -format", "build -- -name -format"),
            ("build -dry-run -- -name", "build --dry-run -- -name"),
        ] {
            assert_eq!(normalised(line), expected, "{line}");
        }
    }

    #[test]
    fn an_option_belongs_to_its_subcommand() {
        assert_eq!(normalised("pkg build -force d"), "pkg build --force d");
        assert_eq!(normalised("-name x build"), "--name x build", "unknown here: clap says so");
        assert_eq!(normalised("build -nmae x m.yml"), "build --nmae x m.yml");
    }

    #[test]
    fn qemu_runs_what_names_no_back_end() {
        for (line, expected) in [
            ("run m", "run qemu m"),
            ("run qemu m", "run qemu m"),
            ("run -mem 512 qemu m", "run qemu --mem 512 m"),
            ("run -mem 512 m", "run qemu --mem 512 m"),
            ("run --disk qemu m", "run qemu --disk qemu m"),
            ("run -detach m -help", "run qemu --detach m --help"),
            ("run", "run qemu"),
            ("run --help", "run --help"),
            ("run -h", "run -h"),
            ("run -- m", "run qemu -- m"),
            ("-q run m", "-q run qemu m"),
            ("run -q qemu m", "run qemu -q m"),
        ] {
            assert_eq!(normalised(line), expected, "{line}");
        }
    }
}
