//! A tar as text, a line an entry.

use std::io::Read;

use sha2::{Digest, Sha256};
use tar::EntryType;

/// `KIND MODE UID/GID MTIME NAME [-> TARGET | SIZE DIGEST] SOURCE LOCATION`, in the order of the archive.
pub fn listing(archive: &[u8]) -> String {
    let mut archive = tar::Archive::new(archive);
    let mut lines = String::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut record = |key: &str| {
            let records = entry.pax_extensions().unwrap().into_iter().flatten().map(Result::unwrap);
            let mut found = records.filter(|record| record.key() == Ok(key));
            found.next().map_or("-".to_owned(), |record| match record.value().unwrap() {
                "" => "\"\"".to_owned(),
                value => value.to_owned(),
            })
        };
        let (source, location) = (record("LINUXKIT.source"), record("LINUXKIT.location"));
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let link = || entry.link_name().unwrap().unwrap().display().to_string();
        let (kind, what) = match header.entry_type() {
            EntryType::Directory => ('d', String::new()),
            EntryType::Symlink => ('l', format!(" -> {}", link())),
            EntryType::Link => ('h', format!(" -> {}", link())),
            EntryType::Char => ('c', String::new()),
            EntryType::Regular => {
                let digest: String =
                    Sha256::digest(&content)[..4].iter().map(|b| format!("{b:02x}")).collect();
                ('-', format!(" {} {digest}", content.len()))
            }
            other => panic!("{other:?}"),
        };
        let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
        let (mtime, name) = (header.mtime().unwrap(), entry.path().unwrap().display().to_string());
        lines += &format!("{kind} {mode:04o} {uid}/{gid} {mtime} {name}{what} {source} {location}\n");
    }
    lines
}

/// The content of the last entry of this name.
pub fn content(archive: &[u8], name: &str) -> String {
    let mut archive = tar::Archive::new(archive);
    let mut found = None;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.path().unwrap().to_str() == Some(name) {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found = Some(text);
        }
    }
    found.unwrap_or_else(|| panic!("there is no {name}"))
}
