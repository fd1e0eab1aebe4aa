//! `bindNS`: a container's namespaces, bound to files so that they outlive it.

use std::path::{Path, PathBuf};

use image_layout::BindNamespaces;

use super::RuntimeError;
use super::prepare::{Call, Host};

/// Which file of `/proc/PID/ns` is bound where, in LinuxKit's order.
fn bindings(bind: &BindNamespaces) -> Vec<(&'static str, PathBuf)> {
    [
        ("cgroup", &bind.cgroup),
        ("ipc", &bind.ipc),
        ("mnt", &bind.mnt),
        ("net", &bind.net),
        ("pid", &bind.pid),
        ("user", &bind.user),
        ("uts", &bind.uts),
    ]
    .into_iter()
    .filter(|(_, path)| !path.is_empty())
    .map(|(kind, path)| (kind, Path::new("/").join(path)))
    .collect()
}

/// Binds the namespaces of process `pid` where `bind` says.
pub fn bind(host: &mut impl Host, pid: i32, bind: &BindNamespaces) -> Result<(), RuntimeError> {
    for (kind, path) in bindings(bind) {
        if let Some(parent) = path.parent() {
            host.make_dirs(parent).map_err(RuntimeError::io("make directory", parent))?;
        }
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(RuntimeError::io("create", &path))?;
        let call = Call::bind(&format!("/proc/{pid}/ns/{kind}"));
        host.mount(&path, &call).map_err(|source| RuntimeError::Mount {
            what: call.what(),
            target: path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Lets go of the namespaces of a former run.
pub fn unbind(host: &mut impl Host, bind: &BindNamespaces) -> Result<(), RuntimeError> {
    for (_, path) in bindings(bind) {
        if host.is_mount_point(&path).map_err(RuntimeError::io("look for mount point", &path))? {
            host.unmount(&path).map_err(|source| RuntimeError::Unmount { target: path, source })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_with_a_path_are_bound() {
        let bind = BindNamespaces {
            net: "/run/netns/wg".into(),
            uts: "run/uts".into(),
            ..BindNamespaces::default()
        };
        assert_eq!(bindings(&bind), [("net", "/run/netns/wg".into()), ("uts", "/run/uts".into())]);
    }
}
