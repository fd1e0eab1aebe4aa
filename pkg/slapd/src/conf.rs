//! The server's configuration, slapd.conf(5).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::dn::Dn;
use crate::paths::Paths;

/// The schemas that are loaded, in the order that they need each other.
const SCHEMAS: [&str; 4] = ["core", "cosine", "nis", "inetorgperson"];
/// The largest that the database may grow, in bytes. It is address space, not memory or disk, until it is
/// used.
const MAX_SIZE: u64 = 1 << 30;

/// Why the configuration was not written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot be {step}: {source}")]
pub struct ConfError {
    path: PathBuf,
    step: &'static str,
    source: io::Error,
}

/// The configuration for the database with `suffix`, whose root has the password with this `hash`.
pub fn render(paths: &Paths, suffix: &Dn, hash: &str) -> String {
    let mut text = String::from("# Written by slapd-start at every start.\n");
    let mut put = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    for schema in SCHEMAS {
        put(format!("include {}", quote_path(&paths.schemas.join(format!("{schema}.schema")))));
    }
    put(format!("pidfile {}", quote_path(&paths.run.join("slapd.pid"))));
    put(format!("argsfile {}", quote_path(&paths.run.join("slapd.args"))));
    if paths.modules.join("back_mdb.so").exists() {
        put(format!("modulepath {}", quote_path(&paths.modules)));
        put("moduleload back_mdb".to_owned());
    }
    let root = "dn.exact=\"gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth\"";
    // For a small machine: slapd's own default is 16 threads, and searches without an end.
    for line in ["threads 4", "sizelimit 500", "timelimit 60", ""] {
        put(line.to_owned());
    }
    put("database mdb".to_owned());
    put(format!("maxsize {MAX_SIZE}"));
    put(format!("suffix {}", quote(&suffix.to_string())));
    put(format!("rootdn {}", quote(&format!("cn=admin,{suffix}"))));
    put(format!("rootpw {}", quote(hash)));
    put(format!("directory {}", quote_path(&paths.data)));
    for line in
        ["index objectClass eq", "index cn,sn,uid,mail,member,memberUid eq", "index entryUUID,entryCSN eq"]
    {
        put(line.to_owned());
    }
    // Without a name nobody writes (`allow update_anon` is not given), and with one only those who are named
    // here: root on this machine, through the local socket, and everybody their own password.
    put(format!("access to attrs=userPassword by {root} manage by self write by anonymous auth by * none"));
    put(format!("access to * by {root} manage by * read"));
    text
}

/// One argument, so that it stays one whatever is in it: slapd takes a backslash before any character.
fn quote(argument: &str) -> String {
    let escaped: String = argument
        .chars()
        .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
        .collect();
    format!("\"{escaped}\"")
}

fn quote_path(path: &Path) -> String {
    quote(&path.to_string_lossy())
}

/// Writes the configuration whole or not at all, readable for the server alone: it has the hash in it.
pub fn write(paths: &Paths, account: &Account, text: &str) -> Result<(), ConfError> {
    let failed = |path: &Path, step| {
        let path = path.to_owned();
        move |source| ConfError { path, step, source }
    };
    fs::create_dir_all(&paths.run).map_err(failed(&paths.run, "made"))?;
    // slapd makes its pid file and its socket here after it has become the other user.
    fs::set_permissions(&paths.run, Permissions::from_mode(0o755))
        .map_err(failed(&paths.run, "given its mode"))?;
    let directory = File::open(&paths.run).map_err(failed(&paths.run, "opened"))?;
    own(&directory, account).map_err(failed(&paths.run, "given to openldap"))?;

    let path = paths.conf();
    let new = path.with_extension("conf.new");
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&new, "removed")(e)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(failed(&new, "made"))?;
    own(&file, account).map_err(failed(&new, "given to openldap"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed(&new, "written"))?;
    fs::rename(&new, &path).map_err(failed(&path, "replaced"))
}

/// Gives a file to the server's user, if this process may.
pub(crate) fn own(file: &File, account: &Account) -> io::Result<()> {
    match account.switch {
        true => fchown(file, Some(account.uid), Some(account.gid)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::MetadataExt;

    fn rendered(suffix: &str) -> String {
        render(&Paths::default(), &Dn::parse(suffix).unwrap(), "{CRYPT}$6$salt$hash")
    }

    /// What slapd makes of a line (servers/slapd/config.c, strtok_quote): quotes group, a backslash takes the
    /// next as it is.
    fn arguments(line: &str) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let (mut quoted, mut fresh) = (false, true);
        let mut characters = line.chars();
        while let Some(c) = characters.next() {
            let plain = match c {
                '"' => {
                    quoted = !quoted;
                    None
                }
                '\\' => characters.next(),
                ' ' | '\t' if !quoted => {
                    fresh = true;
                    continue;
                }
                c => Some(c),
            };
            if std::mem::take(&mut fresh) {
                all.push(String::new());
            }
            all.last_mut().unwrap().extend(plain);
        }
        all
    }

    #[test]
    fn the_database_has_the_suffix_its_admin_and_the_hash() {
        let text = rendered("dc=example,dc=org");
        for line in [
            "suffix \"dc=example,dc=org\"",
            "rootdn \"cn=admin,dc=example,dc=org\"",
            "rootpw \"{CRYPT}$6$salt$hash\"",
            "directory \"/var/lib/openldap/openldap-data\"",
            "include \"/etc/ldap/schema/inetorgperson.schema\"",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("moduleload"), "the module is loaded only where it is there");
    }

    #[test]
    fn the_module_is_loaded_where_it_is_there() {
        let modules = tempfile::tempdir().unwrap();
        std::fs::write(modules.path().join("back_mdb.so"), "").unwrap();
        let paths = Paths { modules: modules.path().to_owned(), ..Paths::default() };
        let text = render(&paths, &Dn::parse("o=x").unwrap(), "h");
        assert!(text.contains("moduleload back_mdb\n"), "{text}");
    }

    proptest! {
        #[test]
        fn a_suffix_is_one_argument_of_one_line_whatever_is_in_it(value in "[^\\p{C}\\u{2028}\\u{2029}]{1,30}") {
            let escaped: String = value.bytes().map(|b| format!("\\{b:02x}")).collect();
            let suffix = format!("o={escaped}");
            let text = rendered(&suffix);
            prop_assert_eq!(text.lines().count(), rendered("o=x").lines().count());
            let line = text.lines().find(|l| l.starts_with("suffix ")).unwrap();
            prop_assert_eq!(arguments(line), vec!["suffix".to_owned(), Dn::parse(&suffix).unwrap().to_string()]);
        }
    }

    #[test]
    fn the_file_is_for_the_server_alone_and_replaces_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let paths = Paths { run: directory.path().join("run/slapd"), ..Paths::default() };
        let account = Account { uid: 1234, gid: 1235, switch: nix::unistd::geteuid().is_root() };
        for text in ["one\n", "two\n"] {
            write(&paths, &account, text).unwrap();
            assert_eq!(std::fs::read_to_string(paths.conf()).unwrap(), text);
            let metadata = paths.conf().metadata().unwrap();
            assert_eq!(metadata.mode() & 0o777, 0o600);
            if account.switch {
                assert_eq!((metadata.uid(), metadata.gid()), (1234, 1235));
            }
        }
        assert_eq!(std::fs::read_dir(&paths.run).unwrap().count(), 1, "nothing is left beside it");
    }
}
