//! `runtime runner`: one process that runs containers one after another.

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use lk_init::runtime::runner::{Answer, Done, Step};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use serde_json::json;

use crate::container::{Container, PATIENCE, is_possible};

/// `runtime runner`, and the socket by which it is asked.
struct Runner {
    child: std::process::Child,
    requests: UnixStream,
}

impl Runner {
    fn start(container: &Container) -> Self {
        let (requests, theirs) = UnixStream::pair().unwrap();
        requests.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = container.runtime(&["runner"]);
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        Self { child, requests }
    }

    /// Asks for the container of `bundle` under the name `step`.
    fn ask(&mut self, container: &Container, bundle: &Path, step: &str) {
        let file = |suffix: &str| container.path(&format!("{step}.{suffix}"));
        let request = Step {
            id: format!("{}-{step}", container.id),
            bundle: bundle.to_owned(),
            exit_file: file("exit"),
            stdout: file("out"),
            stderr: file("err"),
        };
        File::create(&request.stdout).and_then(|_| File::create(&request.stderr)).unwrap();
        let line = serde_json::to_string(&request).unwrap() + "\n";
        self.requests.write_all(line.as_bytes()).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn answer(&mut self) -> Answer {
        let mut bytes = [0; 2];
        self.requests.read_exact(&mut bytes).unwrap();
        Answer::from_bytes(bytes)
    }

    /// Runs the container of `bundle` under the name `step`; its exit code, and whether the runner ends with it.
    fn run(&mut self, container: &Container, bundle: &Path, step: &str) -> Done {
        self.ask(container, bundle, step);
        assert_eq!(self.answer(), Answer::Begun);
        self.done()
    }

    fn done(&mut self) -> Done {
        match self.answer() {
            Answer::Done(done) => done,
            Answer::Begun => panic!("it has begun twice"),
        }
    }
}

impl Drop for Runner {
    /// Told to end, it ends its container first, which a test that has failed may have left.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            kill(self.pid(), Signal::SIGTERM).unwrap();
            self.child.wait().unwrap();
        }
    }
}

#[test]
fn a_runner_says_that_a_container_runs_when_it_does() {
    if !is_possible() {
        return;
    }
    let container =
        Container::new("runner-begun", "echo ran; read word < /go-on; [ \"$word\" = end ]", |_| {});
    let bundle = container.path("bundle");
    let go_on = bundle.join("rootfs/go-on");
    nix::unistd::mkfifo(&go_on, Mode::S_IRWXU).unwrap();
    let mut runner = Runner::start(&container);
    runner.ask(&container, &bundle, "a");
    assert_eq!(runner.answer(), Answer::Begun);
    container.until("it does not run", || {
        std::fs::read_to_string(container.path("a.out")).ok().filter(|out| out == "ran\n")
    });
    std::fs::write(go_on, "end\n").unwrap();
    assert_eq!(runner.done(), Done { code: 0, is_last: false });
}

#[test]
fn one_process_runs_container_after_container_each_with_output_and_outcome_of_its_own() {
    if !is_possible() {
        return;
    }
    let container = Container::new(
        "runner",
        "echo \"out $(ls /proc/self/fd | wc -l)\"; echo err >&2; exit $(cat /code)",
        |_| {},
    );
    let bundle = container.path("bundle");
    let mut runner = Runner::start(&container);
    let text = |name: &str| std::fs::read_to_string(container.path(name)).unwrap();
    for (step, code) in [("a", 0), ("b", 3), ("c", 0)] {
        std::fs::write(bundle.join("rootfs/code"), format!("{code}\n")).unwrap();
        assert_eq!(
            runner.run(&container, &bundle, step),
            Done { code, is_last: false },
            "{}",
            text(&format!("{step}.err"))
        );
        assert_eq!(text(&format!("{step}.exit")), format!("{code}\n"));
        // The three standard ones, and the directory that is listed: none of a former container, and no request.
        assert_eq!(text(&format!("{step}.out")), "out 4\n", "{step}");
        assert_eq!(text(&format!("{step}.err")), "err\n");
    }
    runner.requests.shutdown(Shutdown::Both).unwrap();
    assert!(runner.child.wait().unwrap().success());
}

#[test]
fn a_runner_that_could_not_run_a_container_says_why_and_ends() {
    if !is_possible() {
        return;
    }
    let container = Container::new("runner-fails", "true", |config| {
        config["process"]["args"] = json!(["/no/such/program"]);
    });
    let mut runner = Runner::start(&container);
    runner.ask(&container, &container.path("bundle"), "a");
    assert_eq!(runner.answer(), Answer::Done(Done { code: 125, is_last: true }));
    let said = std::fs::read_to_string(container.path("a.err")).unwrap();
    assert!(said.contains("/no/such/program"), "{said}");
    assert_eq!(std::fs::read_to_string(container.path("a.exit")).unwrap(), "125\n");
    assert!(runner.child.wait().unwrap().success());
}

#[test]
fn a_runner_that_is_told_to_end_ends_its_container_first() {
    if !is_possible() {
        return;
    }
    let container =
        Container::new("runner-told", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done", |_| {});
    let mut runner = Runner::start(&container);
    let pid = runner.pid();
    let done = std::thread::scope(|scope| {
        let running = scope.spawn(|| runner.run(&container, &container.path("bundle"), "a"));
        container.until("it is not ready", || {
            std::fs::read_to_string(container.path("a.out")).ok().filter(|out| out == "ready\n")
        });
        kill(pid, Signal::SIGTERM).unwrap();
        running.join().unwrap()
    });
    assert_eq!(done, Done { code: 7, is_last: true });
    assert!(runner.child.wait().unwrap().success());
}
