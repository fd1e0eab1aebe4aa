//! The process that runs the containers of a sequence, one after another.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;

use super::face;
use super::process::ProcessId;
use crate::engine::Exit;
use crate::runtime::runner::{Answer, Done, Step};

/// A `runtime runner`. Dropped, it ends what it is at, and then itself.
#[derive(Debug)]
pub struct Runner {
    child: Child,
    process: Option<ProcessId>,
    requests: UnixStream,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The container's outcome.
    pub exit: Exit,
    /// Whether the runner can run another one.
    pub is_last: bool,
}

impl Runner {
    /// Starts one. It outlives us, and finishes its step then.
    pub fn start() -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = face::runtime(["runner"]);
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        let process = child.id().and_then(ProcessId::of);
        Ok(Self { child, process, requests: UnixStream::from_std(ours)? })
    }

    /// Who it is; `None` when it ended at once.
    #[must_use]
    pub fn process(&self) -> Option<ProcessId> {
        self.process
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Runs a step; `making` is dropped when its container runs. Cancelled, the step goes on.
    pub async fn run<T>(&mut self, step: &Step, making: T) -> io::Result<Ended> {
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        let mut making = Some(making);
        let requests = &mut self.requests;
        let answer = async {
            requests.write_all(&line).await?;
            let mut bytes = [0; 2];
            loop {
                requests.read_exact(&mut bytes).await?;
                match Answer::from_bytes(bytes) {
                    Answer::Begun => drop(making.take()),
                    Answer::Done(done) => return Ok::<_, io::Error>(done),
                }
            }
        };
        // A container that is being made has the socket open as well, so its end does not tell of the runner's.
        tokio::select! {
            biased;
            answered = answer => if let Ok(Done { code, is_last }) = answered {
                return Ok(Ended { exit: Exit::from_status(code.into()), is_last });
            },
            status = self.child.wait() => return status.map(Ended::without_answer),
        }
        self.child.wait().await.map(Ended::without_answer)
    }
}

impl Ended {
    fn without_answer(status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u32::try_from(code).ok());
        Self { exit: code.map_or(Exit::Unknown, Exit::from_status), is_last: true }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    /// A runner whose answers the test gives.
    fn runner() -> (Runner, UnixStream) {
        let (requests, theirs) = UnixStream::pair().unwrap();
        let child = tokio::process::Command::new("sleep").arg("1000").kill_on_drop(true).spawn().unwrap();
        (Runner { child, process: None, requests }, theirs)
    }

    #[tokio::test]
    async fn what_is_held_while_a_container_is_made_is_let_go_when_it_runs_and_not_before() {
        let (mut runner, mut theirs) = runner();
        let step = Step {
            id: "000-a".into(),
            bundle: "/containers/onboot/000-a".into(),
            exit_file: "/run/lkb/onboot.000-a.exit".into(),
            stdout: "/run/log/out".into(),
            stderr: "/run/log/err".into(),
        };
        let (making, mut made) = oneshot::channel::<()>();
        let answers = async {
            let mut request = [0; 4096];
            assert!(theirs.read(&mut request).await.unwrap() > 0);
            assert_eq!(made.try_recv(), Err(oneshot::error::TryRecvError::Empty));
            theirs.write_all(&Answer::Begun.to_bytes()).await.unwrap();
            assert!((&mut made).await.is_err());
            let done = Answer::Done(Done { code: 3, is_last: false });
            theirs.write_all(&done.to_bytes()).await.unwrap();
        };
        let both = async { tokio::join!(runner.run(&step, making), answers) };
        let (ended, ()) = timeout(Duration::from_secs(20), both).await.expect("it is let go");
        assert_eq!(ended.unwrap(), Ended { exit: Exit::from_status(3), is_last: false });
    }
}
