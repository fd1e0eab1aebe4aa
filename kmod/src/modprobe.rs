//! The command `modprobe`: the kernel calls it when a file system, protocol or device node is first used.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cmdline::Cmdline;
use crate::load::{Directory, load};
use crate::modules::{Config, Database};
use crate::options::{Word, Words};

const USAGE: &str = "usage: modprobe [-aqbsv] [--] NAME [PARAMETER=VALUE…], or with -a: NAME…";

/// What leaves the processor to everybody else (setpriority(2)).
const LOWEST_PRIORITY: i32 = 19;

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    quiet: bool,
    verbose: bool,
    background: bool,
    names: Vec<String>,
    parameters: String,
}

/// Runs the command; `args` are those after its name. Fails when one of the names is unknown or cannot be loaded.
#[must_use]
pub fn main(args: &[OsString]) -> ExitCode {
    let request = match parse(Words::new(args)) {
        Ok(request) => request,
        Err(reason) => {
            eprintln!("modprobe: {reason}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if request.background
        && let Err(errno) = rustix::process::setpriority_process(None, LOWEST_PRIORITY)
    {
        eprintln!("modprobe: cannot run in the background: {errno}");
    }
    match run(&request) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("modprobe: cannot read the files of depmod: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The options that the kernel and scripts use; `--all` and such are kmod's long names. `--background` is ours: leave the
/// processor to everybody else.
fn parse(words: Words) -> Result<Request, String> {
    let mut request = Request::default();
    let mut all = false;
    let mut names = Vec::new();
    for word in words {
        match &word {
            Word::Letter('a') => all = true,
            Word::Letter('q') => request.quiet = true,
            Word::Letter('v') => request.verbose = true,
            Word::Letter('b' | 's') => {}
            Word::Name(name, None) => match name.as_str() {
                "all" => all = true,
                "quiet" => request.quiet = true,
                "verbose" => request.verbose = true,
                "background" => request.background = true,
                "use-blacklist" | "syslog" => {}
                _ => return Err(word.unknown()),
            },
            Word::Letter(_) | Word::Name(_, Some(_)) => return Err(word.unknown()),
            Word::Argument(name) => names.push(name.clone()),
        }
    }
    if names.is_empty() {
        return Err("no module named".to_owned());
    }
    let parameters = if all { Vec::new() } else { names.split_off(1) };
    Ok(Request { names, parameters: parameters.join(" "), ..request })
}

fn run(request: &Request) -> std::io::Result<bool> {
    let mut directory = Directory::of_running_kernel()?;
    let cmdline = Cmdline::parse(&std::fs::read_to_string("/proc/cmdline")?);
    let mut config: Config = directory.config(&cmdline)?;
    if let (Some(name), false) = (request.names.first(), request.parameters.is_empty()) {
        config.read(&format!("options {name} {}", request.parameters));
    }
    let symbols = request.names.iter().any(|name| name.starts_with("symbol:"));
    let texts = directory.texts(symbols)?;
    let database = Database::new(&texts, config);
    let mut complete = true;
    for name in &request.names {
        let Some(outcome) = load(&database, &mut directory, name) else {
            complete = false;
            if !request.quiet {
                eprintln!(
                    "modprobe: no module is known as {name}; `modules.alias` and `modules.dep` do not have it"
                );
            }
            continue;
        };
        if request.verbose {
            outcome.loaded.iter().for_each(|module| eprintln!("modprobe: loaded {module}"));
        }
        for failure in &outcome.failures {
            complete = false;
            if !request.quiet {
                eprintln!("modprobe: {failure}");
            }
        }
    }
    Ok(complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_kernels_and_scripts_ways_to_call_it_are_understood() {
        let request = |quiet, verbose, names, parameters: &str| {
            Ok(Request {
                quiet,
                verbose,
                background: false,
                names: words(names),
                parameters: parameters.into(),
            })
        };
        let cases = [
            ("-q -- fs-ext4", request(true, false, "fs-ext4", "")),
            ("-abq pci:v1 usb:v2", request(true, false, "pci:v1 usb:v2", "")),
            ("loop max_loop=8 x=y", request(false, false, "loop", "max_loop=8 x=y")),
            ("--quiet --all --verbose a b", request(true, true, "a b", "")),
            ("-- -odd", request(false, false, "-odd", "")),
            ("-r loop", Err("unknown option -r".to_owned())),
            ("--remove loop", Err("unknown option --remove".to_owned())),
            ("-q", Err("no module named".to_owned())),
        ];
        for (line, expected) in cases {
            let given: Vec<OsString> = words(line).into_iter().map(OsString::from).collect();
            assert_eq!(parse(Words::new(&given)), expected, "{line}");
        }
    }
}
