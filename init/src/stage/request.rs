//! What the kernel's command line says about the root.

use std::fmt;
use std::time::Duration;

use kmod::cmdline::Cmdline;

use super::RootHash;

/// How long a device may take to come, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// A node below `/dev`.
    Node(String),
    /// A link below `/dev/disk`.
    Link(String),
    /// Major and minor number.
    Number(u32, u32),
    /// The file system's UUID.
    Uuid(String),
    /// The file system's label.
    Label(String),
    /// The partition's UUID, and how many partitions after it.
    PartUuid(String, i64),
    /// The partition's label.
    PartLabel(String),
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "/dev/{}", name.escape_debug()),
            Self::Link(name) => write!(f, "/dev/disk/{}", name.escape_debug()),
            Self::Number(major, minor) => write!(f, "{major}:{minor}"),
            Self::Uuid(uuid) => write!(f, "UUID={}", uuid.escape_debug()),
            Self::Label(label) => write!(f, "LABEL={}", label.escape_debug()),
            Self::PartUuid(uuid, 0) => write!(f, "PARTUUID={}", uuid.escape_debug()),
            Self::PartUuid(uuid, offset) => write!(f, "PARTUUID={}/PARTNROFF={offset}", uuid.escape_debug()),
            Self::PartLabel(label) => write!(f, "PARTLABEL={}", label.escape_debug()),
        }
    }
}

/// All that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The device.
    pub root: Root,
    /// What its blocks come to, if they are to be checked.
    pub hash: Option<RootHash>,
    /// Types to try; empty when the superblock decides.
    pub kinds: Vec<String>,
    /// Options for the file system.
    pub options: String,
    /// To wait before the first look.
    pub delay: Duration,
    /// How long the device may take after that; `None` is for ever.
    pub patience: Option<Duration>,
    /// What to run on it, if not the default.
    pub init: Option<String>,
    /// What is not done as it was asked for, one line each.
    pub remarks: Vec<String>,
}

/// Why a root cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nothing of the forms that are known.
    #[error(
        "root={0} names no disk that this initrd can find; give PARTUUID=…, UUID=…, LABEL=…, PARTLABEL=…, /dev/… or MAJOR:MINOR"
    )]
    Unknown(String),
    /// A root hash that is none. The root is not mounted unchecked.
    #[error("roothash={0} is no SHA-256 in 64 hexadecimal digits; take the one that the build wrote")]
    Hash(String),
}

impl Request {
    /// Reads the command line; `None` when it names no disk.
    ///
    /// # Errors
    /// When `root=` is something that only other programs understand, like a network file system.
    pub fn read(cmdline: &Cmdline) -> Result<Option<Self>, RequestError> {
        let Some(text) = cmdline.last("root") else { return Ok(None) };
        if is_memory(text) {
            return Ok(None);
        }
        let root = root(text).ok_or_else(|| RequestError::Unknown(text.escape_debug().to_string()))?;
        let hash = cmdline.last("roothash").map(|text| {
            RootHash::parse(text).ok_or_else(|| RequestError::Hash(text.escape_debug().to_string()))
        });
        let hash = hash.transpose()?;
        let mut remarks = Vec::new();
        let mut seconds = |name: &str| {
            let value = cmdline.last(name)?;
            let seconds = value.parse().ok().map(Duration::from_secs);
            if seconds.is_none() {
                remarks.push(format!("{name}={value} is no number of seconds: ignored"));
            }
            seconds
        };
        let delay = seconds("rootdelay").unwrap_or_default();
        let patience =
            match (seconds("lkb.rootwait").or_else(|| seconds("rootwait")), cmdline.has("rootwait")) {
                (Some(patience), _) => Some(patience),
                (None, true) if cmdline.last("rootwait").is_none() => None,
                (None, _) => Some(PATIENCE),
            };
        // The last of `ro` and `rw` counts.
        let last =
            cmdline.words().filter(|word| word.value.is_none() && matches!(&*word.name, "ro" | "rw")).last();
        if last.is_some_and(|word| word.name == "rw") {
            remarks.push("rw is ignored: / is read-only; /run, /tmp and /var are writable".to_owned());
        }
        let kinds = cmdline.last("rootfstype").unwrap_or_default().split(',').filter(|kind| !kind.is_empty());
        Ok(Some(Self {
            root,
            hash,
            kinds: kinds.map(str::to_owned).collect(),
            options: cmdline.last("rootflags").unwrap_or_default().to_owned(),
            delay,
            patience,
            init: cmdline.last("init").filter(|path| path.starts_with('/')).map(str::to_owned),
            remarks,
        }))
    }
}

/// Whether `root=` means the initramfs itself.
fn is_memory(text: &str) -> bool {
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    let ram = name.strip_prefix("ram").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    ram || matches!(name, "" | "rootfs" | "initramfs" | "tmpfs" | "none")
}

fn root(text: &str) -> Option<Root> {
    if let Some(path) = text.strip_prefix("/dev/") {
        // What the kernel itself takes for "over the network".
        let known = !matches!(path, "" | "nfs" | "cifs")
            && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        return known.then(|| match path.strip_prefix("disk/") {
            Some(link) => Root::Link(link.to_owned()),
            None => Root::Node(path.to_owned()),
        });
    }
    if let Some((major, minor)) = text.split_once(':') {
        return Some(Root::Number(major.parse().ok()?, minor.parse().ok()?));
    }
    let (kind, value) = text.split_once('=')?;
    let value = value.trim_matches('"');
    (!value.is_empty()).then_some(())?;
    Some(match kind {
        "UUID" => Root::Uuid(value.to_owned()),
        "LABEL" => Root::Label(value.to_owned()),
        "PARTLABEL" => Root::PartLabel(value.to_owned()),
        "PARTUUID" => match value.split_once("/PARTNROFF=") {
            Some((uuid, offset)) => Root::PartUuid(uuid.to_owned(), offset.parse().ok()?),
            None => Root::PartUuid(value.to_owned(), 0),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Result<Option<Request>, RequestError> {
        Request::read(&Cmdline::parse(line))
    }

    fn asked(line: &str) -> Request {
        read(line).unwrap().unwrap()
    }

    #[test]
    fn every_form_of_root_is_understood() {
        let cases = [
            ("/dev/vda2", Root::Node("vda2".into())),
            ("/dev/cciss/c0d0p1", Root::Node("cciss/c0d0p1".into())),
            ("/dev/disk/by-id/virtio-x", Root::Link("by-id/virtio-x".into())),
            ("253:2", Root::Number(253, 2)),
            ("UUID=0a-1", Root::Uuid("0a-1".into())),
            ("LABEL=root", Root::Label("root".into())),
            ("PARTLABEL=a", Root::PartLabel("a".into())),
            ("PARTUUID=00-1", Root::PartUuid("00-1".into(), 0)),
            ("PARTUUID=00-1/PARTNROFF=-2", Root::PartUuid("00-1".into(), -2)),
        ];
        for (text, expected) in cases {
            let root = asked(&format!("root={text}")).root;
            assert_eq!(root.to_string(), text);
            assert_eq!(root, expected);
        }
        assert_eq!(asked("\"root=LABEL=my root\"").root, Root::Label("my root".into()));
    }

    #[test]
    fn no_root_and_a_root_in_memory_ask_for_nothing() {
        for line in [
            "quiet",
            "root",
            "root=",
            "root=/dev/ram0",
            "root=/dev/ram",
            "root=rootfs",
            "root=/dev/vda root=/dev/ram0",
        ] {
            assert_eq!(read(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn a_root_that_is_no_disk_is_refused_and_named() {
        for text in [
            "/dev/nfs",
            "nfs:10.0.0.1:/x",
            "LABEL=",
            "/dev/../etc/passwd",
            "ubi0:root",
            "PARTUUID=a/PARTNROFF=x",
        ] {
            let error = read(&format!("root={text}")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("root={text} names no disk")), "{error}");
        }
    }

    #[test]
    fn a_root_hash_is_read_and_one_that_is_none_is_refused() {
        let text = "ab".repeat(32);
        let hash = asked(&format!("root=/dev/vda roothash={text}")).hash.unwrap();
        assert_eq!((hash.to_string(), asked("root=/dev/vda").hash), (text, None));
        for text in ["", "ab", "x"] {
            let error = read(&format!("root=/dev/vda roothash={text}")).unwrap_err().to_string();
            assert!(error.starts_with(&format!("roothash={text} is no SHA-256")), "{error}");
        }
    }

    #[test]
    fn the_wait_is_thirty_seconds_unless_the_command_line_says_otherwise() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let cases = [
            ("", seconds(30)),
            ("rootwait", None),
            ("rootwait=5", seconds(5)),
            ("lkb.rootwait=7", seconds(7)),
            ("rootwait lkb.rootwait=7", seconds(7)),
            ("lkb.rootwait=0", seconds(0)),
        ];
        for (line, expected) in cases {
            assert_eq!(asked(&format!("root=/dev/vda {line}")).patience, expected, "{line}");
        }
        let odd = asked("root=/dev/vda lkb.rootwait=soon rootdelay=3");
        assert_eq!((odd.patience, odd.delay), (seconds(30), Duration::from_secs(3)));
        assert_eq!(odd.remarks, ["lkb.rootwait=soon is no number of seconds: ignored"]);
    }

    #[test]
    fn types_options_and_init_are_passed_on_and_rw_is_said_to_be_ignored() {
        let request = asked("root=/dev/vda rootfstype=ext4,squashfs rootflags=noload init=/bin/x ro rw");
        assert_eq!(request.kinds, ["ext4", "squashfs"]);
        assert_eq!((request.options.as_str(), request.init.as_deref()), ("noload", Some("/bin/x")));
        assert!(request.remarks[0].starts_with("rw is ignored"));
        assert!(asked("root=/dev/vda rw ro").remarks.is_empty());
    }

    proptest! {
        #[test]
        fn any_command_line_is_read(line in "(root(=|wait=|delay=)?[A-Za-z0-9:/=.\"-]{0,20} ?){0,4}") {
            std::hint::black_box(read(&line).ok());
        }
    }
}
