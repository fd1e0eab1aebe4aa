//! How processes ended: files that PID 1, their parent, writes for those who asked.
//!
//! Whoever wants to know of process N makes the empty file `/run/lkb/exits/N`; when PID 1 reaps it, it writes one line into
//! that file: `code 1` or `signal 9`. So an end is not lost while nobody watches.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::Exit;
use crate::watch::inotify::Inotify;
use crate::watch::process::{Handle, ProcessId};

/// Where the files are; PID 1 makes the directory.
pub const DIR: &str = "/run/lkb/exits";
/// A line is shorter (bytes).
const LIMIT: u64 = 64;
/// How long PID 1 may take to write, once it has reaped.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long PID 1 may take to reap.
const REAP_LIMIT: Duration = Duration::from_secs(10);
/// How often it is asked whether PID 1 has reaped, in that time.
const PAUSE: Duration = Duration::from_millis(20);

/// The directory of all such files.
#[derive(Debug, Clone)]
pub struct Records(PathBuf);

impl Records {
    /// Files in the directory `dir`.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    fn path(&self, pid: u32) -> PathBuf {
        self.0.join(pid.to_string())
    }

    /// Asks for the end of process `pid`. What a former process of that number left is removed.
    pub fn expect(&self, pid: u32) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.0)?;
        self.forget(pid)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(pid)).map(drop)
    }

    /// Asks no more.
    pub fn forget(&self, pid: u32) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(pid)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// How process `pid` ended, if that has been written.
    #[must_use]
    pub fn read(&self, pid: u32) -> Option<Exit> {
        let mut text = String::new();
        std::fs::File::open(self.path(pid)).ok()?.take(LIMIT).read_to_string(&mut text).ok()?;
        parse(&text)
    }

    /// Waits for the end of `process`. [`Exit::Unknown`] when it is gone and nobody writes how.
    pub async fn end_of(&self, process: ProcessId) -> Exit {
        // Watched before it is read, so that nothing is written unseen in between.
        let watch = Inotify::new().and_then(|watch| {
            watch.watch_content(&self.path(process.pid))?;
            Ok(watch)
        });
        loop {
            if let Some(exit) = self.read(process.pid) {
                return exit;
            }
            tokio::select! {
                () = changed(watch.as_ref().ok()) => {}
                () = gone(process) => return self.after_the_end(process, watch.as_ref().ok()).await,
            }
        }
    }

    /// It has ended; what is left is for PID 1 to reap it and to say how.
    async fn after_the_end(&self, process: ProcessId, watch: Option<&Inotify>) -> Exit {
        let mut deadline = Instant::now() + REAP_LIMIT;
        let mut reaped = false;
        loop {
            if let Some(exit) = self.read(process.pid) {
                return exit;
            }
            if !reaped && ProcessId::of(process.pid) != Some(process) {
                reaped = true;
                deadline = Instant::now() + PATIENCE;
            }
            if Instant::now() >= deadline {
                return Exit::Unknown;
            }
            tokio::select! {
                () = changed(watch) => {}
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Waits until something was written; for ever when that cannot be watched.
async fn changed(watch: Option<&Inotify>) {
    match watch {
        Some(watch) if watch.changed().await.is_ok() => {}
        _ => std::future::pending().await,
    }
}

/// Waits until `process` has ended, reaped or not.
pub async fn gone(process: ProcessId) {
    if let Some(handle) = Handle::open(process) {
        handle.ended().await;
    }
}

/// One whole line.
fn parse(text: &str) -> Option<Exit> {
    let (kind, number) = text.strip_suffix('\n')?.split_once(' ')?;
    let number = number.parse().ok()?;
    match kind {
        "code" => Some(Exit::Code(number)),
        "signal" => Some(Exit::Signal(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use proptest::prelude::*;

    use super::*;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// What PID 1 does when it has reaped `pid`.
    fn write(records: &Records, pid: u32, line: &str) {
        if let Ok(mut file) = OpenOptions::new().write(true).open(records.path(pid)) {
            std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
        }
    }

    fn sleeper() -> (Child, ProcessId) {
        let child = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        (child, id)
    }

    #[test]
    fn only_whole_lines_are_read() {
        let cases = [
            ("code 0\n", Some(Exit::Code(0))),
            ("signal 9\n", Some(Exit::Signal(9))),
            ("code 1", None),
            ("", None),
            ("code\n", None),
            ("code -1\n", None),
            ("exit 1\n", None),
        ];
        for (text, exit) in cases {
            assert_eq!(parse(text), exit, "{text:?}");
        }
    }

    #[test]
    fn an_old_record_is_not_taken_for_a_new_processs() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::at(&dir.path().join("exits"));
        records.expect(7).unwrap();
        write(&records, 7, "code 3\n");
        assert_eq!(records.read(7), Some(Exit::Code(3)));
        records.expect(7).unwrap();
        assert_eq!(records.read(7), None);
        records.forget(7).unwrap();
        write(&records, 7, "code 4\n");
        assert_eq!(records.read(7), None);
    }

    #[test]
    fn a_process_that_nobody_wrote_about_ended_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::at(dir.path());
        let (mut child, id) = sleeper();
        records.expect(id.pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(run(records.end_of(id)), Exit::Unknown);
        // Nor is one that took its number mistaken for it.
        let me = ProcessId::of(std::process::id()).unwrap();
        assert_eq!(run(records.end_of(ProcessId { started: me.started + 1, ..me })), Exit::Unknown);
    }

    /// What happens to a process and its watcher, in every order that is possible.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Step {
        Watch,
        Kill,
        ReapAndWrite,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn an_end_is_never_lost_whatever_comes_first(
            order in Just([Step::Watch, Step::Kill, Step::ReapAndWrite]).prop_shuffle(),
            code in 0_u32..256,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let records = Records::at(dir.path());
            let (mut child, id) = sleeper();
            records.expect(id.pid).unwrap();
            let exit = run(async {
                let mut watcher = None;
                let local = tokio::task::LocalSet::new();
                local.run_until(async {
                    let mut killed = false;
                    for step in order {
                        match step {
                            Step::Watch => {
                                let records = records.clone();
                                watcher = Some(tokio::task::spawn_local(async move { records.end_of(id).await }));
                            }
                            Step::Kill => {
                                child.kill().unwrap();
                                killed = true;
                            }
                            Step::ReapAndWrite => {
                                // PID 1 reaps only the dead.
                                if !killed {
                                    child.kill().unwrap();
                                }
                                child.wait().unwrap();
                                write(&records, id.pid, &format!("code {code}\n"));
                            }
                        }
                        tokio::task::yield_now().await;
                    }
                    watcher.unwrap().await.unwrap()
                }).await
            });
            prop_assert_eq!(exit, Exit::Code(code));
        }

        #[test]
        fn any_text_is_a_line_or_not(text in "\\PC{0,40}\n?") {
            parse(&text);
        }
    }
}
