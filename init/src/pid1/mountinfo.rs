//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPoint {
    /// The mount's number.
    pub id: u64,
    /// The number of the mount it is mounted on.
    pub parent: u64,
    /// Where it is mounted.
    pub target: String,
    /// The type of the file system.
    pub kind: String,
    /// What is mounted: a device's node, or a word.
    pub source: String,
}

/// Reads the file's text, in the kernel's order: a mount after the one it is mounted on. Odd lines are skipped.
#[must_use]
pub fn parse(text: &str) -> Vec<MountPoint> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<MountPoint> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let mut words = file_system.split(' ');
    Some(MountPoint {
        id: fields.next()?.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        // After the device number and the part of the file system that is mounted.
        target: unescape(fields.nth(2)?),
        kind: words.next()?.to_owned(),
        source: unescape(words.next().unwrap_or_default()),
    })
}

/// Undoes `\040` and the like, which stand for space, tab, newline and backslash.
fn unescape(field: &str) -> String {
    let mut text = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        text.push_str(before);
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code.filter(u8::is_ascii), after.get(3..)) {
            (Some(code), Some(left)) => {
                text.push(char::from(code));
                rest = left;
            }
            _ => {
                text.push('\\');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mounts_are_read_with_and_without_optional_fields() {
        let text = "22 1 0:21 / / rw,relatime shared:1 - tmpfs rootfs rw\n\
            29 22 8:1 /ab /mnt/x\\040y\\134z rw shared:2 master:1 - ext4 /dev/sda1 rw\n\
            30 22 0:5 / /dev rw - devtmpfs dev rw\n\
            nonsense\n";
        let mounts = parse(text);
        let shown: Vec<_> = mounts
            .iter()
            .map(|m| (m.id, m.parent, m.target.as_str(), m.kind.as_str(), m.source.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (22, 1, "/", "tmpfs", "rootfs"),
                (29, 22, "/mnt/x y\\z", "ext4", "/dev/sda1"),
                (30, 22, "/dev", "devtmpfs", "dev"),
            ]
        );
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        for (field, expected) in [("a\\", "a\\"), ("a\\9", "a\\9"), ("\\040\\011", " \t"), ("\\777", "\\777")]
        {
            assert_eq!(unescape(field), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "([0-9:/a-z\\\\ -]{0,30}\n){0,4}|.*") {
            std::hint::black_box(parse(&text));
        }
    }
}
