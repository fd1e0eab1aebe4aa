//! Which providers are asked. Pure: what the machine says comes in as values.
//!
//! | | is asked |
//! | --- | --- |
//! | arguments | those, in this order |
//! | else `lkb.metadata=NAME,…` on the kernel's command line | those, in this order |
//! | else `ds=NAME` there, as cloud-init has it | that one |
//! | else a mark in the firmware's tables | that cloud, and a disk made for this machine |
//! | else | all that are possible, side by side |
//!
//! Not possible is a cloud whose mark would be there, and what has only a name: whoever answers for the name server
//! would decide what becomes of the machine.

mod command_line;
mod dmi;

use std::fmt;
use std::sync::Arc;

use crate::provider::{self, ALL, Provider, Unknown};

pub use command_line::{CommandLine, UnknownNetwork};
pub use dmi::Dmi;

/// Asked for by name alone.
const BY_NAME_ONLY: &[&str] = &["equinixmetal", "metaldata"];
/// Beside every cloud that the firmware names: a disk that somebody has attached on purpose.
const DISK: &str = "cdrom";

/// Why these providers and no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The arguments name them.
    Arguments,
    /// The kernel's command line names them.
    CommandLine,
    /// The firmware's tables name a cloud.
    Firmware,
    /// Nothing says which.
    Possible,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arguments => "as the arguments say",
            Self::CommandLine => "as the kernel's command line says",
            Self::Firmware => "as the firmware says",
            Self::Possible => "whatever is possible",
        })
    }
}

/// Who is asked, in the order in which answers are preferred.
#[derive(Debug)]
pub struct Choice {
    /// At least one.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Why these.
    pub reason: Reason,
}

/// Chooses by the table above.
///
/// # Errors
/// [`Unknown`] if arguments or the kernel's command line name a provider that there is not.
pub fn choose(arguments: &[String], line: &CommandLine, dmi: &Dmi) -> Result<Choice, Unknown> {
    let firmware: Vec<String> = match dmi.provider() {
        Some(provider) => vec![provider.to_owned(), DISK.to_owned()],
        None => Vec::new(),
    };
    for (names, reason) in [
        (arguments, Reason::Arguments),
        (&line.providers, Reason::CommandLine),
        (&line.data_source_providers(), Reason::CommandLine),
        (&firmware, Reason::Firmware),
    ] {
        if !names.is_empty() {
            let providers: Result<Vec<_>, _> = names.iter().map(|name| provider::by_name(name)).collect();
            return Ok(Choice { providers: providers?, reason });
        }
    }
    let possible = ALL.iter().filter(|p| !BY_NAME_ONLY.contains(&p.name()) && !dmi.rules_out(p.name()));
    let providers = possible.map(|provider| Arc::new(*provider) as Arc<dyn Provider>).collect();
    Ok(Choice { providers, reason: Reason::Possible })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(arguments: &[&str], line: &str, dmi: &Dmi) -> (Vec<&'static str>, Reason) {
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        let choice = choose(&arguments, &CommandLine::parse(line), dmi).unwrap();
        (choice.providers.iter().map(|provider| provider.name()).collect(), choice.reason)
    }

    #[test]
    fn arguments_come_before_the_command_line_and_that_before_the_firmware() {
        let hetzner = Dmi { sys_vendor: "Hetzner".into(), ..Dmi::default() };
        let line = "console=ttyS0 lkb.metadata=vultr,cdrom ds=gce";
        for (arguments, line, wanted, reason) in [
            (&["openstack", "aws"][..], line, &["openstack", "aws"][..], Reason::Arguments),
            (&[], line, &["vultr", "cdrom"], Reason::CommandLine),
            (&[], "ds=gce", &["gcp"], Reason::CommandLine),
            (&[], "quiet", &["hetzner", "cdrom"], Reason::Firmware),
        ] {
            assert_eq!(chosen(arguments, line, &hetzner), (wanted.to_vec(), reason), "{line}");
        }
    }

    #[test]
    fn without_a_hint_all_are_asked_that_are_possible() {
        let (all, reason) = chosen(&[], "", &Dmi::default());
        assert_eq!(reason, Reason::Possible);
        assert_eq!(all.len(), ALL.len() - BY_NAME_ONLY.len());
        let qemu = Dmi { sys_vendor: "QEMU".into(), ..Dmi::default() };
        let (possible, _) = chosen(&[], "", &qemu);
        assert_eq!(possible, ["openstack", "scaleway", "vultr", "vmware", "cdrom", "nocloud", "qemu"]);
    }

    #[test]
    fn what_has_only_a_name_is_asked_when_it_is_named() {
        assert_eq!(chosen(&["metaldata"], "", &Dmi::default()).0, ["metaldata"]);
        assert_eq!(chosen(&[], "lkb.metadata=equinixmetal", &Dmi::default()).0, ["equinixmetal"]);
    }

    #[test]
    fn a_name_that_nobody_has_is_refused_wherever_it_is() {
        let line = CommandLine::parse("lkb.metadata=nimbus");
        assert_eq!(choose(&[], &line, &Dmi::default()).unwrap_err(), Unknown("nimbus".into()));
        let arguments = ["nimbus".to_owned()];
        assert!(choose(&arguments, &CommandLine::default(), &Dmi::default()).is_err());
    }
}
