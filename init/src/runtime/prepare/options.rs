//! fstab(5) option words as mount(2) flags and data.

use nix::mount::MsFlags;

/// mount(2) copies at most one page of data, less its terminator.
const DATA_LIMIT: usize = 4095;

/// Option words, sorted into what mount(2) takes in different calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Flags of the mount, without bind, remount and propagation.
    pub flags: MsFlags,
    /// `bind` or `rbind`.
    pub bind: Option<MsFlags>,
    /// `remount`.
    pub remount: bool,
    /// `private`, `rshared`, …; each is a call of its own, in the order given.
    pub propagation: Vec<MsFlags>,
    /// All other words, joined with commas, for the file system.
    pub data: String,
}

/// Why options cannot be given to mount(2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// NUL ends strings in the kernel's interface.
    #[error("option {0:?} contains a NUL byte")]
    Nul(String),
    /// More than the kernel copies.
    #[error("the options for the file system are {0} bytes long; the kernel takes {DATA_LIMIT}")]
    TooLong(usize),
    /// A bind mount has no file system to give data to.
    #[error("bind mounts take no option {0:?}")]
    BindData(String),
}

enum Word {
    Set(MsFlags),
    Clear(MsFlags),
    Propagation(MsFlags),
    Bind(MsFlags),
    Remount,
    Nothing,
}

/// The words that are flags; mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS".
fn word(option: &str) -> Option<Word> {
    use Word::{Bind, Clear, Nothing, Propagation, Remount, Set};
    Some(match option {
        "defaults" | "" => Nothing,
        "ro" => Set(MsFlags::MS_RDONLY),
        "rw" => Clear(MsFlags::MS_RDONLY),
        "nosuid" => Set(MsFlags::MS_NOSUID),
        "suid" => Clear(MsFlags::MS_NOSUID),
        "nodev" => Set(MsFlags::MS_NODEV),
        "dev" => Clear(MsFlags::MS_NODEV),
        "noexec" => Set(MsFlags::MS_NOEXEC),
        "exec" => Clear(MsFlags::MS_NOEXEC),
        "sync" => Set(MsFlags::MS_SYNCHRONOUS),
        "async" => Clear(MsFlags::MS_SYNCHRONOUS),
        "dirsync" => Set(MsFlags::MS_DIRSYNC),
        "mand" => Set(MsFlags::MS_MANDLOCK),
        "nomand" => Clear(MsFlags::MS_MANDLOCK),
        "noatime" => Set(MsFlags::MS_NOATIME),
        "atime" => Clear(MsFlags::MS_NOATIME),
        "nodiratime" => Set(MsFlags::MS_NODIRATIME),
        "diratime" => Clear(MsFlags::MS_NODIRATIME),
        "relatime" => Set(MsFlags::MS_RELATIME),
        "norelatime" => Clear(MsFlags::MS_RELATIME),
        "strictatime" => Set(MsFlags::MS_STRICTATIME),
        "nostrictatime" => Clear(MsFlags::MS_STRICTATIME),
        "lazytime" => Set(MsFlags::MS_LAZYTIME),
        "nolazytime" => Clear(MsFlags::MS_LAZYTIME),
        "silent" => Set(MsFlags::MS_SILENT),
        "loud" => Clear(MsFlags::MS_SILENT),
        "bind" => Bind(MsFlags::MS_BIND),
        "rbind" => Bind(MsFlags::MS_BIND.union(MsFlags::MS_REC)),
        "remount" => Remount,
        "private" => Propagation(MsFlags::MS_PRIVATE),
        "rprivate" => Propagation(MsFlags::MS_PRIVATE.union(MsFlags::MS_REC)),
        "shared" => Propagation(MsFlags::MS_SHARED),
        "rshared" => Propagation(MsFlags::MS_SHARED.union(MsFlags::MS_REC)),
        "slave" => Propagation(MsFlags::MS_SLAVE),
        "rslave" => Propagation(MsFlags::MS_SLAVE.union(MsFlags::MS_REC)),
        "unbindable" => Propagation(MsFlags::MS_UNBINDABLE),
        "runbindable" => Propagation(MsFlags::MS_UNBINDABLE.union(MsFlags::MS_REC)),
        _ => return None,
    })
}

/// Sorts option words; a later word overrules an earlier one.
pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Options, OptionError> {
    if let Some(bad) = words.iter().find(|word| word.as_ref().contains('\0')) {
        return Err(OptionError::Nul(bad.as_ref().to_owned()));
    }
    let options = sort(words);
    if options.data.len() > DATA_LIMIT {
        return Err(OptionError::TooLong(options.data.len()));
    }
    if options.bind.is_some() && !options.data.is_empty() {
        return Err(OptionError::BindData(options.data));
    }
    Ok(options)
}

/// As [`parse`], of words that another has to judge.
pub fn sort<S: AsRef<str>>(words: &[S]) -> Options {
    let mut options = Options {
        flags: MsFlags::empty(),
        bind: None,
        remount: false,
        propagation: Vec::new(),
        data: String::new(),
    };
    for text in words {
        let text = text.as_ref();
        match word(text) {
            Some(Word::Set(flag)) => options.flags.insert(flag),
            Some(Word::Clear(flag)) => options.flags.remove(flag),
            Some(Word::Propagation(flag)) => options.propagation.push(flag),
            Some(Word::Bind(flag)) => options.bind = Some(flag),
            Some(Word::Remount) => options.remount = true,
            Some(Word::Nothing) => {}
            None => {
                if !options.data.is_empty() {
                    options.data.push(',');
                }
                options.data.push_str(text);
            }
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_become_flags_and_the_rest_is_data() {
        let cases: &[(&[&str], MsFlags, &str)] = &[
            (&[], MsFlags::empty(), ""),
            (&["defaults"], MsFlags::empty(), ""),
            (&["ro", "nosuid", "nodev"], MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV, ""),
            (&["ro", "rw"], MsFlags::empty(), ""),
            (&["nosuid", "mode=755", "size=64m"], MsFlags::MS_NOSUID, "mode=755,size=64m"),
            (&["lowerdir=/a:/b", "upperdir=/u"], MsFlags::empty(), "lowerdir=/a:/b,upperdir=/u"),
        ];
        for (words, flags, data) in cases {
            let options = parse(words).unwrap();
            assert_eq!((options.flags, options.data.as_str()), (*flags, *data), "{words:?}");
        }
    }

    #[test]
    fn bind_remount_and_propagation_stand_apart() {
        let options = parse(&["rbind", "ro", "rprivate", "shared"]).unwrap();
        assert_eq!(options.bind, Some(MsFlags::MS_BIND | MsFlags::MS_REC));
        assert_eq!(options.flags, MsFlags::MS_RDONLY);
        assert_eq!(options.propagation, [MsFlags::MS_PRIVATE | MsFlags::MS_REC, MsFlags::MS_SHARED]);
        assert!(parse(&["remount", "private"]).unwrap().remount);
    }

    #[test]
    fn what_the_kernel_would_cut_or_ignore_is_refused() {
        assert_eq!(parse(&["a\0b"]), Err(OptionError::Nul("a\0b".into())));
        assert_eq!(parse(&["x".repeat(4096)]), Err(OptionError::TooLong(4096)));
        assert_eq!(parse(&["bind", "size=1m"]), Err(OptionError::BindData("size=1m".into())));
    }

    proptest! {
        #[test]
        fn any_words_are_sorted_or_refused_and_none_is_lost(words in prop::collection::vec("[a-z=/,:]{0,12}", 0..12)) {
            if let Ok(options) = parse(&words) {
                let unknown: Vec<&str> =
                    words.iter().map(String::as_str).filter(|text| word(text).is_none()).collect();
                prop_assert_eq!(options.data, unknown.join(","));
            }
        }
    }
}
