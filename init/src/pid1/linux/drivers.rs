//! Kernel modules and the nodes that load them.

use std::io;

use kmod::cmdline::Cmdline;
use kmod::load::{Directory, load as load_module};
use kmod::modules::{Database, StaticNode};

use super::super::system::{Coldplug, Node, Result, System};
use super::Linux;
use crate::device::coldplug::{Sysfs, deferred, run};
use crate::device::crew::processors;
use crate::sys::netlink::Socket;

/// Nodes that everybody may open, as udev's rules have it; the others are root's.
const OPEN_TO_ALL: [&str; 2] = ["fuse", "net/tun"];

/// Loads the modules for all devices that are there, and for some types of file systems.
pub fn load(cmdline: &Cmdline, kinds: &[&str], events: Option<&Socket>) -> io::Result<Coldplug> {
    let mut directory = Directory::of_running_kernel()?;
    if !directory.exists() {
        // A kernel with everything built in.
        return Ok(Coldplug::default());
    }
    let texts = directory.texts(false)?;
    let database = Database::new(&texts, directory.config(cmdline)?);
    let report = run(&database, &mut directory, &mut Sysfs { events }, kinds, processors());
    let mut problems: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    if !report.late.is_empty() {
        problems.push(format!("not waiting any longer for modules that hang: {}", report.late.join(", ")));
    }
    let background = deferred(&database, &directory);
    Ok(Coldplug { loaded: report.loaded.len(), problems, rest: report.rest, background })
}

/// Loads modules by name or alias; what no module is known by is no problem.
pub fn load_named(cmdline: &Cmdline, names: &[String]) -> io::Result<Vec<String>> {
    let mut directory = Directory::of_running_kernel()?;
    let texts = directory.texts(false)?;
    let database = Database::new(&texts, directory.config(cmdline)?);
    let outcomes = names.iter().filter_map(|name| load_module(&database, &mut directory, name));
    let failures = outcomes.flat_map(|outcome| outcome.failures);
    Ok(failures.filter(|failure| !failure.is_missing_hardware()).map(|failure| failure.to_string()).collect())
}

/// Makes the nodes whose first open loads a module; returns what went wrong.
pub fn make_nodes(system: &mut Linux) -> Vec<String> {
    let nodes = Directory::of_running_kernel().and_then(|directory| directory.static_nodes());
    match nodes {
        Ok(nodes) => nodes.iter().filter_map(|node| make_node(system, node).err()).collect(),
        Err(error) => vec![format!("cannot read modules.devname: {error}")],
    }
}

fn make_node(system: &mut Linux, node: &StaticNode) -> std::result::Result<(), String> {
    let path = format!("/dev/{}", node.name);
    let mode = if OPEN_TO_ALL.contains(&node.name.as_str()) { 0o666 } else { 0o600 };
    let mut make = || -> Result<()> {
        if let Some((parent, _)) = node.name.rsplit_once('/') {
            system.mkdir(&format!("/dev/{parent}"), 0o755)?;
        }
        system.mknod(Node { path: &path, block: node.block, mode, major: node.major, minor: node.minor })
    };
    make().map_err(|errno| format!("cannot make {path}: {errno}"))
}
