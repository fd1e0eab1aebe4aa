//! What services say: kept in memory and on disk, told to those who listen, and never in anybody's way.
//!
//! | file | duty |
//! |---|---|
//! | `fifo.rs` | the pipe of each output |
//! | `pump.rs` | reads the pipes, fairly |
//! | `split.rs`, `bucket.rs` | bytes → lines; how fast a stream may speak |
//! | `ring.rs` | the newest lines, in memory |
//! | `disk.rs`, `rotation.rs` | files under `/var/log` |
//! | `follow.rs` | those who listen |
//! | `memlogd.rs` | LinuxKit's sockets |
//! | `line.rs` | one line |
//!
//! Every quantity has a limit: [`MEMORY_LIMIT`], [`split::LINE_LIMIT`], [`bucket::RATE`], [`rotation::FILE_LIMIT`],
//! [`rotation::TOTAL_LIMIT`].

mod bucket;
mod disk;
mod fifo;
mod follow;
mod line;
pub mod memlogd;
mod pump;
mod ring;
mod rotation;
mod split;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::{Instant, SystemTime};

pub use follow::Follower;
pub use line::{Line, Stream};
pub use split::Splitter;

use super::console;
use crate::rfc3339;
use crate::runtime::STATE_ROOT;
use disk::{Disk, LogId, Written};
use follow::Followers;
use pump::Pump;
use ring::Ring;

/// What all lines in memory may cost together (bytes).
pub const MEMORY_LIMIT: usize = 1 << 20;
/// The source of what the supervisor itself says.
pub const SUPERVISOR: &str = "supervisor";
/// Where logs are on disk.
const FILES: &str = "/var/log";
/// Where the pipes are, below the state directory.
const FIFOS: &str = "logs";

thread_local! {
    /// The logs of this thread's supervisor: what goes to the console goes there as well.
    static CURRENT: RefCell<Weak<Logs>> = const { RefCell::new(Weak::new()) };
}

/// The logs that were started on this thread, if any: for what is said where no `Logs` is at hand.
#[must_use]
pub fn current() -> Option<Rc<Logs>> {
    CURRENT.with_borrow(Weak::upgrade)
}

/// The pipe for an output of service `name`, which [`Logs::fifo`] makes.
#[must_use]
pub fn fifo_path(name: &str, stream: Stream) -> PathBuf {
    Path::new(STATE_ROOT).join(FIFOS).join(fifo_name(name, stream))
}

fn fifo_name(name: &str, stream: Stream) -> String {
    let end = match stream {
        Stream::Out => "out",
        Stream::Err => "err",
    };
    format!("{name}.{end}")
}

/// All logs.
#[derive(Debug)]
pub struct Logs {
    fifos: PathBuf,
    pumps: RefCell<BTreeMap<(String, Stream), Rc<Pump>>>,
    ring: RefCell<Ring>,
    followers: Followers,
    /// The file of each stream that has one.
    files: RefCell<BTreeMap<(String, Stream), LogId>>,
    disk: RefCell<Disk>,
    /// Whether files are written yet; until then lines wait in the ring.
    to_disk: Cell<bool>,
    /// The number that the last line got.
    number: Cell<u64>,
}

impl Logs {
    /// Begins to keep logs, in memory until [`Logs::write_files`]. Needs a `LocalSet`.
    ///
    /// # Errors
    /// When the directory of the pipes cannot be made.
    pub fn start() -> io::Result<Rc<Self>> {
        Self::start_at(&Path::new(STATE_ROOT).join(FIFOS), Path::new(FILES))
    }

    /// The same in other directories: of the pipes, and of the files.
    fn start_at(fifos: &Path, files: &Path) -> io::Result<Rc<Self>> {
        fifo::make_directory(fifos)?;
        let logs = Rc::new(Self {
            fifos: fifos.to_owned(),
            pumps: RefCell::default(),
            ring: RefCell::new(Ring::new(MEMORY_LIMIT)),
            followers: Followers::default(),
            files: RefCell::default(),
            disk: RefCell::new(Disk::new(files)),
            to_disk: Cell::new(false),
            number: Cell::new(0),
        });
        logs.add_file(SUPERVISOR, Stream::Err);
        CURRENT.set(Rc::downgrade(&logs));
        Ok(logs)
    }

    /// The pipe for an output of service `name`, which is read from now on; made at the first call, and the same after.
    ///
    /// # Errors
    /// When it cannot be made or opened, on a full `/run` for example.
    pub fn fifo(self: &Rc<Self>, name: &str, stream: Stream) -> io::Result<PathBuf> {
        let key = (name.to_owned(), stream);
        let path = self.fifos.join(fifo_name(name, stream));
        if !self.pumps.borrow().contains_key(&key) {
            let pump = Pump::new(fifo::open(&path)?, name, stream)?;
            tokio::task::spawn_local(Rc::clone(&pump).run(Rc::downgrade(self)));
            self.pumps.borrow_mut().insert(key, pump);
            self.add_file(name, stream);
        }
        Ok(path)
    }

    /// Hears what is said from now on by `name`, on both streams.
    #[must_use]
    pub fn follow(&self, name: &str) -> Follower {
        self.followers.add(Some(name))
    }

    /// Hears what is said from now on: by `name`, or by everybody.
    #[must_use]
    pub fn follow_one_or_all(&self, name: Option<&str>) -> Follower {
        self.followers.add(name)
    }

    /// Who has said something that is still known.
    #[must_use]
    pub fn sources(&self) -> Vec<Rc<str>> {
        self.ring.borrow().sources().cloned().collect()
    }

    /// What `name` said last, even without an end of line: on standard error if it said anything there, else on
    /// standard output.
    #[must_use]
    pub fn last(self: &Rc<Self>, name: &str) -> Option<Rc<Line>> {
        self.last_since(name, 0)
    }

    /// The same, but only what was said since [`Logs::position`] gave `position`.
    #[must_use]
    pub fn last_since(self: &Rc<Self>, name: &str, position: u64) -> Option<Rc<Line>> {
        for stream in [Stream::Out, Stream::Err] {
            let pump = self.pumps.borrow().get(&(name.to_owned(), stream)).cloned();
            if let Some(pump) = pump {
                pump.drain(self);
            }
        }
        self.ring.borrow().last(name, position.saturating_add(1))
    }

    /// Tells lines that come from now on from those before: for [`Logs::last_since`].
    #[must_use]
    pub fn position(&self) -> u64 {
        self.number.get()
    }

    /// The lines in memory of one source or of all, oldest first.
    #[must_use]
    pub fn lines(&self, name: Option<&str>) -> Vec<Rc<Line>> {
        self.ring.borrow().lines(name)
    }

    /// Adds a line in the name of `name`, as if it had written it on standard error.
    pub fn say(&self, name: &str, text: &str) {
        self.note(name, Stream::Err, text);
    }

    /// Adds a line to a stream of `name`.
    pub fn note(&self, name: &str, stream: Stream, text: &str) {
        self.take(&Rc::from(name), stream, &mut std::iter::once(text.to_owned()));
    }

    /// From now on files are written, beginning with what is in memory: once everything is mounted.
    pub fn write_files(&self) {
        if self.to_disk.replace(true) {
            return;
        }
        let files: Vec<_> = self.files.borrow().iter().map(|(key, id)| (key.clone(), *id)).collect();
        for ((name, stream), id) in files {
            let waiting: Vec<Rc<Line>> = self.lines(Some(&name));
            self.read_back(&name, stream, id);
            let waiting = waiting.iter().filter(|line| line.stream == stream);
            self.write(id, waiting);
        }
    }

    /// Takes what is still in the pipes, and closes all files.
    pub fn finish(self: &Rc<Self>) {
        let pumps: Vec<Rc<Pump>> = self.pumps.borrow().values().cloned().collect();
        for pump in pumps {
            pump.drain(self);
        }
        self.disk.borrow_mut().close();
    }

    /// Whether what `name` says goes into files: the names of services, and our own.
    #[must_use]
    pub fn has_file(&self, name: &str) -> bool {
        self.files.borrow().keys().any(|(source, _)| source == name)
    }

    /// Lines that were read from a stream.
    fn take(&self, source: &Rc<str>, stream: Stream, texts: &mut dyn Iterator<Item = String>) {
        let time = SystemTime::now();
        let mut lines = Vec::new();
        for text in texts {
            let number = self.number.get() + 1;
            self.number.set(number);
            let line = Rc::new(Line {
                number,
                time,
                source: Rc::clone(source),
                stream,
                text: text.into_boxed_str(),
            });
            self.ring.borrow_mut().push(Rc::clone(&line));
            self.followers.tell(&line);
            lines.push(line);
        }
        let file = self.files.borrow().get(&(source.to_string(), stream)).copied();
        if let (Some(id), true) = (file, self.to_disk.get()) {
            self.write(id, lines.iter());
        }
    }

    fn add_file(&self, name: &str, stream: Stream) {
        let id = self.disk.borrow_mut().add(&format!("{name}{}.log", stream.suffix()));
        self.files.borrow_mut().insert((name.to_owned(), stream), id);
        if self.to_disk.get() {
            self.read_back(name, stream, id);
        }
    }

    /// What a former supervisor wrote is known again.
    fn read_back(&self, name: &str, stream: Stream, id: LogId) {
        let text = self.disk.borrow().read_back(id);
        let source: Rc<str> = name.into();
        let lines = text.lines().filter_map(line::from_file).map(|(time, text)| {
            Rc::new(Line { number: 0, time, source: Rc::clone(&source), stream, text: text.into() })
        });
        self.ring.borrow_mut().prepend(lines.collect());
    }

    fn write<'a>(&self, id: LogId, lines: impl Iterator<Item = &'a Rc<Line>>) {
        let (mut text, mut count) = (String::new(), 0);
        let mut stamp = (SystemTime::UNIX_EPOCH, String::new());
        for line in lines {
            if stamp.0 != line.time || stamp.1.is_empty() {
                stamp = (line.time, rfc3339::format(line.time));
            }
            line::to_file(&stamp.1, &line.text, &mut text);
            text.push('\n');
            count += 1;
        }
        if count == 0 {
            return;
        }
        let written = self.disk.borrow_mut().write(id, &text, count, Instant::now());
        // With nothing borrowed: it becomes a line of the supervisor's.
        match written {
            Written::Quietly => {}
            Written::Trouble(words) | Written::Recovered(words) => console::say(&format!("logs: {words}")),
        }
    }
}

#[cfg(test)]
impl Logs {
    /// Logs below `dir`, for tests of those who use them.
    pub fn for_test(dir: &Path) -> Rc<Self> {
        Self::start_at(&dir.join("fifos"), &dir.join("log")).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::io::Write;
    use std::time::Duration;

    use tokio::task::LocalSet;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn logs(&self) -> Rc<Logs> {
            Logs::start_at(&self.0.path().join("fifos"), &self.0.path().join("log")).unwrap()
        }

        fn file(&self, name: &str) -> String {
            fs::read_to_string(self.0.path().join("log").join(name)).unwrap_or_default()
        }
    }

    fn service(logs: &Rc<Logs>, name: &str, stream: Stream) -> File {
        let path = logs.fifo(name, stream).unwrap();
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    }

    fn texts(logs: &Logs, name: &str) -> Vec<String> {
        logs.lines(Some(name)).iter().map(|line| line.text.to_string()).collect()
    }

    fn local<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, work)
    }

    #[test]
    fn what_a_service_says_is_heard_kept_and_written_with_its_time() {
        let place = Place::new();
        local(async {
            let logs = place.logs();
            logs.write_files();
            let mut follower = logs.follow("slapd");
            let mut err = service(&logs, "slapd", Stream::Err);
            err.write_all(b"starting\nready\n").unwrap();
            assert_eq!(&*follower.next().await.unwrap().text, "starting");
            let line = follower.next().await.unwrap();
            assert_eq!((&*line.source, line.stream, &*line.text), ("slapd", Stream::Err, "ready"));
            let mut out = service(&logs, "slapd", Stream::Out);
            out.write_all(b"to out\n").unwrap();
            assert_eq!(follower.next().await.unwrap().label(), "slapd.out");
            assert_eq!(texts(&logs, "slapd"), ["starting", "ready", "to out"]);
            let written = place.file("slapd.log");
            let times: Vec<_> = written.lines().map(line::from_file).collect();
            assert!(times.iter().all(Option::is_some) && times.len() == 2, "{written}");
            assert!(place.file("slapd.out.log").ends_with(" to out\n"));
        });
    }

    #[test]
    fn last_words_are_heard_even_if_nobody_has_read_them_yet() {
        let place = Place::new();
        local(async {
            let logs = place.logs();
            let mut err = service(&logs, "a", Stream::Err);
            err.write_all(b"of the first run\n").unwrap();
            assert_eq!(logs.last("a").map(|line| line.text.to_string()).as_deref(), Some("of the first run"));
            let start = logs.position();
            assert_eq!(logs.last_since("a", start), None);
            err.write_all(b"cannot bind\nbye").unwrap();
            assert_eq!(logs.last_since("a", start).map(|line| line.text.to_string()).as_deref(), Some("bye"));
        });
    }

    #[test]
    fn files_are_begun_when_everything_is_mounted_with_what_was_said_before() {
        let place = Place::new();
        local(async {
            let logs = place.logs();
            logs.say(SUPERVISOR, "early");
            logs.say("onboot.000-sysctl", "not for a file");
            assert!(!place.0.path().join("log").exists());
            logs.write_files();
            logs.say(SUPERVISOR, "late");
            let text = place.file("supervisor.log");
            let words: Vec<&str> = text.lines().map(|line| line.split(' ').nth(1).unwrap()).collect();
            assert_eq!(words, ["early", "late"]);
            assert_eq!(fs::read_dir(place.0.path().join("log")).unwrap().count(), 1);
        });
    }

    #[test]
    fn a_successor_knows_what_was_said_before_it_and_loses_nothing_that_is_in_the_pipes() {
        let place = Place::new();
        let mut err = local(async {
            let logs = place.logs();
            logs.write_files();
            let mut follower = logs.follow_one_or_all(None);
            let mut err = service(&logs, "a", Stream::Err);
            err.write_all(b"one\n").unwrap();
            follower.next().await.unwrap();
            err
        });
        // Nobody reads now.
        err.write_all(b"two\n").unwrap();
        local(async {
            let logs = place.logs();
            let mut follower = logs.follow("a");
            logs.fifo("a", Stream::Err).unwrap();
            logs.write_files();
            assert_eq!(&*follower.next().await.unwrap().text, "two");
            assert_eq!(texts(&logs, "a"), ["one", "two"]);
            assert_eq!(place.file("a.log").lines().count(), 2);
        });
    }

    #[test]
    fn a_flood_holds_up_neither_the_loop_nor_others_nor_memory() {
        let place = Place::new();
        let loud = {
            let logs_path = place.0.path().join("fifos/loud.out");
            move || {
                let mut file = OpenOptions::new().read(true).write(true).open(logs_path).unwrap();
                let line = [b'x'; 99].iter().chain(b"\n").copied().collect::<Vec<u8>>().repeat(100);
                let begun = Instant::now();
                let mut said = 0_usize;
                while begun.elapsed() < Duration::from_millis(300) {
                    said += file.write(&line).unwrap();
                }
                said
            }
        };
        local(async {
            let logs = place.logs();
            logs.write_files();
            let mut quiet = service(&logs, "quiet", Stream::Err);
            logs.fifo("loud", Stream::Out).unwrap();
            let flood = std::thread::spawn(loud);
            let mut follower = logs.follow("quiet");
            while !flood.is_finished() {
                quiet.write_all(b"beat\n").unwrap();
                assert_eq!(&*follower.next().await.unwrap().text, "beat");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let said = flood.join().unwrap() as f64;
            assert!(said < bucket::BURST + bucket::RATE * 3.0, "{said}");
            assert!(texts(&logs, "quiet").len() > 3);
            let loud: usize = logs.lines(Some("loud")).iter().map(|line| line.text.len()).sum();
            assert!(loud < MEMORY_LIMIT && loud > 100_000, "{loud}");
        });
    }
}
