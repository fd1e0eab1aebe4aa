//! A program of the machine's root on a terminal of its own.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use serde_json::{Value, json};

use crate::host;

/// Runs it to its end; returns its exit status and what it wrote on the terminal.
///
/// # Errors
/// When there is no terminal, or no such program.
pub fn run(rows: u16, columns: u16, args: &[&str]) -> Result<Value, String> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).map_err(|e| format!("a terminal: {e}"))?;
    let text = |error: std::io::Error| error.to_string();
    let mut command = host::command(args);
    command.stdin(Stdio::from(terminal.slave.try_clone().map_err(text)?));
    command.stdout(Stdio::from(terminal.slave.try_clone().map_err(text)?));
    command.stderr(Stdio::from(terminal.slave));
    let mut child = command.spawn().map_err(text)?;
    // It holds the terminal's other end, which would never close.
    drop(command);
    let mut written = Vec::new();
    // Linux ends a terminal that nobody has open with an error (EIO).
    drop(File::from(terminal.master).read_to_end(&mut written));
    let status = child.wait().map_err(text)?;
    Ok(json!({"code": status.code(), "out": String::from_utf8_lossy(&written)}))
}
