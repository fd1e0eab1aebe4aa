//! Network interfaces for a container: planned as values, made by netlink.

mod link;
mod plan;

use std::os::fd::AsFd;
use std::path::Path;

use image_layout::Interface;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

pub use plan::InterfaceError;
use plan::{Operation, Place};

use super::STATE_ROOT;

/// Gives `interfaces` to the network namespace of process `pid`, for container `id`.
///
/// A veth's other end that a former run of the container left behind is deleted first.
/// Enters that namespace for those that are made inside, so the calling process must have one thread.
pub fn attach(id: &str, pid: i32, interfaces: &[Interface]) -> Result<(), InterfaceError> {
    let operations = plan::plan(interfaces)?;
    if operations.is_empty() {
        return Ok(());
    }
    let mut root = link::Link::open().map_err(|source| InterfaceError::Socket { source })?;
    let record = Path::new(STATE_ROOT).join("links").join(id);
    delete_former(&mut root, &record)?;
    remember(&record, &operations)?;
    let mut inside = None;
    for operation in operations {
        let socket = match operation.place() {
            Place::Root => &mut root,
            Place::Container => match &mut inside {
                Some(socket) => socket,
                empty => empty.insert(open_inside(pid)?),
            },
        };
        socket
            .carry_out(&operation, pid)
            .map_err(|source| InterfaceError::Refused { operation: operation.to_string(), source })?;
    }
    Ok(())
}

/// Brings up the loopback of the new network namespace of process `pid`, as runc does.
///
/// Enters that namespace, so the calling process must have one thread.
pub fn loopback_up(pid: i32) -> Result<(), InterfaceError> {
    open_inside(pid)?.up("lo").map_err(|source| InterfaceError::Refused {
        operation: "bring up network interface lo".to_owned(),
        source,
    })
}

/// Notes the ends that stay outside, before they are made.
fn remember(record: &Path, operations: &[Operation]) -> Result<(), InterfaceError> {
    let peers: String =
        operations.iter().filter_map(Operation::peer).map(|peer| format!("{peer}\n")).collect();
    if peers.is_empty() {
        return Ok(());
    }
    record
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(record, peers))
        .map_err(|source| InterfaceError::Record { path: record.to_owned(), source })
}

fn delete_former(root: &mut link::Link, record: &Path) -> Result<(), InterfaceError> {
    let peers = match std::fs::read_to_string(record) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|source| InterfaceError::Record { path: record.to_owned(), source })?,
    };
    for peer in peers.lines() {
        match root.delete(peer) {
            // It went with its namespace.
            Err(error) if error.raw_os_error() == Some(Errno::ENODEV as i32) => {}
            other => other.map_err(|source| InterfaceError::Refused {
                operation: format!("delete network interface {peer} of a former run"),
                source,
            })?,
        }
    }
    Ok(())
}

fn open_inside(pid: i32) -> Result<link::Link, InterfaceError> {
    let enter = |path: &str| -> std::io::Result<()> {
        let file = std::fs::File::open(Path::new(path))?;
        Ok(setns(file.as_fd(), CloneFlags::CLONE_NEWNET)?)
    };
    let ours =
        std::fs::File::open("/proc/self/ns/net").map_err(|source| InterfaceError::Namespace { source })?;
    enter(&format!("/proc/{pid}/ns/net")).map_err(|source| InterfaceError::Namespace { source })?;
    let socket = link::Link::open();
    setns(ours.as_fd(), CloneFlags::CLONE_NEWNET)
        .map_err(|errno| InterfaceError::Namespace { source: errno.into() })?;
    socket.map_err(|source| InterfaceError::Socket { source })
}

impl Operation {
    fn peer(&self) -> Option<&str> {
        match self {
            Self::Create { peer, .. } if !peer.is_empty() => Some(peer),
            _ => None,
        }
    }

    fn place(&self) -> Place {
        match self {
            Self::Move { .. } => Place::Root,
            Self::Create { place, .. } => *place,
        }
    }
}
