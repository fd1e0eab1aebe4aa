//! How a job ends: with the end of the subcommand, and what it left.

use std::time::SystemTime;

use super::files::{pid_file, read_pid, remove_files};
use super::{Container, Copied, INIT, JOB_LIMIT, Linux, Running, Step, Stream};
use crate::cgroup::Cgroup;
use crate::shim::host::memory::Watch;
use crate::shim::host::record::{Record, start_time};
use crate::shim::host::terminal::Terminal;
use crate::shim::host::{program, rootfs};
use crate::shim::say;
use crate::shim::task::Input;
use crate::sys::{Ended, Reaped, wait_for_any};
impl Linux {
    /// The runtime has ended.
    fn finish(&mut self, running: Running, ended: Ended) -> Option<Result<Option<u32>, String>> {
        let Some(container) = &mut self.container else {
            return Some(Err("there is no container".to_owned()));
        };
        let outcome = match ended {
            Ended::Exited(0) => Ok(()),
            _ if running.late => Err(format!("the runtime did not end within {} s", JOB_LIMIT.as_secs())),
            ended => Err(program::reason(&container.bundle, &ended.to_string())),
        };
        match running.step {
            Step::Create { stdio } => {
                let made = outcome.and_then(|()| {
                    let pid = read_pid(&pid_file(&container.bundle))?;
                    container.adopt(pid);
                    let stream = stdio.connect()?;
                    self.streams.extend(stream.map(|stream| (INIT.to_owned(), stream)));
                    Ok(pid)
                });
                match made {
                    Ok(pid) => Some(Ok(Some(pid))),
                    Err(reason) => self.undo(reason),
                }
            }
            Step::Undo(reason) => {
                if let Err(also) = outcome {
                    say(&format!("what was created in part cannot be removed: {also}"));
                }
                self.forget_container();
                Some(Err(reason))
            }
            Step::Exec { exec, stdio, files } => {
                let [_, pid] = &files;
                let made = outcome.and_then(|()| {
                    let pid = read_pid(pid)?;
                    let stream = stdio.connect()?;
                    self.streams.extend(stream.map(|stream| (exec, stream)));
                    Ok(Some(pid))
                });
                remove_files(&files);
                Some(made)
            }
            Step::Delete => {
                if outcome.is_ok() {
                    self.forget_container();
                }
                Some(outcome.map(|()| None))
            }
            Step::Other => Some(outcome.map(|()| None)),
        }
    }

    /// Removes what a creation that failed may have left.
    fn undo(&mut self, reason: String) -> Option<Result<Option<u32>, String>> {
        match self.run_plain(Step::Undo(reason.clone()), "delete", &["--force"]) {
            Ok(()) => None,
            Err(_) => {
                self.forget_container();
                Some(Err(reason))
            }
        }
    }

    pub(super) fn forget_container(&mut self) {
        let Some(container) = self.container.take() else { return };
        if let Some(Err(error)) = container.cgroup.as_ref().map(Cgroup::remove) {
            say(&format!("cannot remove the container's cgroup: {error}"));
        }
        if let Err(errno) = rootfs::unmount(&container.bundle) {
            say(&format!("cannot unmount the root filesystem in {}: {errno}", container.bundle.display()));
        }
    }

    pub(super) fn reap(&mut self, news: &mut Vec<Input>) {
        while let Reaped::Child(pid, ended) = wait_for_any() {
            if let Some(running) = self.running.take_if(|running| running.pid.as_raw() == pid) {
                news.extend(self.finish(running, ended).map(Input::Done));
                continue;
            }
            let Ok(pid) = u32::try_from(pid) else { continue };
            if self.container.as_ref().is_some_and(|container| container.pid == pid) {
                self.look_at_memory(news);
            }
            let status = match ended {
                Ended::Exited(code) => u32::try_from(code).unwrap_or_default(),
                Ended::Killed(signal) => 128 + u32::try_from(signal).unwrap_or_default(),
            };
            news.push(Input::Exited { pid, status, at: SystemTime::now() });
        }
    }
}

impl Container {
    /// Notes what must be known of the container even when this process is not there any more.
    fn adopt(&mut self, pid: u32) {
        self.pid = pid;
        // One that cannot be found is none of ours to measure, signal or remove: the container is served without.
        self.cgroup = Cgroup::of(pid).ok().flatten();
        self.memory = self.cgroup.clone().map(Watch::new);
        let record = Record {
            pid,
            started: start_time(pid),
            cgroup: self.cgroup.clone(),
            own_pid_namespace: self.config.own_pid_namespace,
            root: self.program.root.clone(),
            runtime: (!self.program.is_own()).then(|| self.program.path().to_owned()),
        };
        if let Err(error) = record.write(&self.bundle) {
            say(&format!("cannot write the record for a clean-up in {}: {error}", self.bundle.display()));
        }
    }
}

impl Copied {
    fn connect(self) -> Result<Option<Stream>, String> {
        match self {
            Self::Direct(input) => Ok(input.map(|_held| Stream::Input { _held })),
            Self::Terminal { console, input, output } => {
                let terminal = console.receive().and_then(|master| Terminal::new(master, input, output));
                terminal
                    .map(|terminal| Some(Stream::Terminal(terminal)))
                    .map_err(|error| format!("the runtime did not hand over the terminal: {error}"))
            }
        }
    }
}
