//! A containerd that runs and never opens its socket. Time is counted, so that a minute of waiting takes no time.

use lk_tests::guest::{Engine, Guest, Setup};

#[test]
fn a_containerd_that_never_opens_its_socket_is_named_and_tried_again_and_holds_nothing_up() {
    let guest = Guest::boot(Engine::Embedded, "mute", &Setup { counted_time: true, ..Setup::default() });
    let guest = guest.watched();
    // Onboot does not wait for it.
    guest.wait("-step: done");
    let line = guest.wait("containerd: did not serve within");
    assert!(line.contains("starting again in"), "{line}");
    let mark = guest.console().mark();
    // And again.
    guest.console().wait_after(mark, "containerd: did not serve within", lk_tests::PATIENCE);
}
