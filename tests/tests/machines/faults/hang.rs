//! The supervisor hangs, and then PID 1. Time is counted, so that a minute of waiting takes no time.

use lk_tests::guest::{Engine, Guest, Setup};

/// A cgroup of the test's own.
const CGROUP: &str = "/proc/1/root/sys/fs/cgroup/standstill";

#[test]
fn a_supervisor_that_hangs_is_killed_and_a_machine_whose_pid_1_hangs_is_reset() {
    let setup = Setup {
        counted_time: true,
        append: "lkb.watchdog=40".into(),
        devices: &["-device", "i6300esb"],
        ..Setup::default()
    };
    let guest = Guest::boot(Engine::Embedded, "hang", &setup);
    let guest = guest.watched();
    let agent = guest.agent();
    let armed = guest.wait("the watchdog (");
    assert!(armed.contains("i6300ESB") && armed.contains("hangs for 40 s"), "{armed}");
    agent.await_start("reader", 1);
    agent.await_start("steady", 1);

    let supervisor = agent.pid("supervisor");
    agent.call(&["signal", "SIGSTOP", "supervisor"]);
    // The question waits with the supervisor, and ends with it.
    let unheard = agent.try_service(&["list"]);
    assert_eq!(unheard.code, 3, "{unheard:?}");
    guest.wait("the supervisor hangs: silent for 20 s; killing it");
    agent.call(&["await-other", "supervisor", &supervisor.to_string()]);
    agent.call(&["await-answer", "service", "list"]);
    for service in ["reader", "steady"] {
        assert_eq!(agent.await_start(service, 1), 1, "{service} was started again");
    }

    // The sockets that a container has bound are still those of the log.
    agent.ask("steady", "say after the supervisor hung");
    let line = agent.ask("reader", "await-log steady says after the supervisor hung");
    assert!(line.contains("\"steady.out\""), "{line}");
    assert_eq!(agent.ask("reader", "log-as visitor after the supervisor hung"), "");
    let line = agent.ask("reader", "await-log after the supervisor hung");
    assert!(line.contains("\"visitor\""), "{line}");

    // No signal stops PID 1, but a cgroup does.
    let mut qmp = guest.qmp();
    agent.call(&["mkdir", CGROUP]);
    agent.call(&["write", &format!("{CGROUP}/cgroup.procs"), "1"]);
    // The machine may be reset before the answer comes.
    drop(agent.send(&["write", &format!("{CGROUP}/cgroup.freeze"), "1"]));
    assert_eq!(qmp.await_event("WATCHDOG")["action"], "reset");
    guest.console().wait_end(lk_tests::PATIENCE);
}
