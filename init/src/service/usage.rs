//! What the command offers: one table, for the parser, the help and the mistakes.

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    /// Its name.
    pub name: &'static str,
    /// What follows the name.
    pub arguments: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// What else there is to know, in whole lines.
    pub more: &'static str,
    /// The options that it takes, of those that not every command takes.
    pub options: &'static [&'static str],
    /// How it takes a name.
    pub name_is: Name,
}

/// Whether a command takes the name of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// It takes none.
    None,
    /// It may have one.
    Optional,
    /// It must have one.
    Needed,
}

const WAITS: &str =
    "It comes back when that is done, or will not be. Nothing happens when it is so already.\n";

/// All commands, in the order in which they are told.
pub const COMMANDS: [Usage; 11] = [
    Usage {
        name: "list",
        arguments: "[--json]",
        does: "all services and how they are",
        more: "",
        options: &["json"],
        name_is: Name::None,
    },
    Usage {
        name: "status",
        arguments: "[NAME] [--json]",
        does: "one service in full, and what it said last",
        more: "",
        options: &["json"],
        name_is: Name::Optional,
    },
    Usage {
        name: "start",
        arguments: "NAME [--json]",
        does: "start a service",
        more: WAITS,
        options: &["json"],
        name_is: Name::Needed,
    },
    Usage {
        name: "stop",
        arguments: "NAME [--json]",
        does: "stop a service, and keep it stopped",
        more: WAITS,
        options: &["json"],
        name_is: Name::Needed,
    },
    Usage {
        name: "restart",
        arguments: "NAME [--json]",
        does: "stop a service and start it again",
        more: "It comes back when it runs again, or will not.\n",
        options: &["json"],
        name_is: Name::Needed,
    },
    Usage {
        name: "logs",
        arguments: "[NAME] [-f] [-n N] [--since TIME] [--json]",
        does: "what a service said, or everybody",
        more: "\
NAME may also be `supervisor`, or an onboot container like `onboot.000-sysctl`.
  -f, --follow   go on with what is said from now on
  -n, --lines N  only the last N lines from before (with -f: 10)
  --since TIME   only from then on: 90s, 10m, 2h, 1d ago, or 2026-11-22T08:30[:00][Z|+01:00]
Older lines are in /var/log.
",
        options: &["json", "follow", "lines", "since"],
        name_is: Name::Optional,
    },
    Usage {
        name: "events",
        arguments: "[-f] [--json]",
        does: "what became of services, and when",
        more: "  -f, --follow   go on with what happens from now on\n",
        options: &["json", "follow"],
        name_is: Name::None,
    },
    Usage {
        name: "boot",
        arguments: "[--json|--svg]",
        does: "what took how long while the machine booted",
        more: "  --svg          as a picture: service boot --svg >boot.svg\n",
        options: &["json", "svg"],
        name_is: Name::None,
    },
    Usage {
        name: "poweroff",
        arguments: "",
        does: "stop everything in order, and switch the machine off",
        more: "",
        options: &[],
        name_is: Name::None,
    },
    Usage {
        name: "reboot",
        arguments: "",
        does: "stop everything in order, and start the machine again",
        more: "",
        options: &[],
        name_is: Name::None,
    },
    Usage {
        name: "help",
        arguments: "[COMMAND]",
        does: "this, or all about one command",
        more: "",
        options: &[],
        name_is: Name::Optional,
    },
];

/// The command with this name; `ls` is one as well.
#[must_use]
pub fn find(name: &str) -> Option<&'static Usage> {
    let name = if name == "ls" { "list" } else { name };
    COMMANDS.iter().find(|usage| usage.name == name)
}

/// All commands in short.
#[must_use]
pub fn all() -> String {
    let mut text = "usage: service [-q] [COMMAND]   (without one: list)\n\n".to_owned();
    for usage in &COMMANDS {
        let call = format!("{} {}", usage.name, usage.arguments);
        // A long one has its line for itself.
        let gap = if call.len() > 26 { format!("\n{:28}", "") } else { " ".repeat(26 - call.len()) };
        text.push_str(&format!("  {call}{gap}{}\n", usage.does));
    }
    text.push_str("\n-q prints nothing but errors; --json prints what programs read, see docs/service.md.\n");
    text.push_str(EXIT_CODES);
    text
}

/// Documented for scripts.
const EXIT_CODES: &str = "\
exit status: 0 done, 1 refused or failed, 2 not understood, 3 the supervisor does not answer, 4 no such service
";

/// All about one command.
#[must_use]
pub fn one(usage: &Usage) -> String {
    let call = format!("{} {}", usage.name, usage.arguments);
    format!("usage: service {}\n\n{}\n{}", call.trim_end(), usage.does, usage.more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_a_command_is_told() {
        for usage in &COMMANDS {
            let text = one(usage);
            for option in usage.options {
                assert!(text.contains(&format!("--{option}")), "{option} is missing in: {text}");
            }
            assert!(all().contains(usage.does));
            assert!(all().lines().all(|line| line.len() <= 112));
        }
    }
}
