//! Waits for what a machine's console shows.

use std::collections::VecDeque;
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

/// Lines of the console that an error shows.
const LAST_LINES: usize = 30;
/// Bytes of one line that are kept.
const LONGEST_LINE: usize = 500;

/// What the console must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Texts, each in one line; all of them, in any order.
    pub texts: Vec<String>,
    /// How long that may take.
    pub patience: Duration,
}

/// The console did not show what was waited for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct NotShown {
    /// The texts that did not come.
    pub missing: Vec<String>,
    /// What came instead.
    pub ending: Ending,
    /// The last lines of the console, or nothing when it stayed empty.
    pub last_lines: Vec<String>,
}

/// Why nothing was waited for any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The time was up.
    Patience(Duration),
    /// The machine was off.
    Off(ExitStatus),
}

impl fmt::Display for NotShown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing: Vec<String> = self.missing.iter().map(|text| format!("{text:?}")).collect();
        write!(f, "the console did not show {} ", missing.join(" and "))?;
        match self.ending {
            Ending::Patience(patience) => write!(f, "within {} s", patience.as_secs())?,
            Ending::Off(status) if status.success() => write!(f, "before the machine was off")?,
            Ending::Off(status) => write!(f, "before QEMU ended ({status})")?,
        }
        if self.last_lines.is_empty() {
            return write!(f, "; it showed nothing");
        }
        write!(f, "; its last lines:")?;
        self.last_lines.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// Reads along with a console.
#[derive(Debug)]
pub struct Reader {
    missing: Vec<String>,
    /// The end of what came, long enough to hold all but the last byte of any text.
    carried: Vec<u8>,
    line: Vec<u8>,
    lines: VecDeque<String>,
}

impl Reader {
    /// One that looks for these texts.
    pub fn new(texts: &[String]) -> Self {
        Self { missing: texts.to_vec(), carried: Vec::new(), line: Vec::new(), lines: VecDeque::new() }
    }

    /// Reads what came; whether all texts have come by now.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        self.carried.extend(bytes);
        let carried = &self.carried;
        self.missing.retain(|text| !contains(carried, text.as_bytes()));
        let longest = self.missing.iter().map(String::len).max().unwrap_or_default();
        let rest = self.carried.len().saturating_sub(longest.saturating_sub(1));
        self.carried.drain(..rest);
        bytes.iter().for_each(|byte| self.keep(*byte));
        self.missing.is_empty()
    }

    fn keep(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_line(),
            _ if self.line.len() < LONGEST_LINE => self.line.push(byte),
            _ => {}
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
        if text.trim().is_empty() {
            return;
        }
        if self.lines.len() == LAST_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(text);
    }

    /// What is told when no more is waited for.
    pub fn give_up(mut self, ending: Ending) -> NotShown {
        self.end_line();
        NotShown { missing: self.missing, ending, last_lines: self.lines.into() }
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn reader(texts: &[&str]) -> Reader {
        Reader::new(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_text_is_found_however_it_is_cut() {
        let console = "Linux version 6\r\nWelcome to LinuxKit\r\nlogin: ".as_bytes();
        for size in 1..console.len() {
            let mut reader = reader(&["login: ", "Welcome to"]);
            let shown: Vec<bool> = console.chunks(size).map(|chunk| reader.read(chunk)).collect();
            let (last, before) = shown.split_last().unwrap();
            assert!(*last && !before.contains(&true), "{size}: {shown:?}");
        }
    }

    #[test]
    fn what_is_kept_of_a_console_has_a_limit() {
        let mut reader = reader(&["never"]);
        for number in 0..1000 {
            reader.read(format!("line {number}\n").as_bytes());
            reader.read(&[b'x'; 5000]);
            reader.read(b"\n\x1b[31m\n");
        }
        assert!(reader.carried.len() < 5, "{}", reader.carried.len());
        let told = reader.give_up(Ending::Patience(Duration::from_secs(7)));
        assert_eq!(told.last_lines.len(), LAST_LINES);
        assert!(told.last_lines.iter().all(|line| line.len() <= LONGEST_LINE));
        assert_eq!(told.last_lines[LAST_LINES - 3], "line 999");
    }

    #[test]
    fn what_did_not_come_is_told_with_the_last_lines() {
        let mut shown = reader(&["one", "two", "three"]);
        assert!(!shown.read(b"one\r\nhalf a li"));
        let off = Ending::Off(ExitStatus::from_raw(0));
        assert_eq!(
            shown.give_up(off).to_string(),
            "the console did not show \"two\" and \"three\" before the machine was off; its last lines:\n  \
             one\n  half a li"
        );
        let silent = reader(&["one"]).give_up(Ending::Patience(Duration::from_secs(5)));
        assert_eq!(silent.to_string(), "the console did not show \"one\" within 5 s; it showed nothing");
        let killed = reader(&["one"]).give_up(Ending::Off(ExitStatus::from_raw(9)));
        assert!(killed.to_string().contains("before QEMU ended (signal: 9"), "{killed}");
    }
}
