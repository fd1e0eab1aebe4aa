//! What is mounted: `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Device number, major and minor; some file systems have one that no device has.
    pub device: (u32, u32),
    /// Where it is mounted.
    pub point: String,
    /// Whether mounts made beneath are seen by others, as the machine: the field `shared:N`.
    pub shared: bool,
    /// The file system's type.
    pub fs: String,
    /// What was mounted, as `/dev/vdb1`.
    pub source: String,
}

/// Reads the file's text; lines that are not as they should be are left out.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(2);
    let (major, minor) = before.next()?.split_once(':')?;
    let point = unescape(before.nth(1)?);
    let shared = before.skip(1).any(|field| field.starts_with("shared:"));
    let mut after = after.split(' ');
    Some(Mount {
        device: (major.parse().ok()?, minor.parse().ok()?),
        point,
        shared,
        fs: after.next()?.to_owned(),
        source: unescape(after.next()?),
    })
}

/// What is mounted exactly at `point`; of several mounts the one on top.
pub fn at<'a>(mounts: &'a [Mount], point: &str) -> Option<&'a Mount> {
    mounts.iter().rev().find(|m| m.point == point)
}

/// The mount that `path` is in.
pub fn around<'a>(mounts: &'a [Mount], path: &str) -> Option<&'a Mount> {
    let contains = |m: &&Mount| {
        let point = m.point.trim_end_matches('/');
        path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // Later mounts hide earlier ones, and `max_by_key` returns the last of equals.
    mounts.iter().filter(contains).max_by_key(|m| m.point.len())
}

/// Blanks and the like are written as `\ooo`.
fn unescape(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        match (first, rest) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                plain.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                bytes = after;
            }
            _ => {
                plain.push(*first);
                bytes = rest;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "\
21 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/a
22 21 0:21 / /var rw shared:5 - tmpfs tmpfs rw
23 22 254:17 / /var/lib/a\\040b rw,relatime shared:9 master:3 - ext4 /dev/vdb1 rw
24 21 0:22 / /various rw - tmpfs tmpfs rw
25 22 0:23 / /var/lib/a\\040b rw - tmpfs on-top rw
not a line
";

    #[test]
    fn mounts_are_read_with_their_optional_fields() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 5);
        assert_eq!(
            mounts[2],
            Mount {
                device: (254, 17),
                point: "/var/lib/a b".into(),
                shared: true,
                fs: "ext4".into(),
                source: "/dev/vdb1".into()
            }
        );
    }

    #[test]
    fn the_mount_on_top_and_the_mount_around_are_found() {
        let mounts = parse(TEXT);
        assert_eq!(at(&mounts, "/var/lib/a b").map(|m| m.source.as_str()), Some("on-top"));
        assert_eq!(at(&mounts, "/var/lib"), None);
        for (path, point, shared) in [
            ("/var/lib/x", "/var", true),
            ("/various/x", "/various", false),
            ("/srv", "/", false),
            ("/var", "/var", true),
        ] {
            let mount = around(&mounts, path).unwrap();
            assert_eq!((mount.point.as_str(), mount.shared), (point, shared), "{path}");
        }
    }

    #[test]
    fn this_processs_own_mounts_can_be_read() {
        let mounts = parse(&std::fs::read_to_string("/proc/self/mountinfo").unwrap());
        assert!(around(&mounts, "/").is_some());
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "[ -~\\n\\\\]{0,200}") {
            parse(&text);
        }
    }
}
