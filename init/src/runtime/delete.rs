//! `runtime delete`: a container's processes, cgroup and state, gone.

use std::path::Path;
use std::time::Duration;

use super::cgroup::Cgroup;
use super::known::{Known, Status, derived};
use super::{RuntimeError, chain};

/// How long killed processes may take to end.
const LIMIT: Duration = Duration::from_secs(10);

/// Deletes container `id` below `root`; with `force` in whatever state it is, and none at all is no error then.
///
/// Kills what is left in its cgroup, and waits for the end of that. Does not clone, so that it can be called from anywhere.
pub fn delete(root: &Path, id: &str, force: bool) -> Result<(), RuntimeError> {
    let mut known = match Known::load(root, id) {
        Ok(known) => known,
        Err(RuntimeError::NotFound) if force => return remove_remains(root, id),
        // Cut off while it was created.
        Err(RuntimeError::Json { .. } | RuntimeError::Container { .. }) if force => {
            return remove_remains(root, id);
        }
        Err(error) => return Err(error),
    };
    let status = known.status();
    match status {
        // runc deletes what has not been started, too.
        Status::Stopped | Status::Created => {}
        _ if force => {}
        _ => return Err(RuntimeError::State { action: "delete", status }),
    }
    if status == Status::Paused {
        // Version 1 delivers no SIGKILL to the frozen.
        known.container.resume().map_err(RuntimeError::container("resume"))?;
    }
    if let Ok(cgroup) = known.cgroup() {
        cgroup.empty(LIMIT)?;
        // libcontainer does not remove one that has others below it, and so the container could never be deleted. What stays
        // here, it tries again to remove, and says why it cannot.
        cgroup.remove().ok();
    }
    known.container.delete(true).map_err(RuntimeError::container("delete"))?;
    remove(&derived(root, id))
}

/// Whether there is anything of a container `id`, known or not.
#[must_use]
pub fn has_remains(root: &Path, id: &str) -> bool {
    root.join(id).exists() || derived(root, id).exists()
}

/// What is left of a container whose state cannot be read.
fn remove_remains(root: &Path, id: &str) -> Result<(), RuntimeError> {
    let dir = derived(root, id);
    if let Ok(cgroup) = Cgroup::noted(&dir) {
        cgroup.empty(LIMIT)?;
        match cgroup.remove() {
            Err(error) if cgroup.unified() => return Err(error),
            // Version 1 may have a process in it for a moment after that has ended.
            _ => {}
        }
    }
    remove(&root.join(id))?;
    remove(&dir)
}

/// After a failure to create: there is a better error to report than one in here.
pub fn after_failure(root: &Path, id: &str) {
    if let Err(error) = delete(root, id, true) {
        eprintln!("{id}: cannot remove what was made of it: {}", chain(&error));
    }
}

fn remove(dir: &Path) -> Result<(), RuntimeError> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RuntimeError::io("remove", dir)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_an_error_unless_forced() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(delete(root.path(), "a", false), Err(RuntimeError::NotFound)));
        delete(root.path(), "a", true).unwrap();
    }

    #[test]
    fn what_was_cut_off_while_it_was_created_is_removed_by_force() {
        let root = tempfile::tempdir().unwrap();
        let (state, bundle) = (root.path().join("a"), derived(root.path(), "a"));
        std::fs::create_dir_all(&state).unwrap();
        std::fs::create_dir_all(&bundle).unwrap();
        std::fs::write(state.join("state.json"), "{\"ociVers").unwrap();
        assert!(delete(root.path(), "a", false).is_err());
        delete(root.path(), "a", true).unwrap();
        assert!(!state.exists() && !bundle.exists());
    }
}
