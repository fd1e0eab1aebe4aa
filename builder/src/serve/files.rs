//! A path → a file beneath the directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Most names that a list has.
const MAX_NAMES: usize = 10_000;

/// A directory whose files are served. It is the one that it was, wherever it is moved.
#[derive(Debug)]
pub struct Files {
    root: OwnedFd,
}

/// What a path stands for.
#[derive(Debug)]
pub enum Found {
    /// A file.
    File {
        /// The file.
        file: File,
        /// Its length in bytes.
        len: u64,
        /// Its media type.
        kind: &'static str,
    },
    /// A directory, as a page.
    List(String),
    /// Another path.
    Elsewhere(String),
}

impl Files {
    /// Those of this directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = File::open(path)?;
        match root.metadata()?.is_dir() {
            true => Ok(Self { root: root.into() }),
            false => Err(io::Error::other("it is no directory")),
        }
    }

    /// What is at this path, which starts with `/`. The kernel looks that no `..` and no link leads out of the directory
    /// (`RESOLVE_BENEATH`, openat2(2)).
    pub fn find(&self, path: &[u8]) -> io::Result<Found> {
        let below = path.iter().position(|byte| *byte != b'/').map_or(&b"."[..], |start| &path[start..]);
        let file = self.open_below(below)?;
        let metadata = file.metadata()?;
        if metadata.is_file() {
            return Ok(Found::File { file, len: metadata.len(), kind: kind(below) });
        }
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !path.ends_with(b"/") {
            return Ok(Found::Elsewhere(format!("/{}/", encoded(below))));
        }
        let index = [below, b"/index.html"].concat();
        if let Ok(file) = self.open_below(&index) {
            let metadata = file.metadata()?;
            if metadata.is_file() {
                return Ok(Found::File { file, len: metadata.len(), kind: kind(&index) });
            }
        }
        list(file).map(Found::List)
    }

    fn open_below(&self, path: &[u8]) -> io::Result<File> {
        // A pipe without a writer is not waited for.
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        Ok(openat2(self.root.as_fd(), OsStr::from_bytes(path), how).map(File::from)?)
    }
}

fn list(directory: File) -> io::Result<String> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(directory.into())?.into_iter().take(MAX_NAMES) {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            let slash = if entry.file_type() == Some(nix::dir::Type::Directory) { "/" } else { "" };
            names.push((name.to_owned(), slash));
        }
    }
    names.sort();
    let mut page = String::from("<!doctype html>\n<pre>\n");
    for (name, slash) in names {
        let shown = String::from_utf8_lossy(&name);
        let shown = shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        page += &format!("<a href=\"./{}{slash}\">{shown}{slash}</a>\n", encoded(&name));
    }
    Ok(page + "</pre>\n")
}

/// As part of an address (RFC 3986, section 2.3).
fn encoded(path: &[u8]) -> String {
    let mut encoded = String::new();
    for byte in path {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) => encoded.push((*byte).into()),
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

fn kind(path: &[u8]) -> &'static str {
    let extension = path.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    match extension {
        b"html" => "text/html; charset=utf-8",
        b"txt" | b"ipxe" | b"yml" | b"yaml" => "text/plain; charset=utf-8",
        b"json" => "application/json",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    fn told(files: &Files, path: &str) -> String {
        match files.find(path.as_bytes()) {
            Ok(Found::File { mut file, .. }) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            Ok(Found::List(page)) => page,
            Ok(Found::Elsewhere(location)) => format!("→ {location}"),
            Err(_) => "nothing".into(),
        }
    }

    #[test]
    fn only_what_is_beneath_the_directory_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a b/c")).unwrap();
        fs::create_dir_all(root.join("site")).unwrap();
        for (path, text) in
            [("f", "file"), ("a b/<g>", "deep"), ("site/index.html", "index"), ("../secret", "secret")]
        {
            fs::write(root.join(path), text).unwrap();
        }
        for (target, link) in [("../secret", "out"), ("/etc/passwd", "abs"), ("f", "in")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        nix::unistd::mkfifo(&root.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let files = Files::open(&root).unwrap();
        for (path, expected) in [
            ("/f", "file"),
            ("//f", "file"),
            ("/in", "file"),
            ("/a b/../f", "file"),
            ("/a b/<g>", "deep"),
            ("/site/", "index"),
            ("/a b", "→ /a%20b/"),
            ("/../secret", "nothing"),
            ("/a b/../../secret", "nothing"),
            ("/out", "nothing"),
            ("/abs", "nothing"),
            ("/pipe", "nothing"),
            ("/f/", "nothing"),
            ("/none", "nothing"),
        ] {
            assert_eq!(told(&files, path), expected, "{path}");
        }
        let list = told(&files, "/a b/");
        assert!(list.contains("<a href=\"./%3Cg%3E\">&lt;g&gt;</a>\n<a href=\"./c/\">c/</a>"), "{list}");
        assert!(told(&files, "/").contains("\"./site/\""));
    }
}
