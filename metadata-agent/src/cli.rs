//! The command line. Pure.

use std::time::Duration;

use thiserror::Error;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: metadata [-v] [--deadline SECONDS] [--imdsv1] [--again] [PROVIDER...]

Asks the cloud about this machine and writes the answer below /var/config. Providers:

  aws  gcp  hetzner  openstack  scaleway  vultr  digitalocean  equinixmetal  metaldata
  vmware  cdrom  azure  nocloud  qemu  file=PATH

When none is named, those that lkb.metadata=NAME,... on the kernel's command line names; else the
one that the machine's firmware names; else all that are possible, side by side (but for
equinixmetal and metaldata).

  -v, --verbose        say what is asked and answered, and every file that is written
  --deadline SECONDS   give up after this time (30; 1 to 3600)
  --imdsv1             believe aws without a session token too
  --again              write everything again, although this instance is set up already
  --network            configure links, addresses, routes and name servers by network_data.json (needs CAP_NET_ADMIN);
                       lkb.network=metadata on the kernel's command line asks for it as well
  -h, --help           print this
  --version            print the version

Exit status: 0 when metadata was written, or when there is none to be had and defaults were;
1 when something was refused or could not be written (everything else is in place then).
";

const DEADLINES: std::ops::RangeInclusive<u64> = 1..=3600;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask and write.
    Run(Options),
    /// Print this.
    Print(String),
}

/// How to ask.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Say more.
    pub verbose: bool,
    /// For everything together.
    pub deadline: Duration,
    /// Whether aws is believed without a session token.
    pub imdsv1: bool,
    /// Whether to write what was written for this instance before.
    pub again: bool,
    /// Whether to configure the network as well.
    pub network: bool,
    /// Names as given.
    pub providers: Vec<String>,
}

/// A command line that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsageError {
    /// No such option.
    #[error("unknown option {}: see metadata --help", crate::tree::Quoted(.0))]
    UnknownOption(String),
    /// A deadline that is none.
    #[error("--deadline needs a number of seconds from {} to {}", DEADLINES.start(), DEADLINES.end())]
    Deadline,
    /// Not UTF-8.
    #[error("an argument is not text")]
    NotText,
}

/// Reads the arguments after the program's name. Long options may have one dash or two.
///
/// # Errors
/// [`UsageError`] for what is not an option.
pub fn parse(arguments: &[String]) -> Result<Command, UsageError> {
    let mut options = Options {
        verbose: false,
        deadline: Duration::from_secs(30),
        imdsv1: false,
        again: false,
        network: false,
        providers: Vec::new(),
    };
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        let Some(option) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
            options.providers.push(argument.to_owned());
            continue;
        };
        match option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value))) {
            ("v" | "verbose", None) => options.verbose = true,
            ("imdsv1", None) => options.imdsv1 = true,
            ("again", None) => options.again = true,
            ("network", None) => options.network = true,
            ("deadline", value) => {
                let seconds = value.or_else(|| rest.next()).and_then(|text| text.parse().ok());
                let seconds = seconds.filter(|s| DEADLINES.contains(s)).ok_or(UsageError::Deadline)?;
                options.deadline = Duration::from_secs(seconds);
            }
            ("h" | "help", None) => return Ok(Command::Print(USAGE.to_owned())),
            ("version", None) => {
                return Ok(Command::Print(format!("metadata {}\n", env!("CARGO_PKG_VERSION"))));
            }
            _ => return Err(UsageError::UnknownOption(argument.to_owned())),
        }
    }
    Ok(Command::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Result<Command, UsageError> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn run(verbose: bool, deadline: u64, providers: &[&str]) -> Result<Command, UsageError> {
        let providers = providers.iter().map(ToString::to_string).collect();
        let deadline = Duration::from_secs(deadline);
        Ok(Command::Run(Options {
            verbose,
            deadline,
            imdsv1: false,
            again: false,
            network: false,
            providers,
        }))
    }

    #[test]
    fn options_and_providers_come_in_any_order() {
        assert_eq!(arguments(""), run(false, 30, &[]));
        assert_eq!(arguments("-v openstack"), run(true, 30, &["openstack"]));
        assert_eq!(arguments("openstack --verbose other"), run(true, 30, &["openstack", "other"]));
        assert_eq!(arguments("--deadline 5"), run(false, 5, &[]));
        assert_eq!(arguments("-deadline=5 -v"), run(true, 5, &[]));
    }

    #[test]
    fn what_is_not_done_by_itself_is_done_when_asked_for() {
        for (line, wanted) in [
            ("", (false, false, false)),
            ("--imdsv1 aws", (true, false, false)),
            ("--again", (false, true, false)),
            ("--network openstack", (false, false, true)),
            ("-network", (false, false, true)),
        ] {
            let Ok(Command::Run(options)) = arguments(line) else { panic!("{line}") };
            assert_eq!((options.imdsv1, options.again, options.network), wanted, "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["--deadline", "--deadline x", "--deadline 0", "--deadline -1", "--deadline=4000"] {
            assert_eq!(arguments(line), Err(UsageError::Deadline), "{line}");
        }
        for line in ["-x", "--address 10.0.0.1", "-", "--", "-v=1"] {
            assert!(matches!(arguments(line), Err(UsageError::UnknownOption(_))), "{line}");
        }
    }

    #[test]
    fn help_names_every_provider() {
        for provider in crate::provider::ALL {
            assert!(USAGE.contains(provider.name()), "{}", provider.name());
        }
    }
}
