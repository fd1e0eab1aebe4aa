//! The document that metadata has written, onto this machine.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::{Netlink, Plan, apply, plan};
use crate::console::Console;

/// Largest document that is read, in bytes.
const MAX_DOCUMENT: u64 = 1024 * 1024;

/// Configures the network of this thread by the file `document`, and name servers in the file `resolv_conf`. False if
/// anything was refused or could not be done; everything else is done then. No document is no error.
pub fn configure(document: &Path, resolv_conf: &Path, console: &Console) -> bool {
    let bytes = match read(document) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            console.say(format_args!("network: there is no {}; nothing is configured", document.display()));
            return true;
        }
        Err(error) => {
            console.say(format_args!("network: cannot read {}: {error}", document.display()));
            return false;
        }
    };
    let (plan, problems) = plan(&bytes);
    problems.iter().for_each(|problem| console.say(problem));
    let applied = put(&plan, console);
    let named = name_servers(&plan, resolv_conf, console);
    problems.is_empty() && applied && named
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
    let fits = bytes.len() as u64 <= MAX_DOCUMENT;
    fits.then_some(bytes).ok_or_else(|| io::Error::other(format!("larger than {MAX_DOCUMENT} bytes")))
}

fn put(plan: &Plan, console: &Console) -> bool {
    let mut netlink = match Netlink::open() {
        Ok(netlink) => netlink,
        Err(cause) => {
            console.say(format_args!("network: cannot open a netlink socket: {}", cause.desc()));
            return false;
        }
    };
    let errors = apply(plan, &mut netlink);
    errors.iter().for_each(|error| console.say(error));
    let count = |of: fn(&super::Link) -> usize| plan.links.iter().map(of).sum::<usize>();
    console.say(format_args!(
        "network: {} links, {} addresses, {} routes, {} name servers",
        plan.links.len(),
        count(|link| link.addresses.len()),
        count(|link| link.routes.len()),
        plan.name_servers.len()
    ));
    errors.is_empty()
}

/// In place: the file is bound into the container, so nothing can be renamed over it.
fn name_servers(plan: &Plan, path: &Path, console: &Console) -> bool {
    let Some(content) = plan.resolv_conf() else { return true };
    let written = fs::write(path, content);
    if let Err(error) = &written {
        console.say(format_args!("network: cannot write {}: {error}", path.display()));
    }
    written.is_ok()
}
