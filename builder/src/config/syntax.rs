//! The small languages inside strings: binds, tmpfs, rlimits, capabilities, modes, names.
//!
//! Every function returns what the string means, or one sentence that says what is wrong with it.

/// The capabilities of Linux 5.9 and later (capabilities(7)), in the kernel's order.
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The resource limits of the OCI runtime spec (config.md, "POSIX process").
const RLIMITS: [&str; 16] = [
    "RLIMIT_AS",
    "RLIMIT_CORE",
    "RLIMIT_CPU",
    "RLIMIT_DATA",
    "RLIMIT_FSIZE",
    "RLIMIT_LOCKS",
    "RLIMIT_MEMLOCK",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_NOFILE",
    "RLIMIT_NPROC",
    "RLIMIT_RSS",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
    "RLIMIT_SIGPENDING",
    "RLIMIT_STACK",
];

/// containerd's limit for the id of a container, which is what a service's name becomes.
const MAX_NAME: usize = 76;

/// `SOURCE:DESTINATION[:OPTION,…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind<'a> {
    /// An absolute path of the machine, or the name of a volume.
    pub source: &'a str,
    /// An absolute path in the container.
    pub destination: &'a str,
    /// Mount options; `None` means the default ones.
    pub options: Option<Vec<&'a str>>,
}

/// `DESTINATION[:OPTION,…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs<'a> {
    /// An absolute path in the container.
    pub destination: &'a str,
    /// Mount options.
    pub options: Vec<&'a str>,
}

/// `NAME,SOFT,HARD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rlimit {
    /// `RLIMIT_…`.
    pub kind: &'static str,
    /// What the process starts with; `u64::MAX` is no limit.
    pub soft: u64,
    /// What it may raise that to; `u64::MAX` is no limit.
    pub hard: u64,
}

/// Reads a bind.
///
/// # Errors
/// When a part is missing or superfluous, or the destination is not absolute.
pub fn bind(text: &str) -> Result<Bind<'_>, String> {
    let mut parts = text.split(':');
    let (Some(source), Some(destination)) = (parts.next(), parts.next()) else {
        return Err(format!("bind `{text}` has no `:`; write `SOURCE:DESTINATION`"));
    };
    let options = parts.next().map(words);
    if parts.next().is_some() {
        return Err(format!("bind `{text}` has more than two `:`; write `SOURCE:DESTINATION:OPTION,OPTION`"));
    }
    if source.is_empty() {
        return Err(format!("bind `{text}` has no source before the first `:`"));
    }
    absolute(destination).map_err(|error| format!("destination of bind `{text}`: {error}"))?;
    Ok(Bind { source, destination, options })
}

/// Reads a tmpfs.
///
/// # Errors
/// When there is more than one `:`, or the destination is not absolute.
pub fn tmpfs(text: &str) -> Result<Tmpfs<'_>, String> {
    let (destination, options) = match text.split_once(':') {
        Some((_, options)) if options.contains(':') => {
            return Err(format!("tmpfs `{text}` has more than one `:`; write `DESTINATION:OPTION,OPTION`"));
        }
        Some((destination, options)) => (destination, words(options)),
        None => (text, Vec::new()),
    };
    absolute(destination).map_err(|error| format!("destination of tmpfs `{text}`: {error}"))?;
    Ok(Tmpfs { destination, options })
}

/// Reads a resource limit. The name may be lower case and without `RLIMIT_`; a limit may be `unlimited`.
///
/// # Errors
/// When there are not three parts, the name is unknown, a limit is no number, or soft exceeds hard.
pub fn rlimit(text: &str) -> Result<Rlimit, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let [name, soft, hard] = parts.as_slice() else {
        return Err(format!("rlimit `{text}` is not `NAME,SOFT,HARD`"));
    };
    let mut wanted = name.to_ascii_uppercase();
    if !wanted.starts_with("RLIMIT_") {
        wanted.insert_str(0, "RLIMIT_");
    }
    let Some(kind) = RLIMITS.into_iter().find(|known| *known == wanted) else {
        return Err(format!("unknown limit: {name}{}", suggestion(&wanted, RLIMITS)));
    };
    let number = |value: &str| match value {
        _ if value.eq_ignore_ascii_case("unlimited") => Ok(u64::MAX),
        _ => value.parse::<u64>().map_err(|error| format!("rlimit `{text}`: cannot read `{value}`: {error}")),
    };
    let (soft, hard) = (number(soft)?, number(hard)?);
    if soft > hard {
        return Err(format!("rlimit `{text}`: the soft limit exceeds the hard limit"));
    }
    Ok(Rlimit { kind, soft, hard })
}

/// Checks the exact name of a capability, or `all` or `none` in any case.
///
/// # Errors
/// When there is no such capability.
pub fn capability(text: &str) -> Result<(), String> {
    if is_all(text) || is_none(text) || CAPABILITIES.contains(&text) {
        return Ok(());
    }
    let upper = text.to_ascii_uppercase();
    let likely = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    Err(format!("unknown capability: {text}{}", suggestion(&likely, CAPABILITIES)))
}

/// Whether this stands for all capabilities.
#[must_use]
pub fn is_all(text: &str) -> bool {
    text.eq_ignore_ascii_case("all")
}

/// Whether this stands for no capability.
#[must_use]
pub fn is_none(text: &str) -> bool {
    text.eq_ignore_ascii_case("none")
}

/// Reads permission bits with set-uid, set-gid and sticky.
///
/// # Errors
/// When it is not octal, or above 7777.
pub fn octal_mode(text: &str) -> Result<u32, String> {
    let octal = !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| octal && *mode <= 0o7777)
        .ok_or_else(|| format!("mode `{text}` is not an octal number up to 7777, such as \"0644\""))
}

/// Checks a container's name: it becomes a directory and a container id.
pub(super) fn container_name(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+');
    if text.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if text.len() > MAX_NAME {
        return Err(format!("name `{text}` is longer than {MAX_NAME} characters"));
    }
    if !text.chars().all(plain) || text.starts_with(['.', '-', '+']) {
        return Err(format!(
            "name `{text}` cannot be a file name and a container id; use letters, digits, `_`, `-` and `.`"
        ));
    }
    Ok(())
}

/// Checks a volume's name.
pub(super) fn volume_name(text: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
    if text.is_empty() || text.len() > MAX_NAME || !text.bytes().all(plain) {
        return Err(format!(
            "invalid volume name: `{text}`; use up to {MAX_NAME} lower-case letters, digits, `_` and `-`"
        ));
    }
    Ok(())
}

/// Checks that a path starts at the root.
pub(super) fn absolute(text: &str) -> Result<(), String> {
    if text.starts_with('/') { Ok(()) } else { Err(format!("path `{text}` does not start with `/`")) }
}

/// Checks the path of a file in the image: a leading `/` is optional.
pub(super) fn file_path(text: &str) -> Result<(), String> {
    let mut parts = text.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
    if parts.peek().is_none() {
        return Err(format!("path `{text}` names no file"));
    }
    if parts.any(|part| part == "..") {
        return Err(format!("path `{text}` has a `..` in it"));
    }
    if text.contains('\0') {
        return Err("the path has a NUL in it".to_owned());
    }
    Ok(())
}

/// Checks how a namespace is chosen: `host`, `root`, `new`, or the path of one.
pub(super) fn namespace(text: &str) -> Result<(), String> {
    match text {
        "" | "host" | "root" | "new" => Ok(()),
        _ if text.starts_with('/') => Ok(()),
        _ => Err(format!("namespace `{text}` is neither `host`, `new` nor an absolute path")),
    }
}

/// Checks a reference's outer form; the rest is left to what fetches the image.
pub(super) fn image(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the image is empty".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("image `{text}` has blanks in it"));
    }
    Ok(())
}

/// Checks the size of a huge page, such as `2MB`.
pub(super) fn page_size(text: &str) -> Result<(), String> {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    match digits {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(()),
        _ => Err(format!("page size `{text}` is not a number followed by KB, MB or GB, such as `2MB`")),
    }
}

/// Checks a signal's name or number.
pub(super) fn signal(text: &str) -> Result<(), String> {
    match image_layout::signal_number(text) {
        Some(_) => Ok(()),
        None => Err(format!("`{text}` is not a signal, such as `SIGTERM`, `INT` or `SIGRTMIN+3`")),
    }
}

/// Checks the access of a device cgroup rule: some of `rwm`.
pub(super) fn device_access(text: &str) -> Result<(), String> {
    if !text.is_empty() && text.chars().all(|c| "rwm".contains(c)) {
        Ok(())
    } else {
        Err(format!("access `{text}` is not made of `r`, `w` and `m`"))
    }
}

/// `; did you mean X?` if one of `known` is near to `word`, else nothing.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| {
            let same = candidate.eq_ignore_ascii_case(word);
            (if same { 0 } else { strsim::osa_distance(word, candidate) }, candidate)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}

fn words(text: &str) -> Vec<&str> {
    text.split(',').filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_have_two_or_three_parts_and_an_absolute_destination() {
        let plain = Bind { source: "/a", destination: "/b", options: None };
        assert_eq!(bind("/a:/b"), Ok(plain));
        let volume = Bind { source: "vol", destination: "/b", options: Some(vec!["ro", "rshared"]) };
        assert_eq!(bind("vol:/b:ro,rshared"), Ok(volume));
        for (text, why) in [
            ("/a", "has no `:`"),
            ("/a:/b:ro:x", "more than two `:`"),
            (":/b", "no source"),
            ("/a:b", "does not start with `/`"),
            ("/a:", "does not start with `/`"),
        ] {
            assert!(bind(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn tmpfs_has_a_destination_and_perhaps_options() {
        assert_eq!(tmpfs("/run"), Ok(Tmpfs { destination: "/run", options: vec![] }));
        let sized = Tmpfs { destination: "/run", options: vec!["size=1m", "mode=755"] };
        assert_eq!(tmpfs("/run:size=1m,mode=755"), Ok(sized));
        assert!(tmpfs("/run:a:b").unwrap_err().contains("more than one `:`"));
        assert!(tmpfs("run").unwrap_err().contains("does not start with `/`"));
    }

    #[test]
    fn rlimits_are_read_in_any_case_with_or_without_prefix() {
        let nofile = |soft, hard| Rlimit { kind: "RLIMIT_NOFILE", soft, hard };
        for (text, expected) in [
            ("nofile,100,200", nofile(100, 200)),
            ("RLIMIT_NOFILE,100,unlimited", nofile(100, u64::MAX)),
            (" NoFile , 1 , Unlimited", nofile(1, u64::MAX)),
        ] {
            assert_eq!(rlimit(text), Ok(expected), "{text}");
        }
        for (text, why) in [
            ("nofile,1", "is not `NAME,SOFT,HARD`"),
            ("nofile,1,2,3", "is not `NAME,SOFT,HARD`"),
            ("nofiles,1,2", "unknown limit: nofiles; did you mean `RLIMIT_NOFILE`?"),
            ("nofile,x,2", "cannot read `x`"),
            ("nofile,-1,2", "cannot read `-1`"),
            ("nofile,3,2", "exceeds"),
        ] {
            assert!(rlimit(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn capabilities_are_exact_and_suggest_the_right_name() {
        assert_eq!(capability("CAP_NET_ADMIN"), Ok(()));
        assert_eq!(capability("ALL"), Ok(()));
        assert_eq!(
            capability("net_admin").unwrap_err(),
            "unknown capability: net_admin; did you mean `CAP_NET_ADMIN`?"
        );
        assert_eq!(capability("CAP_FLY").unwrap_err(), "unknown capability: CAP_FLY");
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(octal_mode("0644"), Ok(0o644));
        assert_eq!(octal_mode("4755"), Ok(0o4755));
        for text in ["", "0o644", "888", "rw", "-644", "+644", "17777"] {
            assert!(octal_mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_must_be_usable_as_file_names() {
        for name in ["sshd", "my-app_1.2", "0"] {
            assert_eq!(container_name(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a/b", "a b", "é", "-x", "a\nb", &"x".repeat(77)] {
            assert!(container_name(name).is_err(), "{name}");
        }
        for name in ["", "A", "a/b", "a.b"] {
            assert!(volume_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn file_paths_stay_in_the_image() {
        for path in ["etc/x", "/etc/x", "/etc//x/", "./x"] {
            assert_eq!(file_path(path), Ok(()), "{path}");
        }
        for path in ["", "/", "//", ".", "../x", "etc/../../x", "a\0b"] {
            assert!(file_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["services", "onboot", "files"];
        assert_eq!(suggestion("servces", known), "; did you mean `services`?");
        assert_eq!(suggestion("SERVICES", known), "; did you mean `services`?");
        assert_eq!(suggestion("zebra", known), "");
    }
}
