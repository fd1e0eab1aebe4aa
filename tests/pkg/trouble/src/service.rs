//! A service: it serves, and misbehaves on demand.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};

use crate::{fork, memlogd, notes};

/// How often it was asked for its count.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// Whether it takes no notice of SIGTERM.
static DEAF: AtomicBool = AtomicBool::new(false);
/// Whether it says nothing by itself.
static HUSHED: AtomicBool = AtomicBool::new(false);
/// Whether it accepts no more connections.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Serves as `name` until SIGTERM, after it has done what `orders` say.
pub fn serve(name: &str, orders: &[&str]) -> Result<(), String> {
    obey_term()?;
    let _lock = notes::note_start(name)?;
    for words in orders {
        order(words, name);
    }
    if let Ok(orders) = std::fs::read_to_string(notes::file(name, "orders")) {
        order(orders.trim(), name);
    }
    let path = notes::file(name, "sock");
    // One that was killed has left its socket.
    drop(std::fs::remove_file(&path));
    let listener = UnixListener::bind(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{name} serves");
    loop {
        let (stream, _) = listener.accept().map_err(|e| format!("waiting for questions: {e}"))?;
        // Who asks may be gone before the answer: that is no reason to stop.
        drop(answer(stream, name));
    }
}

/// Does nothing until SIGTERM.
pub fn until_terminated() -> Result<(), String> {
    SigSet::from(Signal::SIGTERM).wait().map(drop).map_err(|e| format!("waiting for a signal: {e}"))
}

/// SIGTERM ends the process, unless it is deaf. The first process of a container needs to do that itself
/// (pid_namespaces(7)).
fn obey_term() -> Result<(), String> {
    let term = SigSet::from(Signal::SIGTERM);
    term.thread_block().map_err(|e| format!("blocking SIGTERM: {e}"))?;
    std::thread::spawn(move || {
        while term.wait().is_ok() {
            if !DEAF.load(Ordering::Relaxed) {
                std::process::exit(0);
            }
        }
    });
    Ok(())
}

fn answer(stream: UnixStream, name: &str) -> std::io::Result<()> {
    let mut question = String::new();
    BufReader::new(stream.try_clone()?).read_line(&mut question)?;
    let answer = order(question.trim(), name);
    writeln!(&stream, "{answer}")
}

/// Does what it is told, and says what came of it.
fn order(order: &str, name: &str) -> String {
    let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
    let number = rest.parse().unwrap_or(0);
    match word {
        "count" => (COUNT.fetch_add(1, Ordering::Relaxed) + 1).to_string(),
        "say" => {
            println!("{name} says {rest}");
            String::new()
        }
        "exit" => std::process::exit(rest.parse().unwrap_or(1)),
        "deaf" => {
            DEAF.store(true, Ordering::Relaxed);
            String::new()
        }
        "fork" => fork::children(number).to_string(),
        "orphans" => fork::orphans(number).map_or_else(|e| e.to_string(), |()| String::new()),
        "eat" => {
            std::thread::spawn(eat);
            String::new()
        }
        "flood" => flood(rest.parse().unwrap_or(1)).to_string(),
        "work" => {
            std::thread::spawn(work);
            String::new()
        }
        "beat" => {
            let line = format!("{name} beats");
            std::thread::spawn(move || beat(&line, Duration::from_millis(number as u64)));
            String::new()
        }
        "hush" => {
            HUSHED.store(true, Ordering::Relaxed);
            String::new()
        }
        "listen" => listen(rest.parse().unwrap_or(0)).map_or_else(|e| e.to_string(), |()| String::new()),
        "close" => close(rest.parse().unwrap_or(0)).map_or_else(|e| e.to_string(), |()| String::new()),
        "await-log" => memlogd::await_line(rest).unwrap_or_else(|e| e.to_string()),
        "log-as" => {
            let (log, line) = rest.split_once(' ').unwrap_or((rest, ""));
            memlogd::log(log, line).map_or_else(|e| e.to_string(), |()| String::new())
        }
        _ => format!("unknown order {order:?}"),
    }
}

/// Takes memory until there is none.
fn eat() {
    let mut eaten = Vec::new();
    loop {
        // Written to, or the kernel gives none.
        eaten.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&eaten);
    }
}

/// Writes to standard output for so many seconds, as fast as it takes it; returns how many bytes it took.
fn flood(seconds: u64) -> usize {
    const LINE: usize = 128;
    let block: Vec<u8> = (0..32).flat_map(|_| [&[b'x'; LINE - 1][..], b"\n"].concat()).collect();
    let began = Instant::now();
    let mut written = 0;
    let mut out = std::io::stdout().lock();
    while began.elapsed() < Duration::from_secs(seconds) && out.write_all(&block).is_ok() {
        written += block.len();
    }
    written
}

/// Keeps a processor and the log busy.
fn work() {
    for number in 0_u64.. {
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        println!("work {number}");
        std::thread::yield_now();
    }
}

/// Says the same line again and again.
fn beat(line: &str, pause: Duration) {
    while !HUSHED.load(Ordering::Relaxed) {
        println!("{line}");
        std::thread::sleep(pause);
    }
}

/// Accepts connections to a port of loopback, and ends each.
fn listen(port: u16) -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    std::thread::spawn(move || {
        while !CLOSED.load(Ordering::Relaxed) {
            // One that is gone already was accepted, too.
            drop(listener.accept());
        }
    });
    Ok(())
}

/// Accepts no more connections: one last wakes who waits for them.
fn close(port: u16) -> std::io::Result<()> {
    CLOSED.store(true, Ordering::Relaxed);
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop)
}
