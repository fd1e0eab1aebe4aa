//! Terminals, which are handed over through a socket.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::unix::net::UnixListener;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::json;

use crate::container::{Container, is_possible};

/// What a shim does with `--console-socket`: takes the terminal's other side.
fn terminal(listener: &UnixListener) -> File {
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::empty()).unwrap();
    let files = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    File::from(files.unwrap())
}

fn read_until(file: &mut File, text: &str) -> String {
    let (mut read, mut buffer) = (String::new(), [0; 256]);
    while !read.contains(text) {
        match file.read(&mut buffer) {
            Ok(0) | Err(_) => panic!("no {text:?} in {read:?}"),
            Ok(count) => read.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    read
}

#[test]
fn terminals_are_handed_over_for_the_first_and_for_added_processes() {
    if !is_possible() {
        return;
    }
    let container = Container::new("terminal", "tty; stty size; exec sleep 1000", |config| {
        config["process"]["terminal"] = json!(true);
        config["process"]["consoleSize"] = json!({ "height": 33, "width": 111 });
    });
    let socket = container.path("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let socket = socket.to_str().unwrap();
    assert!(container.create(&["--console-socket", socket]).status.success(), "{}", container.output());
    let mut first = terminal(&listener);
    container.done(&["start", &container.id]);
    let said = read_until(&mut first, "33 111");
    assert!(said.contains("/dev/pts/0"), "{said}");

    let no_socket = container.runtime(&["exec", "--tty", "--detach", &container.id, "tty"]).output().unwrap();
    assert_eq!(no_socket.status.code(), Some(255));
    let mut exec =
        container.runtime(&["exec", "--tty", "--detach", "--console-socket", socket, &container.id]);
    let mut child = exec.args(["sh", "-c", "tty; read line; echo \"got $line\""]).spawn().unwrap();
    let mut added = terminal(&listener);
    assert!(child.wait().unwrap().success());
    read_until(&mut added, "/dev/pts/1");
    added.write_all(b"word\n").unwrap();
    read_until(&mut added, "got word");
}
