//! Patterns of module aliases: fnmatch(3) with `-` and `_` taken for the same outside of brackets, as kmod does.

/// Whether the whole of `text` matches `pattern` (`*`, `?`, `[a-z]`, `[!a]`, `\x`).
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // After the last `*`: where its pattern goes on, and the text that it has not swallowed yet.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let matched = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(_), Some(byte)) => one(pattern, p, *byte),
            _ => None,
        };
        if let Some(next) = matched {
            (p, t) = (next, t + 1);
            continue;
        }
        match retry {
            Some((after, swallowed)) if swallowed < text.len() => {
                retry = Some((after, swallowed + 1));
                (p, t) = (after, swallowed + 1);
            }
            _ => return false,
        }
    }
}

/// Matches one byte against the pattern's element at `at`; returns where the next element starts.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => bracket(pattern, at + 1, byte),
        b'\\' if at + 1 < pattern.len() => (pattern.get(at + 1) == Some(&byte)).then_some(at + 2),
        literal => (fold(*literal) == fold(byte)).then_some(at + 1),
    }
}

/// Matches one byte against the bracket expression whose content starts at `at`.
fn bracket(pattern: &[u8], mut at: usize, byte: u8) -> Option<usize> {
    let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
    if negated {
        at += 1;
    }
    let start = at;
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > start {
            return (found != negated).then_some(at + 1);
        }
        match (pattern.get(at + 1), pattern.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                found |= (low..=*high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

const fn fold(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        let cases = [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
            (
                "pci:v00008086d*sv*sd*bc01sc06i01*",
                "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
                true,
            ),
            ("acpi*:LNXPWRBN:*", "acpi:LNXPWRBN:", true),
            ("acpi*:LNXPWRBN:*", "acpi:PNP0C0C:", false),
            ("usb:v05ACp[0-9]*", "usb:v05ACp1", true),
            ("usb:v05ACp[!0-9]", "usb:v05ACp1", false),
            ("fs-ext4", "fs_ext4", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[]x]", "]", true),
            ("[a-", "a", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("*", "", true),
            ("", "x", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_exponential_time() {
        assert!(!matches(&"a*".repeat(200), &"a".repeat(199)));
        assert!(!matches(&"*a".repeat(50), &("a".repeat(2000) + "b")));
    }

    proptest! {
        #[test]
        fn any_pattern_ends_without_panic(pattern in "[a*?\\[\\]!\\\\-]{0,12}", text in "[ab\\]-]{0,12}") {
            std::hint::black_box(matches(&pattern, &text));
        }

        #[test]
        fn a_text_without_specials_matches_itself_and_every_prefix_with_a_star(text in "[a-z0-9:]{0,20}", at in 0usize..20) {
            let prefix = &text[..at.min(text.len())];
            let pattern = format!("{prefix}*");
            prop_assert!(matches(&text, &text));
            prop_assert!(matches(&pattern, &text));
        }
    }
}
