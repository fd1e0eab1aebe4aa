//! A directory over HTTP/1.1: GET and HEAD of files, one request a connection. For machines that boot from the network.
//!
//! A server library would bring threads, TLS and routes of its own for what are two methods and three answers here.
//! Source: RFC 9112, RFC 9110.
//!
//! | file | duty |
//! |---|---|
//! | `request.rs` | the bytes of a request → what it asks for |
//! | `files.rs` | a path → a file beneath the directory |

mod files;
mod request;

use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use files::{Files, Found};
use request::{Refused, Request};

/// Connections that are answered side by side; others wait.
const MOST: usize = 128;
/// How long the other side may say or take nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Not an address.
    #[error("{0:?} is no address to listen at: write [ADDRESS]:PORT, like :8080")]
    Address(String),
    /// The port cannot be had.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// The directory cannot be opened.
    #[error("cannot serve {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A directory that is served.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    files: Files,
}

impl Server {
    /// Listens at `address` (`[ADDRESS]:PORT`, port 0 for any) for who wants files of `directory`.
    ///
    /// # Errors
    /// When the port cannot be had, or the directory not be opened.
    pub fn open(address: &str, directory: &Path) -> Result<Self, ServeError> {
        let files = Files::open(directory)
            .map_err(|source| ServeError::Directory { path: directory.to_owned(), source })?;
        let (host, port) = address.rsplit_once(':').ok_or_else(|| ServeError::Address(address.to_owned()))?;
        let port: u16 = port.parse().map_err(|_| ServeError::Address(address.to_owned()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let listen = |source| ServeError::Listen { address: address.to_owned(), source };
        let listener = match host {
            // Hosts without IPv6 are left with IPv4.
            "" => TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port))),
            host => TcpListener::bind((host, port)),
        }
        .map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self { listener, address, files })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for ever. `tell` hears of each request in a line.
    pub fn run(&self, tell: &(dyn Fn(&str) + Sync)) {
        let busy = AtomicUsize::new(0);
        thread::scope(|scope| {
            for stream in self.listener.incoming() {
                // A connection that is gone before it is there is nobody's loss.
                let Ok(stream) = stream else { continue };
                if busy.fetch_add(1, Ordering::AcqRel) >= MOST {
                    busy.fetch_sub(1, Ordering::AcqRel);
                    continue;
                }
                let (busy, files) = (&busy, &self.files);
                scope.spawn(move || {
                    if let Ok(line) = answer(&stream, files) {
                        tell(&line);
                    }
                    busy.fetch_sub(1, Ordering::AcqRel);
                });
            }
        });
    }
}

/// Answers one request; says what it was and what became of it.
fn answer(stream: &TcpStream, files: &Files) -> io::Result<String> {
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let mut out = stream;
    let request = match request::read(BufReader::new(stream)) {
        Ok(request) => request,
        Err(Refused::Io(error)) => return Err(error),
        Err(Refused::Status(status, reason)) => {
            refuse(&mut out, status, reason, true)?;
            return Ok(format!("? {status}"));
        }
    };
    let Request { path, head } = &request;
    let shown = path.escape_ascii();
    match files.find(path) {
        Ok(Found::File { mut file, len, kind }) => {
            headers(&mut out, "200 OK", kind, len, "")?;
            if !head {
                io::copy(&mut io::Read::take(&mut file, len), &mut out)?;
            }
            Ok(format!("{shown} 200 {len}"))
        }
        Ok(Found::List(page)) => {
            headers(&mut out, "200 OK", "text/html; charset=utf-8", page.len() as u64, "")?;
            if !head {
                out.write_all(page.as_bytes())?;
            }
            Ok(format!("{shown} 200 {}", page.len()))
        }
        Ok(Found::Elsewhere(location)) => {
            headers(
                &mut out,
                "301 Moved Permanently",
                "text/plain",
                0,
                &format!("Location: {location}\r\n"),
            )?;
            Ok(format!("{shown} 301"))
        }
        Err(error) => {
            let (status, reason) = match error.kind() {
                io::ErrorKind::PermissionDenied => (403, "Forbidden"),
                _ => (404, "Not Found"),
            };
            refuse(&mut out, status, reason, !head)?;
            Ok(format!("{shown} {status}"))
        }
    }
}

fn refuse(out: &mut impl Write, status: u16, reason: &str, body: bool) -> io::Result<()> {
    let text = format!("{status} {reason}\n");
    headers(out, text.trim_end(), "text/plain", text.len() as u64, "")?;
    if body { out.write_all(text.as_bytes()) } else { Ok(()) }
}

fn headers(out: &mut impl Write, status: &str, kind: &str, len: u64, more: &str) -> io::Result<()> {
    write!(
        out,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nX-Content-Type-Options: nosniff\r\n\
         {more}Connection: close\r\n\r\n"
    )
}
