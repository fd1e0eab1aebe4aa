//! Carrying out a plan once, and undoing it.

use std::path::Path;

use super::host::Host;
use super::plan::{Call, Step, Target};
use super::record::{Made, Record, Records};
use crate::runtime::RuntimeError;

/// Carries out `steps` for container `id`.
///
/// What a record says was done is not done again, so a second run stacks nothing. A run that was cut off between a
/// mount and its record is recognised by the mount point.
pub fn apply(
    host: &mut impl Host,
    records: &Records,
    id: &str,
    rootfs: &Path,
    steps: &[Step],
) -> Result<(), RuntimeError> {
    let mut record = records.read(id)?;
    if record.complete {
        return Ok(());
    }
    let resumed = !record.mounts.is_empty();
    for (index, step) in steps.iter().enumerate() {
        if record.mounts.iter().any(|made| made.step == index) {
            continue;
        }
        let last = index + 1 == steps.len();
        match step {
            Step::Directory(path) => {
                host.make_dirs(path).map_err(RuntimeError::io("make directory", path))?
            }
            Step::Cgroup(path) => host.make_cgroup(path).map_err(RuntimeError::io("make cgroup", path))?,
            Step::Mount { dirs, target, calls } => {
                for dir in dirs {
                    host.make_dirs(dir).map_err(RuntimeError::io("make directory", dir))?;
                }
                let point = match target {
                    Target::Host(path) => {
                        host.make_dirs(path).map_err(RuntimeError::io("make mount point", path))?;
                        path.clone()
                    }
                    Target::Rootfs(path) => host
                        .make_dirs_beneath(rootfs, path)
                        .map_err(RuntimeError::io("make mount point", &rootfs.join(path)))?,
                };
                let already = resumed
                    && !record.mounts.iter().any(|made| made.target == point)
                    && host
                        .is_mount_point(&point)
                        .map_err(RuntimeError::io("look for mount point", &point))?;
                let stacks = calls.iter().any(Call::stacks);
                for call in calls.iter().filter(|call| !(already && call.stacks())) {
                    host.mount(&point, call).map_err(|source| RuntimeError::Mount {
                        what: call.what(),
                        target: point.clone(),
                        source,
                    })?;
                    if call.stacks() {
                        record.mounts.push(Made { step: index, target: point.clone() });
                        // Where nothing follows, one record says both.
                        record.complete = last && is_last(calls, call);
                        records.write(id, &record)?;
                    }
                }
                if stacks && already {
                    record.mounts.push(Made { step: index, target: point });
                    records.write(id, &record)?;
                }
            }
        }
    }
    if !record.complete {
        record.complete = true;
        records.write(id, &record)?;
    }
    Ok(())
}

/// Whether `call` is the last one of `calls`.
fn is_last(calls: &[Call], call: &Call) -> bool {
    calls.last().is_some_and(|last| std::ptr::eq(last, call))
}

/// Unmounts what was mounted for container `id`, last first; with `beneath`, only what is below that directory.
///
/// Goes on after a failure, and reports the first one.
pub fn release(
    host: &mut impl Host,
    records: &Records,
    id: &str,
    beneath: Option<&Path>,
) -> Result<(), RuntimeError> {
    let record = records.read(id)?;
    let mut kept = Vec::new();
    let mut failure = None;
    for made in record.mounts.into_iter().rev() {
        if beneath.is_some_and(|dir| !made.target.starts_with(dir)) {
            kept.push(made);
        } else if let Err(source) = host.unmount(&made.target) {
            failure.get_or_insert(RuntimeError::Unmount { target: made.target.clone(), source });
            kept.push(made);
        }
    }
    kept.reverse();
    records.write(id, &Record { mounts: kept, complete: false })?;
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use image_layout::{Mount, Runtime};
    use nix::errno::Errno;

    use super::super::plan::plan;
    use super::*;

    /// A machine that only remembers.
    #[derive(Default)]
    struct Fake {
        mounted: Vec<PathBuf>,
        log: Vec<String>,
        refuse: Option<PathBuf>,
    }

    impl Host for Fake {
        fn make_dirs(&mut self, path: &Path) -> std::io::Result<()> {
            self.log.push(format!("mkdir {}", path.display()));
            Ok(())
        }
        fn make_dirs_beneath(&mut self, root: &Path, path: &Path) -> std::io::Result<PathBuf> {
            Ok(root.join(path))
        }
        fn mount(&mut self, target: &Path, call: &Call) -> Result<(), Errno> {
            if self.refuse.as_deref() == Some(target) {
                return Err(Errno::ENODEV);
            }
            if call.stacks() {
                self.mounted.push(target.to_owned());
            }
            self.log.push(format!("mount {}", target.display()));
            Ok(())
        }
        fn unmount(&mut self, target: &Path) -> Result<(), Errno> {
            let at = self.mounted.iter().rposition(|mounted| mounted == target).ok_or(Errno::EIO)?;
            self.mounted.remove(at);
            self.log.push(format!("unmount {}", target.display()));
            Ok(())
        }
        fn is_mount_point(&mut self, target: &Path) -> std::io::Result<bool> {
            Ok(self.mounted.iter().any(|mounted| mounted == target))
        }
        fn make_cgroup(&mut self, path: &Path) -> std::io::Result<()> {
            self.log.push(format!("cgroup {}", path.display()));
            Ok(())
        }
    }

    fn steps() -> Vec<Step> {
        let mount = |destination: &str, kind: &str| Mount {
            destination: destination.into(),
            kind: kind.into(),
            ..Mount::default()
        };
        plan(&Runtime {
            mounts: vec![
                mount("/c/a/tmp", "tmpfs"),
                mount("/c/a/rootfs", "overlay"),
                mount("etc/x", "tmpfs"),
                mount("/var/x", "tmpfs"),
            ],
            mkdir: vec!["/var/y".into()],
            cgroups: vec!["sys".into()],
            ..Runtime::default()
        })
        .unwrap()
    }

    #[test]
    fn a_restart_stacks_no_mounts() {
        let dir = tempfile::tempdir().unwrap();
        let (mut host, records) = (Fake::default(), Records::at(dir.path()));
        apply(&mut host, &records, "a", Path::new("/c/a/rootfs"), &steps()).unwrap();
        let once = host.mounted.clone();
        assert_eq!(once.len(), 4);
        apply(&mut host, &records, "a", Path::new("/c/a/rootfs"), &steps()).unwrap();
        assert_eq!(host.mounted, once);
    }

    #[test]
    fn a_run_that_was_cut_off_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::at(dir.path());
        let mut host = Fake { refuse: Some("/c/a/rootfs".into()), ..Fake::default() };
        let error = apply(&mut host, &records, "a", Path::new("/c/a/rootfs"), &steps()).unwrap_err();
        assert_eq!(error.to_string(), "cannot mount overlay on /c/a/rootfs");
        // As if the mount had been made, and the process been killed before it could say so.
        host.refuse = None;
        host.mounted.push("/c/a/rootfs".into());
        apply(&mut host, &records, "a", Path::new("/c/a/rootfs"), &steps()).unwrap();
        assert_eq!(host.mounted.len(), 4);
        release(&mut host, &records, "a", None).unwrap();
        assert!(host.mounted.is_empty());
    }

    #[test]
    fn release_unmounts_in_reverse_and_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let (mut host, records) = (Fake::default(), Records::at(dir.path()));
        apply(&mut host, &records, "a", Path::new("/c/a/rootfs"), &steps()).unwrap();
        host.log.clear();
        release(&mut host, &records, "a", Some(Path::new("/c/a"))).unwrap();
        assert_eq!(host.log, ["unmount /c/a/rootfs/etc/x", "unmount /c/a/rootfs", "unmount /c/a/tmp"]);
        assert_eq!(host.mounted, [PathBuf::from("/var/x")]);
        release(&mut host, &records, "a", None).unwrap();
        assert_eq!(records.read("a").unwrap(), Record::default());
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn one_file_system_that_cannot_be_unmounted_does_not_keep_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let (mut host, records) = (Fake::default(), Records::at(dir.path()));
        apply(&mut host, &records, "a", Path::new("/c/a/rootfs"), &steps()).unwrap();
        host.mounted.retain(|mounted| mounted != Path::new("/c/a/rootfs"));
        let error = release(&mut host, &records, "a", None).unwrap_err();
        assert_eq!(error.to_string(), "cannot unmount /c/a/rootfs");
        assert!(host.mounted.is_empty());
        assert_eq!(records.read("a").unwrap().mounts.len(), 1);
    }
}
