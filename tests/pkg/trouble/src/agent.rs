//! Does what the test outside asks: one request a line, one answer a line, several at the same time.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::{host, notes, port, processes, terminal, watch};

/// What `fill` writes.
const FILLER: &str = "filler";

/// Serves until the port breaks.
pub fn serve() -> Result<(), String> {
    let port = port::open("agent")?;
    let out = Arc::new(Mutex::new(port.try_clone().map_err(|e| format!("the port: {e}"))?));
    for line in BufReader::new(port).lines() {
        let line = line.map_err(|e| format!("reading requests: {e}"))?;
        let out = Arc::clone(&out);
        std::thread::spawn(move || {
            if let Err(error) = respond(&line, &out) {
                eprintln!("trouble: answering {line}: {error}");
            }
        });
    }
    Ok(())
}

fn respond(line: &str, out: &Mutex<File>) -> std::io::Result<()> {
    let request: Value = serde_json::from_str(line)?;
    let words: Vec<&str> =
        request["words"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let answer = match perform(&words) {
        Ok(value) => json!({"id": request["id"], "ok": value}),
        Err(reason) => json!({"id": request["id"], "error": reason}),
    };
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    out.write_all(format!("{answer}\n").as_bytes())
}

fn perform(words: &[&str]) -> Result<Value, String> {
    match words {
        ["hello"] => Ok(json!("hello")),
        ["kill", targets @ ..] => Ok(kill_all(targets)),
        ["find", target] => Ok(processes::find(target).map_or(Value::Null, |process| describe(&process))),
        ["count", target] => Ok(json!(processes::count(target))),
        ["await", name, starts] => await_start(name, starts.parse().map_err(|_| "how many starts?")?),
        ["await-other", target, pid] => {
            let old: i32 = pid.parse().map_err(|_| "which process?")?;
            let other = || processes::find(target).filter(|process| process.pid != old);
            watch::until(&format!("another {target}"), other).map(|process| describe(&process))
        }
        ["await-process", args @ ..] => {
            let runs = || processes::all().into_iter().find(|process| process.args == args);
            watch::until(&format!("a process {args:?}"), runs).map(|process| describe(&process))
        }
        ["await-gone", target] => watch::until(&format!("the end of {target}"), || {
            (processes::count(target) == 0).then_some(Value::Null)
        }),
        ["await-no-zombies"] => {
            watch::until("the zombies' end", || (processes::zombies() == 0).then_some(Value::Null))
        }
        ["await-answer", args @ ..] => {
            let well = || run(args).ok().filter(|answer| answer["code"] == 0);
            watch::until(&format!("init to do {args:?}"), well)
        }
        ["starts", name] => Ok(json!(starts(name))),
        ["ask", name, question] => ask(name, question).map(Value::from),
        ["order", name, ""] => {
            fs::remove_file(notes::file(name, "orders")).map_err(text).map(|()| Value::Null)
        }
        ["order", name, order] => {
            fs::write(notes::file(name, "orders"), order).map_err(text).map(|()| Value::Null)
        }
        ["await-status", name, field, value] => await_status(name, field, value),
        ["init", args @ ..] => run(args),
        ["host", args @ ..] => host::command(args).output().map(|out| ended(&out)).map_err(text),
        ["terminal", rows, columns, args @ ..] => {
            let [rows, columns] = [rows, columns].map(|number| number.parse().unwrap_or(0));
            terminal::run(rows, columns, args)
        }
        ["signal", signal, target] => {
            let signal: Signal = signal.parse().map_err(|_| "which signal?")?;
            let process = processes::find(target).ok_or_else(|| format!("there is no {target}"))?;
            kill(Pid::from_raw(process.pid), signal).map(|()| Value::Null).map_err(|e| e.to_string())
        }
        ["write", path, words] => fs::write(path, words).map_err(text).map(|()| Value::Null),
        ["remove", path] => fs::remove_file(path).map_err(text).map(|()| Value::Null),
        ["mkdir", path] => fs::create_dir(path).map_err(text).map(|()| Value::Null),
        ["read", path] => fs::read(path).map(|bytes| json!(String::from_utf8_lossy(&bytes))).map_err(text),
        ["size", dir] => Ok(json!(size(Path::new(dir)))),
        ["fill", dir] => fill(Path::new(dir)).map(Value::from),
        ["empty", dir] => fs::remove_file(Path::new(dir).join(FILLER)).map_err(text).map(|()| Value::Null),
        ["zombies"] => Ok(json!(processes::zombies())),
        _ => Err(format!("unknown request {words:?}")),
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

fn describe(process: &processes::Process) -> Value {
    json!({"pid": process.pid, "resident": process.resident, "args": process.args})
}

/// Kills what is there of `targets`, at one moment; returns the target and process number of each.
fn kill_all(targets: &[&str]) -> Value {
    let found: Vec<_> =
        targets.iter().filter_map(|target| Some((*target, processes::find(target)?.pid))).collect();
    let killed = found.into_iter().filter(|(_, pid)| kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok());
    killed.map(|(target, pid)| (target.to_string(), json!(pid))).collect::<serde_json::Map<_, _>>().into()
}

/// The lines that a service wrote at its starts.
fn starts(name: &str) -> Vec<String> {
    let notes = fs::read_to_string(notes::file(name, "starts")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

/// Waits until a service has been started so often, and serves.
fn await_start(name: &str, number: usize) -> Result<Value, String> {
    watch::until(&format!("start {number} of {name}"), || {
        (starts(name).len() >= number).then_some(())?;
        ask(name, "count").ok()?.parse::<u64>().ok()?;
        Some(json!(starts(name).len()))
    })
}

/// Waits until a field of what the supervisor knows about a service has this value (JSON).
fn await_status(name: &str, field: &str, value: &str) -> Result<Value, String> {
    let wanted: Value = serde_json::from_str(value).map_err(|e| format!("{value}: {e}"))?;
    let path = format!("/run/lkb/services/{name}.json");
    let status = || -> Option<Value> { serde_json::from_slice(&fs::read(&path).ok()?).ok() };
    watch::until(&format!("{field} of {name} to be {value}"), || {
        status().filter(|status| status[field] == wanted)
    })
    .map_err(|why| format!("{why}; it is {}", status().unwrap_or_default()))
}

fn ask(name: &str, question: &str) -> Result<String, String> {
    let path = notes::file(name, "sock");
    let failed = |error: std::io::Error| format!("asking {name} to {question}: {error}");
    let stream = UnixStream::connect(&path).map_err(failed)?;
    writeln!(&stream, "{question}").map_err(failed)?;
    let mut answer = String::new();
    match BufReader::new(stream).read_line(&mut answer) {
        Ok(0) => Err(format!("asking {name} to {question}: it ended")),
        Ok(_) => Ok(answer.trim_end().to_string()),
        Err(error) => Err(failed(error)),
    }
}

/// Runs PID 1's binary by another name: `service`, `poweroff`.
fn run(args: &[&str]) -> Result<Value, String> {
    let (name, args) = args.split_first().ok_or("run what?")?;
    Command::new("/proc/1/exe").arg0(name).args(args).output().map(|out| ended(&out)).map_err(text)
}

/// What a command printed, and its exit status.
fn ended(out: &Output) -> Value {
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({"code": out.status.code(), "out": shown(&out.stdout), "err": shown(&out.stderr)})
}

/// Uses up what space a file system has; returns the bytes that it took.
fn fill(dir: &Path) -> Result<u64, String> {
    let path = dir.join(FILLER);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    let mut written = 0;
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![7; size];
        while let Ok(count) = file.write(&block) {
            written += count as u64;
        }
    }
    Ok(written)
}

/// The bytes that files below `path` use, on this file system.
fn size(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let below = if meta.is_dir() { fs::read_dir(path).ok() } else { None };
    let entries = below.into_iter().flatten().flatten();
    meta.blocks() * 512
        + entries
            .filter(|entry| fs::symlink_metadata(entry.path()).is_ok_and(|found| found.dev() == meta.dev()))
            .map(|entry| size(&entry.path()))
            .sum::<u64>()
}
