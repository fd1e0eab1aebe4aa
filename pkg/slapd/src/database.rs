//! The database's directory and what is in it.
//!
//! The database itself says what it holds: slapd's own `-T cat` prints the entries of any suffix, and the
//! first is the base entry. So nothing has to be remembered beside it that could differ from it, and a power
//! cut at any moment leaves either an empty database, which gets its base entry at the next start, or one
//! that has it: LMDB writes an entry whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::account::Account;
use crate::conf::own;
use crate::dn::Dn;
use crate::ldif;
use crate::paths::Paths;
use crate::settings::Settings;

/// The most that is kept of what slapd says, in bytes.
const WORDS: u64 = 16 * 1024;

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The directory cannot be made ready.
    #[error("{path}: the database's directory cannot be {step}: {source}{}", advice(.source))]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Another server has it.
    #[error("{0}: another slapd has this database: stop it first, two would destroy it")]
    InUse(PathBuf),
    /// It is somebody else's database.
    #[error(
        "{path}: holds a database of {there}, but {asked} was asked for; it is left as it is: set SUFFIX back to {there}, or \
         move the directory away to begin an empty one"
    )]
    OtherSuffix {
        /// The directory.
        path: PathBuf,
        /// What it holds.
        there: String,
        /// What was asked for.
        asked: String,
    },
    /// slapd cannot be run.
    #[error("{program}: cannot be started: {source}")]
    Start {
        /// The server's program.
        program: PathBuf,
        /// The kernel's reason.
        source: io::Error,
    },
    /// slapd failed.
    #[error("{path}: slapd cannot {step} the database ({status}): {words}")]
    Slapd {
        /// The directory.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// How it ended.
        status: String,
        /// What it said.
        words: String,
    },
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "; the disk is full",
        io::ErrorKind::ReadOnlyFilesystem => "; the disk is mounted read-only, perhaps since it has errors",
        _ => "",
    }
}

/// What is done with a database, from the name of its first entry. Pure.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// It holds nothing: add the base entry.
    Begin,
    /// It is the one that was asked for.
    Keep,
    /// It is another one.
    Refuse(String),
}

fn plan(first: Option<&str>, asked: &Dn) -> Plan {
    match first {
        None => Plan::Begin,
        Some(there) => match Dn::parse(there) {
            Ok(dn) if dn.is_same(asked) => Plan::Keep,
            _ => Plan::Refuse(there.to_owned()),
        },
    }
}

/// The directory, locked for this process and for the server that it becomes.
#[derive(Debug)]
pub struct Lock(pub(crate) Flock<File>);

/// Makes the directory, and in an empty database the base entry. The configuration must be there already.
pub fn prepare(paths: &Paths, account: &Account, settings: &Settings) -> Result<Lock, DatabaseError> {
    let lock = directory(paths, account)?;
    let asked = &settings.suffix.value;
    let there = paths.data.join("data.mdb").exists();
    let first = if there { first_entry(paths, account)? } else { None };
    match plan(first.as_deref(), asked) {
        Plan::Begin => {
            add(paths, account, &ldif::base_entry(settings))?;
            // The entry is on the disk; that the file has a name may not be.
            lock.0.sync_all().map_err(step(paths, "flushed"))?;
            println!("slapd-start: {}: new database of {asked}", paths.data.display());
        }
        Plan::Keep => println!("slapd-start: {}: database of {asked}", paths.data.display()),
        Plan::Refuse(there) => {
            return Err(DatabaseError::OtherSuffix {
                path: paths.data.clone(),
                there,
                asked: asked.to_string(),
            });
        }
    }
    Ok(lock)
}

fn step(paths: &Paths, step: &'static str) -> impl FnOnce(io::Error) -> DatabaseError {
    let path = paths.data.clone();
    move |source| DatabaseError::Directory { path, step, source }
}

fn directory(paths: &Paths, account: &Account) -> Result<Lock, DatabaseError> {
    fs::create_dir_all(&paths.data).map_err(step(paths, "made"))?;
    let directory = File::open(&paths.data).map_err(step(paths, "opened"))?;
    let lock = Flock::lock(directory, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => DatabaseError::InUse(paths.data.clone()),
        errno => step(paths, "locked")(errno.into()),
    })?;
    own(&lock, account).map_err(step(paths, "given to openldap"))?;
    lock.set_permissions(Permissions::from_mode(0o700)).map_err(step(paths, "given its mode"))?;
    Ok(Lock(lock))
}

/// The name of the first entry, which is the base entry; `None` of an empty database.
fn first_entry(paths: &Paths, account: &Account) -> Result<Option<String>, DatabaseError> {
    let mut child = slapd(paths, account, "cat")
        .args(["-o", "ldif-wrap=no"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| DatabaseError::Start { program: paths.slapd.clone(), source })?;
    let read = |source| step(paths, "read")(source);
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output.take(WORDS)).read_line(&mut line).map_err(read)?;
    }
    if let Some(dn) = ldif::dn_of(line.trim_end()) {
        // The rest of the database is not of interest; it may be large.
        child.kill().and_then(|()| child.wait()).map_err(read)?;
        return Ok(Some(dn));
    }
    let words = words_of(child.stderr.take());
    let status = child.wait().map_err(read)?;
    match status.success() {
        true => Ok(None),
        false => Err(failed(paths, "read", status, words)),
    }
}

/// Adds an entry with the server stopped.
fn add(paths: &Paths, account: &Account, entry: &str) -> Result<(), DatabaseError> {
    let mut child = slapd(paths, account, "add")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| DatabaseError::Start { program: paths.slapd.clone(), source })?;
    // slapd may end before it has read the entry: its words and its status say why, the broken pipe does not.
    let fed = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(entry.as_bytes()));
    let words = words_of(child.stderr.take());
    let status = child.wait().map_err(step(paths, "written"))?;
    match (status.success(), fed) {
        (true, Ok(())) => Ok(()),
        (true, Err(source)) => Err(step(paths, "written")(source)),
        (false, _) => Err(failed(paths, "write", status, words)),
    }
}

/// slapd as one of its tools, as the user that the server will be.
fn slapd(paths: &Paths, account: &Account, tool: &str) -> Command {
    let mut command = Command::new(&paths.slapd);
    command.args(["-T", tool, "-f"]).arg(paths.conf()).env_clear().current_dir("/");
    if account.switch {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

fn words_of(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What is beyond the limit is read as well, so that slapd is not held up.
        let read = pipe
            .by_ref()
            .take(WORDS)
            .read_to_end(&mut bytes)
            .and_then(|_| io::copy(&mut pipe, &mut io::sink()));
        if let Err(e) = read {
            bytes.extend(format!("\n(the rest of its words is lost: {e})").bytes());
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    lines.join("; ")
}

fn failed(paths: &Paths, step: &'static str, status: ExitStatus, words: String) -> DatabaseError {
    let words = match words.is_empty() {
        true => "it gave no reason".to_owned(),
        false => words,
    };
    DatabaseError::Slapd {
        path: paths.data.clone(),
        step,
        status: status.to_string(),
        words: words + &room(&paths.data),
    }
}

/// Says so when the disk is full or read-only, which slapd's own words do not always make clear.
fn room(path: &Path) -> String {
    use nix::sys::statvfs::{FsFlags, statvfs};
    match statvfs(path) {
        Ok(disk) if disk.flags().contains(FsFlags::ST_RDONLY) => "; the disk is mounted read-only".to_owned(),
        Ok(disk) if disk.blocks_available() == 0 => "; the disk is full".to_owned(),
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;
    use std::os::unix::fs::MetadataExt;

    /// A stand-in for slapd that keeps its entries as text, and whether it is asked as it should be.
    const FAKE: &str = r#"#!/bin/sh
data="$(sed -n 's/^directory //p' "$4")/data.mdb"
[ "$1 $3" = "-T -f" ] || { echo "asked wrongly: $*" >&2; exit 9; }
case $2 in
cat) cat "$data" ;;
add) cat >> "$data" ;;
esac
"#;

    struct World {
        directory: tempfile::TempDir,
        paths: Paths,
        account: Account,
    }

    fn world(program: &str) -> World {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let paths = Paths {
            slapd: root.join("slapd"),
            run: root.join("run"),
            data: root.join("lib/openldap/data"),
            ..Paths::default()
        };
        fs::write(&paths.slapd, program).unwrap();
        fs::set_permissions(&paths.slapd, Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(&paths.run).unwrap();
        fs::write(paths.conf(), format!("directory {}\n", paths.data.display())).unwrap();
        World { directory, paths, account: Account { uid: 1, gid: 1, switch: false } }
    }

    fn asking(suffix: &str) -> Settings {
        settings::read(&|name| (name == "SUFFIX").then(|| suffix.into())).unwrap()
    }

    fn start(world: &World, suffix: &str) -> Result<(), DatabaseError> {
        prepare(&world.paths, &world.account, &asking(suffix)).map(drop)
    }

    fn data(world: &World) -> String {
        fs::read_to_string(world.paths.data.join("data.mdb")).unwrap()
    }

    #[test]
    fn a_new_database_gets_its_base_entry_once() {
        let world = world(FAKE);
        start(&world, "dc=example,dc=org").unwrap();
        let first = data(&world);
        assert!(first.starts_with("dn: dc=example,dc=org\n"), "{first}");
        assert_eq!(world.paths.data.metadata().unwrap().mode() & 0o777, 0o700);
        start(&world, "dc=Example, dc=ORG").unwrap();
        assert_eq!(data(&world), first);
        assert!(world.directory.path().exists());
    }

    #[test]
    fn a_database_that_a_power_cut_left_empty_gets_its_base_entry_at_the_next_start() {
        let world = world(FAKE);
        fs::create_dir_all(&world.paths.data).unwrap();
        fs::write(world.paths.data.join("data.mdb"), "").unwrap();
        start(&world, "o=x").unwrap();
        assert!(data(&world).starts_with("dn: o=x\n"));
    }

    #[test]
    fn a_database_of_another_suffix_is_left_as_it_is_and_both_are_named() {
        let world = world(FAKE);
        start(&world, "dc=old,dc=org").unwrap();
        let before = data(&world);
        let message = start(&world, "dc=new,dc=org").unwrap_err().to_string();
        for part in ["dc=old,dc=org", "dc=new,dc=org", "openldap/data", "set SUFFIX back"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(data(&world), before);
    }

    #[test]
    fn what_slapd_says_is_in_the_message_with_the_directory() {
        let world = world("#!/bin/sh\necho 'mdb: No space left on device (28)' >&2\nexit 1\n");
        let message = start(&world, "o=x").unwrap_err().to_string();
        for part in ["No space left", "openldap/data", "exit status: 1"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        fs::write(world.paths.data.join("data.mdb"), "").unwrap();
        let message = start(&world, "o=x").unwrap_err().to_string();
        assert!(message.contains("cannot read the database"), "{message}");
        fs::remove_file(&world.paths.slapd).unwrap();
        let message = start(&world, "o=x").unwrap_err().to_string();
        assert!(message.contains("cannot be started"), "{message}");
    }

    #[test]
    fn two_servers_never_share_a_database() {
        let world = world(FAKE);
        let lock = prepare(&world.paths, &world.account, &asking("o=x")).unwrap();
        assert!(matches!(start(&world, "o=x"), Err(DatabaseError::InUse(_))));
        drop(lock);
        start(&world, "o=x").unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let mut world = world(FAKE);
        let file = world.directory.path().join("file");
        fs::write(&file, "").unwrap();
        world.paths.data = file.join("data");
        let message = start(&world, "o=x").unwrap_err().to_string();
        assert!(message.contains("file/data") && message.contains("made"), "{message}");
    }

    #[test]
    fn the_decision_follows_the_first_entry() {
        let asked = Dn::parse("dc=example,dc=org").unwrap();
        assert_eq!(plan(None, &asked), Plan::Begin);
        assert_eq!(plan(Some("DC=example,DC=org"), &asked), Plan::Keep);
        assert_eq!(plan(Some("dc=org"), &asked), Plan::Refuse("dc=org".into()));
        assert_eq!(plan(Some("not a name"), &asked), Plan::Refuse("not a name".into()));
    }
}
