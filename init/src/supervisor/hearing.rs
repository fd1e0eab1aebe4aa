//! Whether a process will take notice of a signal.

/// What becomes of a stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// The first process takes notice of it.
    Hears,
    /// The first process does not, but its children may.
    Deaf,
    /// It does not, and there is nobody else.
    DeafAndAlone,
}

/// How the container whose first process is `pid` will take `signal`.
#[must_use]
pub fn hearing(pid: u32, signal: u32) -> Hearing {
    let deaf =
        std::fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|status| is_deaf(&status, signal));
    // Without CONFIG_PROC_CHILDREN there is no such file, and we do not know.
    let alone =
        || std::fs::read(format!("/proc/{pid}/task/{pid}/children")).is_ok_and(|list| list.is_empty());
    match deaf {
        false => Hearing::Hears,
        true if alone() => Hearing::DeafAndAlone,
        true => Hearing::Deaf,
    }
}

/// Whether the first process of a PID namespace ignores `signal`, from its `/proc/PID/status` (proc_pid_status(5)).
///
/// The kernel drops signals to such a process that have no handler (pid_namespaces(7)), so a shell as first process
/// never hears SIGTERM and nothing is gained by waiting for it. A blocked signal may be read from a signalfd.
fn is_deaf(status: &str, signal: u32) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let mask = |name: &str| field(name).and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    let mut namespaces = field("NSpid").unwrap_or_default().split_whitespace();
    let first_inside = namespaces.clone().count() > 1 && namespaces.next_back() == Some("1");
    let Some(bit) = signal.checked_sub(1).and_then(|shift| 1_u64.checked_shl(shift)) else { return false };
    match (mask("SigCgt"), mask("SigBlk")) {
        (Some(caught), Some(blocked)) => first_inside && (caught | blocked) & bit == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status(nspid: &str, blocked: &str, caught: &str) -> String {
        format!(
            "Name:\tsh\nNSpid:\t{nspid}\nSigBlk:\t{blocked}\nSigIgn:\t0000000000000000\nSigCgt:\t{caught}\n"
        )
    }

    #[test]
    fn only_a_namespaces_first_process_without_handler_is_deaf() {
        let (none, term) = ("0000000000000000", "0000000000004000");
        let cases = [
            ("412\t1", none, none, true),
            ("412\t1", none, term, false),
            ("412\t1", term, none, false),
            ("412\t7", none, none, false),
            ("1", none, none, false),
        ];
        for (nspid, blocked, caught, deaf) in cases {
            assert_eq!(is_deaf(&status(nspid, blocked, caught), 15), deaf, "{nspid} {blocked} {caught}");
        }
        assert!(!is_deaf("", 15));
        assert!(!is_deaf(&status("4\t1", none, none), 0));
    }

    proptest! {
        #[test]
        fn a_text_without_masks_is_not_deaf(text in "\\PC{0,200}", signal in any::<u32>()) {
            prop_assert!(!is_deaf(&text, signal));
        }
    }
}
