//! Copying a log file to the console and into the logs while it grows.

use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use super::console;
use super::logs::{Logs, Splitter, Stream};

/// A file that is being written by a container.
#[derive(Debug)]
pub struct Tail {
    file: File,
    prefix: String,
    source: String,
    stream: Stream,
    lines: Splitter,
}

impl Tail {
    /// Follows `file`, which gets `stream` of the step `id` of a sequence, from its current position.
    #[must_use]
    pub fn new(file: File, sequence: &str, id: &str, stream: Stream) -> Self {
        let (prefix, source) = (format!("{sequence} {id}"), format!("{sequence}.{id}"));
        Self { file, prefix, source, stream, lines: Splitter::default() }
    }

    /// Copies what is new.
    pub fn copy(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    let mut lines = Vec::new();
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.lines.push(bytes, &mut |line| lines.push(line));
                    self.tell(&lines);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    console::say(&format!("{}: cannot read its log: {error}", self.prefix));
                    return;
                }
            }
        }
    }

    /// Copies the rest, after the writer has ended.
    pub fn finish(mut self) {
        self.copy();
        let mut lines = Vec::new();
        self.lines.finish(&mut |line| lines.push(line));
        self.tell(&lines);
    }

    fn tell(&self, lines: &[String]) {
        let logs: Option<Rc<Logs>> = super::logs::current();
        for line in lines {
            console::show(&format!("{}: {line}", self.prefix));
            if let Some(logs) = &logs {
                logs.note(&self.source, self.stream, line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_a_step_writes_goes_into_the_logs_line_by_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut writer = File::create(&path).unwrap();
        let mut tail = Tail::new(File::open(&path).unwrap(), "onboot", "000-a", Stream::Out);
        let logs = Logs::for_test(dir.path());
        writer.write_all(b"one\ntw").unwrap();
        tail.copy();
        writer.write_all(b"o").unwrap();
        tail.finish();
        let lines = logs.lines(Some("onboot.000-a"));
        let lines: Vec<_> = lines.iter().map(|line| (line.label(), &*line.text)).collect();
        let label = "onboot.000-a.out".to_owned();
        assert_eq!(lines, [(label.clone(), "one"), (label, "two")]);
    }
}
