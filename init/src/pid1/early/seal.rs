//! The last of the boot: what must still be made on `/`, and then nothing can be.

use nix::mount::MsFlags;

use super::super::machine::Machine;
use super::super::state::State;
use super::super::system::{Mount, System};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Makes `/` shared, so that mounts reach containers and back, and read-only.
pub fn close<S: System>(machine: &mut Machine<S>) -> State {
    make_resolv_conf(machine);
    // The boot needed more than the rest of the machine's life does.
    machine.system.release_memory();
    if machine.contained {
        return State::Cruise;
    }
    let shared = remount(machine, MsFlags::MS_REC | MsFlags::MS_SHARED);
    machine.check(shared, "make the mounts shared");
    let this_mount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    let whole_disk = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    let sealed = match machine.root_in_memory {
        true => remount(machine, this_mount),
        false => remount(machine, whole_disk).or_else(|_busy| remount(machine, this_mount)),
    };
    machine.check(sealed, "make / read-only");
    State::Cruise
}

fn remount<S: System>(machine: &mut Machine<S>, flags: MsFlags) -> Result<(), nix::errno::Errno> {
    machine.system.mount(Mount { source: "", target: "/", kind: "", flags, data: "" })
}

/// Where `/etc/resolv.conf` is a link, whoever learns the name servers writes its target; until then it is empty, so
/// that it can be bound into containers.
fn make_resolv_conf<S: System>(machine: &mut Machine<S>) {
    let Ok(link) = machine.system.read_link(RESOLV_CONF) else { return };
    let Some(target) = absolute(&link, "/etc") else {
        machine.say(format_args!("{RESOLV_CONF} points out of the root: {link}"));
        return;
    };
    for (at, _) in target.match_indices('/').skip(1) {
        let directory = target.get(..at).unwrap_or_default();
        let result = machine.system.mkdir(directory, 0o755);
        if !machine.check(result, format_args!("make {directory}, for {RESOLV_CONF}")) {
            return;
        }
    }
    let result = machine.system.create(&target, 0o644);
    machine.check(result, format_args!("make {target}, for {RESOLV_CONF}"));
}

/// A link's target as an absolute path without `.` and `..`; `None` for `/` itself and what is above it.
fn absolute(link: &str, directory: &str) -> Option<String> {
    let whole = if link.starts_with('/') { link.to_owned() } else { format!("{directory}/{link}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    (!parts.is_empty()).then(|| format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::super::super::fake::machine;
    use super::*;

    #[test]
    fn the_initramfs_is_sealed_by_its_mount_and_a_disk_as_a_whole() {
        for (in_memory, seal) in [(true, "mount / bind,rdonly,remount"), (false, "mount / rdonly,remount")] {
            let mut machine = machine(|_| {});
            machine.root_in_memory = in_memory;
            assert_eq!(close(&mut machine), State::Cruise);
            assert_eq!(machine.system.calls, ["mount / rec,shared", seal]);
        }
    }

    #[test]
    fn a_busy_disk_is_sealed_by_its_mount() {
        let mut machine = machine(|fake| fake.fail("mount / rdonly,remount", Errno::EBUSY));
        close(&mut machine);
        assert!(machine.system.has_called("mount / bind,rdonly,remount") && machine.system.log.is_empty());
    }

    #[test]
    fn the_target_of_resolv_conf_is_there_before_the_root_is_sealed() {
        let mut machine = machine(|fake| {
            fake.links.insert(RESOLV_CONF.into(), "/run/resolvconf/resolv.conf".into());
        });
        close(&mut machine);
        let expected =
            ["mkdir /run 755", "mkdir /run/resolvconf 755", "create /run/resolvconf/resolv.conf 644"];
        assert_eq!(machine.system.calls[..3], expected);
    }

    #[test]
    fn a_container_leaves_the_mounts_of_its_host_alone() {
        let mut machine = machine(|_| {});
        machine.contained = true;
        assert_eq!(close(&mut machine), State::Cruise);
        assert!(machine.system.calls.is_empty());
    }

    #[test]
    fn links_are_resolved_from_their_directory_and_stay_below_the_root() {
        let cases = [
            ("/run/resolvconf/resolv.conf", Some("/run/resolvconf/resolv.conf")),
            ("../run/./resolv.conf", Some("/run/resolv.conf")),
            ("resolv", Some("/etc/resolv")),
            ("../../x", None),
            ("/", None),
        ];
        for (link, expected) in cases {
            assert_eq!(absolute(link, "/etc").as_deref(), expected, "{link}");
        }
    }
}
