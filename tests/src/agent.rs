//! The host's side of the fault suite's agent: requests that may be made at the same time from several tests.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::PATIENCE;

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// A connection to the agent in a machine (`tests/pkg/trouble`).
#[derive(Debug)]
pub struct Agent {
    write: Mutex<UnixStream>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Agent {
    /// The agent behind this socket; it need not be up yet.
    ///
    /// # Panics
    /// When the socket cannot be used twice.
    #[must_use]
    pub fn new(socket: UnixStream) -> Self {
        let waiting = Waiting::default();
        let read = socket.try_clone().expect("a second handle on the socket");
        let others = Arc::clone(&waiting);
        std::thread::spawn(move || hand_out(read, &others));
        Self { write: Mutex::new(socket), waiting, next: AtomicU64::new(1) }
    }

    /// Sends a request; the answer comes through what is returned.
    ///
    /// # Panics
    /// When the machine is gone.
    #[must_use]
    pub fn send(&self, words: &[&str]) -> Receiver<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let line = format!("{}\n", json!({"id": id, "words": words}));
        let mut write = self.write.lock().unwrap_or_else(PoisonError::into_inner);
        write.write_all(line.as_bytes()).expect("asking the agent");
        receiver
    }

    /// Asks, and returns what the agent answered.
    ///
    /// # Panics
    /// When it answers that it could not, or not at all.
    pub fn call(&self, words: &[&str]) -> Value {
        self.try_call(words).unwrap_or_else(|reason| panic!("the agent on {words:?}: {reason}"))
    }

    /// Asks, and returns what the agent answered, or why it could not do it.
    ///
    /// # Errors
    /// In the agent's words.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn try_call(&self, words: &[&str]) -> Result<Value, String> {
        let answer = self.send(words).recv_timeout(PATIENCE);
        let answer =
            answer.unwrap_or_else(|_| panic!("no answer from the agent on {words:?} within {PATIENCE:?}"));
        match answer["error"].as_str() {
            Some(reason) => Err(reason.to_string()),
            None => Ok(answer["ok"].clone()),
        }
    }

    /// Kills `targets` at one moment; returns which of them were there, with their process numbers.
    pub fn kill(&self, targets: &[&str]) -> Vec<(String, i64)> {
        let killed = self.call(&[&["kill"], targets].concat());
        let killed = killed.as_object().expect("what was killed");
        killed.iter().map(|(target, pid)| (target.clone(), pid.as_i64().expect("a process number"))).collect()
    }

    /// Waits until the service has been started so often and serves; returns how often it has been.
    pub fn await_start(&self, name: &str, number: usize) -> usize {
        let starts = self.call(&["await", name, &number.to_string()]);
        usize::try_from(starts.as_u64().expect("a number of starts")).expect("a small number")
    }

    /// How often the service was started.
    ///
    /// # Panics
    /// When it was started while it ran.
    pub fn starts(&self, name: &str) -> usize {
        let starts = self.call(&["starts", name]);
        let starts = starts.as_array().expect("the starts");
        assert!(starts.iter().all(|line| line == "started"), "{name} was started while it ran: {starts:?}");
        starts.len()
    }

    /// Asks the service itself.
    pub fn ask(&self, name: &str, question: &str) -> String {
        self.call(&["ask", name, question]).as_str().expect("an answer").to_string()
    }

    /// Runs `service`; returns what it printed.
    ///
    /// # Panics
    /// When it fails.
    pub fn service(&self, words: &[&str]) -> String {
        let ended = self.try_service(words);
        assert_eq!(ended.code, 0, "service {words:?}: {ended:?}");
        ended.out
    }

    /// Runs `service`, well or not.
    pub fn try_service(&self, words: &[&str]) -> Ended {
        Ended::from(&self.call(&[&["init", "service"], words].concat()))
    }

    /// Runs a program of the machine's own root.
    pub fn host(&self, words: &[&str]) -> Ended {
        Ended::from(&self.call(&[&["host"], words].concat()))
    }

    /// Waits until a field of what the supervisor knows about a service has a value; returns all that it knows then.
    pub fn await_status(&self, name: &str, field: &str, value: &Value) -> Value {
        self.call(&["await-status", name, field, &value.to_string()])
    }

    /// What the supervisor knows about a service.
    ///
    /// # Panics
    /// When it knows nothing.
    pub fn status(&self, name: &str) -> Value {
        let text = self.call(&["read", &format!("/run/lkb/services/{name}.json")]);
        serde_json::from_str(text.as_str().expect("a text")).expect("JSON")
    }

    /// The process number of a target.
    ///
    /// # Panics
    /// When there is none.
    pub fn pid(&self, target: &str) -> i64 {
        self.find(target).unwrap_or_else(|| panic!("there is no {target}"))
    }

    /// The process number of what `target` means, if it is there.
    pub fn find(&self, target: &str) -> Option<i64> {
        self.call(&["find", target])["pid"].as_i64()
    }
}

/// How a command in the machine ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit status; that of a signal is -1.
    pub code: i64,
    /// What it printed.
    pub out: String,
    /// What it complained about.
    pub err: String,
}

impl From<&Value> for Ended {
    fn from(answer: &Value) -> Self {
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_string();
        Self { code: answer["code"].as_i64().unwrap_or(-1), out: text("out"), err: text("err") }
    }
}

/// Reads answers until the machine is gone.
fn hand_out(socket: UnixStream, waiting: &Waiting) {
    let mut socket = BufReader::new(socket);
    let mut line = Vec::new();
    while socket.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
        // Half an answer is what an agent leaves that was killed.
        if let Ok(answer) = serde_json::from_slice::<Value>(&line) {
            let id = answer["id"].as_u64().unwrap_or_default();
            let asked = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
            if let Some(sender) = asked {
                // Who asked may have given up.
                drop(sender.send(answer));
            }
        }
        line.clear();
    }
}
