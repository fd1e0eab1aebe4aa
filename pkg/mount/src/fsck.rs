//! The check of an ext file system before it is mounted, which also replays its journal.

use std::process::Output;

use lk_command::program::{ProgramError, Programs, account};

/// What a check brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// Nothing was wrong.
    Clean,
    /// Something was repaired; what `e2fsck` said.
    Repaired(String),
    /// It was not checked, for this reason.
    Skipped(String),
}

/// The file system has errors that a person must look at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{node}: the file system has errors that e2fsck does not repair by itself ({account}); it is not mounted; run e2fsck {node}"
)]
pub struct Damaged {
    node: String,
    account: String,
}

/// Checks `node`, which must not be mounted.
pub fn check(node: &str, programs: &Programs) -> Result<Checked, Damaged> {
    match programs.run("e2fsck", ["-p", node]) {
        Ok(output) => judge(node, &output),
        Err(e @ (ProgramError::Missing { .. } | ProgramError::Start { .. })) => {
            Ok(Checked::Skipped(e.to_string()))
        }
    }
}

/// What e2fsck's exit status means (e2fsck(8)): a sum of 1, repaired, 2, repaired and the machine should be
/// rebooted if it was mounted, and everything else a failure.
fn judge(node: &str, output: &Output) -> Result<Checked, Damaged> {
    match output.status.code() {
        Some(0) => Ok(Checked::Clean),
        Some(1..=3) => Ok(Checked::Repaired(account(output))),
        _ => Err(Damaged { node: node.to_owned(), account: account(output) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, PermissionsExt};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn an_exit_status_of_four_or_more_keeps_the_file_system_from_being_mounted() {
        let with = |wait_status| {
            judge(
                "/dev/vdb1",
                &Output {
                    status: ExitStatus::from_raw(wait_status),
                    stdout: b"some words".to_vec(),
                    stderr: vec![],
                },
            )
        };
        assert_eq!(with(0), Ok(Checked::Clean));
        for code in 1..4 {
            assert!(
                matches!(with(code << 8), Ok(Checked::Repaired(words)) if words.contains("some words")),
                "{code}"
            );
        }
        for status in [4 << 8, 8 << 8, 12 << 8, 32 << 8, 128 << 8, 9] {
            let message = with(status).unwrap_err().to_string();
            assert!(message.contains("/dev/vdb1") && message.contains("some words"), "{message}");
        }
    }

    #[test]
    fn a_missing_program_is_no_reason_not_to_mount() {
        let programs = Programs::on(Some("/nowhere".as_ref()));
        assert!(matches!(check("/dev/vdb1", &programs), Ok(Checked::Skipped(_))));
    }

    #[test]
    fn a_program_that_is_killed_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("e2fsck");
        std::fs::write(&program, "#!/bin/sh\nkill -9 $$\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let message = check("/dev/vdb1", &Programs::on(Some(path.as_ref()))).unwrap_err().to_string();
        assert!(message.contains("signal 9"), "{message}");
    }

    #[test]
    fn the_real_program_finds_a_good_file_system_clean_and_a_wreck_damaged() {
        let programs = Programs::from_environment();
        if programs.find("e2fsck").is_err() || programs.find("mkfs.ext4").is_err() {
            return;
        }
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(16 << 20).unwrap();
        let node = image.path().to_str().unwrap();
        assert!(programs.run("mkfs.ext4", ["-F", "-q", node]).unwrap().status.success());
        assert_eq!(check(node, &programs), Ok(Checked::Clean));
        // The root directory's inode: nothing that -p would repair.
        image.as_file().write_all_at(&vec![0xa5; 8 << 20], 2048).unwrap();
        assert!(check(node, &programs).is_err());
    }
}
