//! The whole: ask, decide, write, name the machine, report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use nix::errno::Errno;

use crate::console::Console;
use crate::fetch::{FetchError, Times};
use crate::local::{Local, read_text};
use crate::materialise::{self, Earlier, materialise, same_directory};
use crate::metadata::{Fact, without_metadata};
use crate::provider::{Provider, Reading};
use crate::race::{self, Question};
use crate::tree::{Entries, Name, NameError, Node, Quoted, count};
use crate::{hostname, metadata, source, user_data};

/// How many refusals of one kind are printed one by one: a hostile document has thousands.
const SHOWN: usize = 20;
/// Longest file of an earlier run that is read again, in bytes.
const WRITTEN: usize = 4096;

/// The machine that is configured.
#[derive(Debug)]
pub struct Machine {
    /// Where the files go.
    pub config: PathBuf,
    /// Where LinuxKit's images look for them: the same directory, which init sees to; otherwise written as well.
    pub run_config: PathBuf,
    /// Names the machine.
    pub set_hostname: fn(&str) -> Result<(), Errno>,
    /// What it says of itself.
    pub local: Local,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        Self {
            config: "/var/config".into(),
            run_config: "/run/config".into(),
            set_hostname: hostname::set,
            local: Local::this(),
        }
    }
}

/// How to ask, and what to do with the answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// The times to keep to.
    pub times: Times,
    /// Whether a service may be believed that hands out no session tokens (AWS, IMDSv1).
    pub imdsv1: bool,
    /// Whether to write what was written for this instance before.
    pub again: bool,
}

/// Asks `providers` side by side, and puts what the first of them says that answers onto `machine`. False if anything was
/// refused or could not be done; everything else is done then.
pub fn run(
    providers: &[Arc<dyn Provider>],
    settings: Settings,
    machine: &Machine,
    console: &Arc<Console>,
) -> bool {
    let mut report = Report { console, clean: true };
    let question = Question {
        times: settings.times,
        began: Instant::now(),
        imdsv1: settings.imdsv1,
        local: machine.local.clone(),
        console: Arc::clone(console),
    };
    let mut found = ask(providers, &question, &mut report);
    if let Some((provider, title, reading)) = &found
        && !settings.again
        && let Some(instance) = set_up_before(machine, title, reading)
    {
        // User-data may have named it: what was written is what it is called.
        let written = read_text(&machine.config.join(Fact::Hostname.file_name()), WRITTEN);
        name_machine(machine, written.as_deref().or(reading.metadata.get(Fact::Hostname)), &mut report);
        console.say(format_args!(
            "{}: instance {instance} is set up already; nothing is written (--again does it)",
            provider.name()
        ));
        return report.clean;
    }
    let built = match &mut found {
        Some((_, title, reading)) => files(title, reading, &mut report),
        None => without_metadata().map(|entries| Files { entries, users: 0 }),
    };
    let Files { entries, users } = match built {
        Ok(files) => files,
        Err(error) => {
            report.complain(error);
            return false;
        }
    };
    let earlier = if found.is_some() { Earlier::Replace } else { Earlier::Keep };
    write(machine, &entries, earlier, &mut report);
    if let Some((provider, _, reading)) = &found {
        name_machine(machine, reading.metadata.get(Fact::Hostname), &mut report);
        let seconds = question.began.elapsed().as_secs_f32();
        console.say(format_args!(
            "{}: {} in {seconds:.1} s",
            provider.name(),
            summary(&reading.metadata, users)
        ));
    }
    report.clean
}

/// The instance's id, if an earlier run has written all of its metadata, from the same provider. The file `provider` is
/// the last that is written.
fn set_up_before<'r>(machine: &Machine, title: &str, reading: &'r Reading) -> Option<&'r str> {
    let instance = reading.metadata.get(Fact::InstanceId)?;
    let written = |name: &str| read_text(&machine.config.join(name), WRITTEN);
    let before = written(metadata::PROVIDER)? == title && written(Fact::InstanceId.file_name())? == instance;
    before.then_some(instance)
}

/// What goes wrong, as it goes wrong.
struct Report<'a> {
    console: &'a Console,
    clean: bool,
}

impl Report<'_> {
    fn complain(&mut self, problem: impl std::fmt::Display) {
        self.clean = false;
        self.console.say(problem);
    }

    fn complain_all<T: std::fmt::Display>(&mut self, problems: impl ExactSizeIterator<Item = T>) {
        let more = problems.len().saturating_sub(SHOWN);
        problems.take(SHOWN).for_each(|problem| self.complain(problem));
        if more > 0 {
            self.complain(format_args!("… and {more} more of these"));
        }
    }
}

/// Who has answered, what the file `provider` says, and the answer.
type Found<'p> = (&'p dyn Provider, String, Reading);

fn ask<'p>(
    providers: &'p [Arc<dyn Provider>],
    question: &Question,
    report: &mut Report<'_>,
) -> Option<Found<'p>> {
    let answers = race::ask(providers, question);
    let named = |index: usize| providers.get(index).map_or("", |provider| provider.name());
    if let Some((index, mut reading)) = answers.taken {
        let provider = providers.get(index)?.as_ref();
        let name = provider.name();
        report.complain_all(reading.problems.iter().map(|problem| format!("{name}: {problem}")));
        let title = reading.source.take().unwrap_or_else(|| provider.title().to_owned());
        return Some((provider, title, reading));
    }
    let (absent, broken): (Vec<_>, Vec<_>) = answers.failed.iter().partition(|(_, error)| error.is_absence());
    let line = |(index, error): &(usize, FetchError)| format!("{}: {error}", named(*index));
    if let ([], [one]) | ([one], []) = (absent.as_slice(), broken.as_slice()) {
        let message = format!("{}; going on with defaults", line(one));
        if one.1.is_absence() {
            report.console.say(message)
        } else {
            report.complain(message)
        }
        return None;
    }
    report.complain_all(broken.into_iter().map(line));
    absent.iter().for_each(|one| report.console.detail(line(one)));
    let names: Vec<_> = absent.iter().map(|(index, _)| named(*index)).collect();
    let nowhere = if names.is_empty() { "anybody".to_owned() } else { names.join(", ") };
    report.console.say(format_args!("no metadata from {nowhere}; going on with defaults"));
    None
}

/// What is to be written.
struct Files {
    entries: Entries,
    /// How many of them user-data has made.
    users: usize,
}

/// The provider's files and the user's, whose host name and keys join what the provider says.
fn files(provider: &str, reading: &mut Reading, report: &mut Report<'_>) -> Result<Files, NameError> {
    let user = user_data::parse(reading.metadata.user_data.as_deref().unwrap_or_default());
    user.ignored.iter().take(SHOWN).for_each(|ignored| report.console.say(ignored));
    report.complain_all(user.refused.iter());
    let metadata = &mut reading.metadata;
    let name = user.hostname.map(|name| metadata.set(Fact::Hostname, name.as_bytes()));
    let keys = user.keys.iter().map(|key| metadata.add_key("of user-data", key.as_bytes()));
    let invalid: Vec<_> = name.into_iter().chain(keys).filter_map(Result::err).collect();
    report.complain_all(invalid.iter().map(|invalid| format!("user-data: {invalid}")));
    let mut files = Files { entries: metadata.entries(provider)?, users: count(&user.entries) };
    files.entries.extend(user.entries);
    let id = reading.metadata.get(Fact::InstanceId);
    let source = source::node(provider, id, &files.entries, SystemTime::now());
    files.entries.insert(Name::new(source::FILE)?, source);
    Ok(files)
}

fn write(machine: &Machine, entries: &Entries, earlier: Earlier, report: &mut Report<'_>) {
    list(entries, "", report.console);
    write_one(&machine.config, entries, earlier, report);
    if !same_directory(&machine.config, &machine.run_config) {
        write_one(&machine.run_config, entries, earlier, report);
    }
}

fn write_one(target: &Path, entries: &Entries, earlier: Earlier, report: &mut Report<'_>) {
    let shown = target.display();
    let done: materialise::Done = match materialise(target, entries, earlier) {
        Ok(done) => done,
        Err(error) => return report.complain(error),
    };
    report.console.detail(format_args!(
        "{shown}: {} files written, {} stale names removed",
        done.written, done.removed
    ));
    done.notes.iter().for_each(|note| report.console.say(format_args!("{shown}: {note}")));
    report.complain_all(done.conflicts.iter().map(|path| {
        format!("{shown}: {}: the image has something of another kind there; refused", Quoted(path))
    }));
}

/// Names every file for those who look closely.
fn list(entries: &Entries, parent: &str, console: &Console) {
    for (name, node) in entries {
        let path =
            if parent.is_empty() { name.as_str().to_owned() } else { format!("{parent}/{}", name.as_str()) };
        match node {
            Node::File { mode, content, .. } => {
                console.detail(format_args!("{}: {mode:04o}, {} bytes", Quoted(&path), content.len()));
            }
            Node::Directory { mode, entries } => {
                console.detail(format_args!("{}: {mode:04o}, directory", Quoted(&path)));
                list(entries, &path, console);
            }
        }
    }
}

fn name_machine(machine: &Machine, name: Option<&str>, report: &mut Report<'_>) {
    let Some(name) = name.filter(|name| hostname::is_valid(name)) else { return };
    if let Err(cause) = (machine.set_hostname)(name) {
        report.complain(format_args!("cannot set the host name {name}: {}", cause.desc()));
    }
}

/// One line of what came, without anything secret.
fn summary(metadata: &metadata::Metadata, users: usize) -> String {
    let fact = |fact| metadata.get(fact).unwrap_or("?");
    let user_data = metadata.user_data.as_ref().map_or_else(
        || "no user-data".to_owned(),
        |bytes| format!("user-data of {} bytes ({users} files and directories)", bytes.len()),
    );
    let keys = match metadata.key_count() {
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    format!("{}, instance {}, {keys}, {user_data}", fact(Fact::Hostname), fact(Fact::InstanceId))
}
