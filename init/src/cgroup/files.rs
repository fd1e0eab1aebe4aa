//! What the kernel writes into the files of a cgroup (admin-guide/cgroup-v2.rst, "Interface Files").

/// The number behind `key` in a file of lines `KEY VALUE`.
#[must_use]
pub fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// A file that is one number; what is none is 0.
#[must_use]
pub fn number(text: &str) -> u64 {
    text.trim().parse().unwrap_or_default()
}

/// A file that is one limit: `max`, which is the greatest number, or a number.
#[must_use]
pub fn limit(text: &str) -> u64 {
    if text.trim() == "max" { u64::MAX } else { number(text) }
}

/// What one disk did: a line of `io.stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfers<'a> {
    /// The disk's major number.
    pub major: u64,
    /// The disk's minor number.
    pub minor: u64,
    /// The kernel's words with their numbers, such as `rbytes`.
    pub counts: Vec<(&'a str, u64)>,
}

/// The disks in `io.stat`: `MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N …` on each line.
pub fn transfers(text: &str) -> impl Iterator<Item = Transfers<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let counts = words.filter_map(|word| word.split_once('='));
        Some(Transfers {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            counts: counts.map(|(key, count)| (key, count.parse().unwrap_or_default())).collect(),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counters_are_found_by_their_whole_name() {
        let text = "low 0\noom 5\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(value(text, "oom_kill"), Some(2));
        assert_eq!(value(text, "oom"), Some(5));
        assert_eq!(value(text, "max"), None);
    }

    #[test]
    fn no_limit_is_the_greatest_and_what_is_missing_is_nothing() {
        assert_eq!([limit("max\n"), limit("7\n"), limit("")], [u64::MAX, 7, 0]);
        assert_eq!([number("7\n"), number("max"), number("")], [7, 0, 0]);
    }

    #[test]
    fn disks_are_read_and_lines_without_one_are_not() {
        let text = "8:0 rbytes=1 wios=x\nbroken\n253:1\n";
        let read: Vec<Transfers<'_>> = transfers(text).collect();
        assert_eq!(
            read,
            [
                Transfers { major: 8, minor: 0, counts: vec![("rbytes", 1), ("wios", 0)] },
                Transfers { major: 253, minor: 1, counts: Vec::new() },
            ]
        );
    }

    proptest! {
        #[test]
        fn what_else_is_in_a_file_hides_no_counter_and_no_disk(text in "\\PC{0,200}") {
            prop_assert_eq!(value(&format!("{text}\noom_kill 7\n"), "oom_kill"), Some(7));
            let disks = format!("{text}\n8:16 rios=7\n");
            let last = transfers(&disks).last();
            prop_assert_eq!(last, Some(Transfers { major: 8, minor: 16, counts: vec![("rios", 7)] }));
            prop_assert!(number(&text) <= limit(&text));
        }
    }
}
