//! The kernel's messages (kernel Documentation/ABI/testing/dev-kmsg).

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;

use super::super::system::Result;
use super::errno;

/// The largest record, in bytes (kernel/printk, `PRINTK_MESSAGE_MAX` and what is put before and after it).
const RECORD: usize = 8192;
/// The most that is kept, in bytes.
const LIMIT: usize = 1024 * 1024;

/// Reads what is there, without waiting for more.
pub fn read() -> Result<Vec<String>> {
    let mut log = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/kmsg")
        .map_err(errno)?;
    let mut messages = Vec::new();
    let mut kept = 0;
    let mut record = vec![0; RECORD];
    while kept < LIMIT {
        match log.read(&mut record).map_err(errno) {
            Ok(0) | Err(Errno::EAGAIN) => break,
            // Messages were overwritten before they were read: the next read goes on after the gap.
            Err(Errno::EPIPE | Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(length) => {
                let text = message(&String::from_utf8_lossy(record.get(..length).unwrap_or_default()));
                kept += text.len().max(1);
                messages.push(text);
            }
        }
    }
    Ok(messages)
}

/// The text of a record: between `priority,sequence,time,flags[,…];` and the lines of its dictionary.
fn message(record: &str) -> String {
    let text = record.split_once(';').map_or(record, |(_, text)| text);
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_record_is_its_first_line_without_what_is_before_it() {
        let record = "0,339,5140900,-;Initramfs unpacking failed: write error; x\n SUBSYSTEM=acpi\n";
        assert_eq!(message(record), "Initramfs unpacking failed: write error; x");
        assert_eq!(message(""), "");
    }

    proptest! {
        #[test]
        fn any_text_is_a_record(text in ".*") {
            prop_assert!(message(&text).len() <= text.len());
        }
    }
}
