//! The OCI runtime's command line, as runc has it.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use containerd_shim_protos::shim::oci::Options;

/// This binary, which is a runtime too.
const SELF: &str = "/proc/self/exe";
/// A link to this binary, unless the image brings a runtime of its own.
const RUNC: &str = "/usr/bin/runc";
/// Where runtimes keep their containers, below it one directory for each namespace; as with containerd's own shim.
const ROOT: &str = "/run/containerd/runc";
/// How much of a log is read for the reason of a failure (bytes).
const LOG_LIMIT: u64 = 256 << 10;

/// The runtime of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// What is executed.
    path: PathBuf,
    /// Where it keeps its containers.
    pub root: PathBuf,
    flags: Vec<&'static str>,
}

impl Program {
    /// The runtime that is asked for: by name, or the image's, or our own.
    #[must_use]
    pub fn choose(options: &Options, namespace: &str) -> Self {
        let path = match options.binary_name.as_str() {
            "" if is_other(Path::new(RUNC), Path::new(SELF)) => RUNC.into(),
            "" => SELF.into(),
            name => name.into(),
        };
        let root = if options.root.is_empty() { ROOT } else { options.root.as_str() };
        let mut flags = Vec::new();
        if options.no_pivot_root {
            flags.push("--no-pivot");
        }
        if options.no_new_keyring {
            flags.push("--no-new-keyring");
        }
        Self { path, root: Path::new(root).join(namespace), flags }
    }

    /// Whether it is this binary.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.path == Path::new(SELF)
    }

    /// What is executed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command, with its log in `bundle`; `create` gets the flags of the options.
    pub fn command<I, S>(&self, bundle: &Path, name: &str, args: I) -> Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(&self.path);
        command.arg0("runc").arg("--root").arg(&self.root);
        command.arg("--log").arg(log(bundle)).args(["--log-format", "json", name]);
        if name == "create" {
            command.args(&self.flags);
        }
        command.args(args);
        command
    }
}

/// Where the runtime says why it failed; its standard error is the container's.
#[must_use]
pub fn log(bundle: &Path) -> PathBuf {
    bundle.join("log.json")
}

/// The last error in the log, or how it ended when it said nothing.
#[must_use]
pub fn reason(bundle: &Path, ended: &str) -> String {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(log(bundle)).and_then(|file| file.take(LOG_LIMIT).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    // A log that cannot be read says nothing.
    match read.ok().and_then(|_| last_error(&text)) {
        Some(reason) => reason,
        None => format!("the runtime {ended}"),
    }
}

/// Lines of `{"level":"error","msg":…}`; the last error, else the last line that is not for debugging.
fn last_error(text: &str) -> Option<String> {
    let field = |line: &str| -> Option<(String, String)> {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |key: &str| value.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        Some((text("level").unwrap_or_default(), text("msg")?))
    };
    let lines: Vec<_> = text.lines().filter_map(field).collect();
    let is_error = |level: &str| matches!(level, "error" | "fatal" | "panic");
    let spoken =
        || lines.iter().rev().find(|(level, _)| !matches!(level.as_str(), "debug" | "trace" | "info"));
    lines.iter().rev().find(|(level, _)| is_error(level)).or_else(spoken).map(|(_, message)| message.clone())
}

/// Whether `path` is a file, and not the same as `own`; what cannot be looked at is none.
fn is_other(path: &Path, own: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    identity(path).is_some_and(|file| identity(own) != Some(file))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_runcs() {
        let mut options = Options::new();
        (options.binary_name, options.root) = ("/opt/crun".into(), "/r".into());
        let program = Program::choose(&options, "n");
        assert!(!program.is_own());
        let command = program.command(Path::new("/b"), "delete", ["--force", "c"]);
        let words: Vec<_> = command.get_args().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(command.get_program(), "/opt/crun");
        assert_eq!(
            words,
            ["--root", "/r/n", "--log", "/b/log.json", "--log-format", "json", "delete", "--force", "c"]
        );
    }

    #[test]
    fn a_runtime_that_the_image_brings_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let (own, link, other) = (dir.path().join("init"), dir.path().join("runc"), dir.path().join("other"));
        std::fs::write(&own, "").unwrap();
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&own, &link).unwrap();
        assert!(!is_other(&link, &own));
        assert!(is_other(&other, &own));
        assert!(!is_other(&dir.path().join("none"), &own));
    }

    #[test]
    fn the_reason_of_a_failure_is_its_last_error() {
        let text = "{\"level\":\"warning\",\"msg\":\"a\"}\n{\"level\":\"error\",\"msg\":\"b\"}\n{\"level\":\"debug\",\"msg\":\"c\"}\nnoise\n";
        assert_eq!(last_error(text).as_deref(), Some("b"));
        assert_eq!(last_error("{\"level\":\"warning\",\"msg\":\"a\"}\n").as_deref(), Some("a"));
        assert_eq!(last_error("{\"level\":\"debug\",\"msg\":\"a\"}"), None);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(reason(dir.path(), "exited with code 1"), "the runtime exited with code 1");
    }

    proptest! {
        #[test]
        fn any_log_has_a_reason_or_none(text in "\\PC{0,200}") {
            last_error(&text);
        }
    }
}
