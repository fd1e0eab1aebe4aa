//! Signals as images name them.

/// The first real-time signal that programs may use (signal(7), with glibc and musl).
const RTMIN: u32 = 34;
const RTMAX: u32 = 64;

/// The number of a signal: `15`, `TERM`, `SIGTERM`, `SIGRTMIN+3`.
#[must_use]
pub fn number(name: &str) -> Option<u32> {
    let upper = name.trim().to_ascii_uppercase();
    if let Ok(number) = upper.parse::<u32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
        (Some(""), _) => Some(RTMIN),
        (_, Some("")) => Some(RTMAX),
        (Some(more), _) => {
            more.strip_prefix('+').and_then(|n| n.parse().ok()).and_then(|n| RTMIN.checked_add(n))
        }
        (_, Some(less)) => {
            less.strip_prefix('-').and_then(|n| n.parse().ok()).and_then(|n| RTMAX.checked_sub(n))
        }
        (None, None) => None,
    };
    match real_time {
        Some(number) => (RTMIN..=RTMAX).contains(&number).then_some(number),
        None => {
            let signal: nix::sys::signal::Signal = format!("SIG{bare}").parse().ok()?;
            u32::try_from(signal as i32).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_spellings_are_understood() {
        let cases = [
            ("SIGTERM", Some(15)),
            ("term", Some(15)),
            ("15", Some(15)),
            ("SIGQUIT", Some(3)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("SIGRTMIN+99", None),
            ("0", None),
            ("65", None),
            ("", None),
            ("SIGNONSENSE", None),
        ];
        for (name, expected) in cases {
            assert_eq!(number(name), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_number_is_a_signal(name in "\\PC{0,20}") {
            prop_assert!(number(&name).is_none_or(|n| (1..=64).contains(&n)));
        }
    }
}
