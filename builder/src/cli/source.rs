//! The files that configurations are read from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::Source;
use crate::image::registry::{TextError, open_text};

/// The largest configuration that is read, in bytes; the parser has a tighter limit of its own.
const MAX: u64 = 16 << 20;

/// A file that cannot be read as a text.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name}: {fault}")]
pub struct SourceError {
    /// As the command line names it.
    pub name: String,
    /// Why.
    #[source]
    pub fault: Fault,
}

/// Why a file cannot be read as a text.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A web server does not give it.
    #[error(transparent)]
    Web(#[from] TextError),
    /// There are files in it.
    #[error("it is a directory; name a configuration in it")]
    Directory,
    /// It is far larger than anything that people write.
    #[error("it has more than {} MiB, which no configuration has", MAX >> 20)]
    Large,
    /// An image or an archive, or a text in another encoding.
    #[error(
        "no YAML in UTF-8 has the byte 0x{byte:02x} of line {line}, column {column}; is it a configuration?"
    )]
    NotText {
        /// Line of the byte, counted from 1.
        line: u32,
        /// Column of the byte in characters, counted from 1.
        column: u32,
        /// The byte.
        byte: u8,
    },
}

/// Reads all of them; `-` is standard input, and what has the form of a URL is brought from there.
///
/// `certificates` are files of certificates that are trusted beside the system's when a URL is read.
pub fn read_all(files: &[PathBuf], certificates: &[PathBuf]) -> Result<Vec<Source>, SourceError> {
    files.iter().map(|file| read(file, certificates)).collect()
}

/// Whether it is the address of a configuration on a web server.
pub fn is_url(file: &Path) -> bool {
    let file = file.to_string_lossy();
    ["http://", "https://"]
        .iter()
        .any(|scheme| file.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// Reads one; `-` is standard input.
pub fn read(file: &Path, certificates: &[PathBuf]) -> Result<Source, SourceError> {
    if is_url(file) {
        let url = file.to_string_lossy();
        // What follows may be a signature that opens it.
        let name = without_secrets(&url);
        return match open_text(&url, certificates).map_err(Fault::from).and_then(text) {
            Ok(text) => Ok(Source { name, text, dir: None }),
            Err(fault) => Err(SourceError { name, fault }),
        };
    }
    let name = file.display().to_string();
    let standard_input = file == Path::new("-");
    let text = if standard_input { text(io::stdin()) } else { open(file).and_then(text) };
    let dir = (!standard_input).then(|| {
        file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
    });
    match text {
        Ok(text) => Ok(Source { name, text, dir }),
        Err(fault) => Err(SourceError { name, fault }),
    }
}

/// A URL without user name, password and query.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

fn open(file: &Path) -> Result<File, Fault> {
    let file = File::open(file)?;
    if file.metadata()?.is_dir() { Err(Fault::Directory) } else { Ok(file) }
}

fn text(from: impl Read) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    from.take(MAX + 1).read_to_end(&mut bytes)?;
    // The first bytes of a large image say more about it than its size does.
    let utf8 = match std::str::from_utf8(&bytes) {
        Ok(_) => bytes.len(),
        Err(error) => error.valid_up_to(),
    };
    // YAML 1.2.2, "Character Set": of the control characters of ASCII, only these.
    let control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    let valid = bytes[..utf8].iter().position(control).unwrap_or(utf8);
    if bytes.len() as u64 > MAX && valid as u64 >= MAX - 4 {
        return Err(Fault::Large);
    }
    if let Some(byte) = bytes.get(valid).copied() {
        let before = String::from_utf8_lossy(&bytes[..valid]);
        let last = before.rsplit('\n').next().unwrap_or_default();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (line, column) = (before.matches('\n').count() + 1, last.chars().count() + 1);
        return Err(Fault::NotText { line: number(line), column: number(column), byte });
    }
    // All of it was found to be UTF-8 above.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_with_its_first_wrong_byte() {
        for (bytes, said) in [
            (&b"\x7fELF\x02\0"[..], "no YAML in UTF-8 has the byte 0x02 of line 1, column 5;"),
            (b"a: b\n\xc3\xa9: \xe9\n", "no YAML in UTF-8 has the byte 0xe9 of line 2, column 4;"),
            (b"\xff\xfea\0", "no YAML in UTF-8 has the byte 0xff of line 1, column 1;"),
            (b"a\0\xff", "no YAML in UTF-8 has the byte 0x00 of line 1, column 2;"),
            (b"a: \x1b[31m", "no YAML in UTF-8 has the byte 0x1b of line 1, column 4;"),
        ] {
            let error = text(bytes).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        assert_eq!(text(&b"\xc3\xa9:\t1\r\n"[..]).unwrap(), "é:\t1\r\n");
    }

    #[test]
    fn a_file_without_end_is_not_read_to_its_end() {
        let error = text(io::repeat(b'x')).unwrap_err();
        assert!(error.to_string().contains("more than 16 MiB"), "{error}");
    }

    #[test]
    fn a_directory_is_called_one() {
        let error = read(Path::new("/"), &[]).unwrap_err().to_string();
        assert_eq!(error, "cannot read /: it is a directory; name a configuration in it");
    }

    #[test]
    fn a_url_is_shown_without_what_may_open_it() {
        for (url, shown) in [
            ("https://a.example/x/m.yml?token=1#2", "https://a.example/x/m.yml"),
            ("https://u:word@a.example/m.yml", "https://a.example/m.yml"),
            ("http://a.example", "http://a.example"),
        ] {
            assert!(is_url(Path::new(url)));
            assert_eq!(without_secrets(url), shown);
        }
        for file in ["m.yml", "./https:/x", "ftp://a", "-", "http"] {
            assert!(!is_url(Path::new(file)), "{file}");
        }
    }
}
