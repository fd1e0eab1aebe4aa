//! The control socket: one request a connection, one line each way.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::console;
use super::registry::Registry;
use crate::service::protocol::{Answer, REQUEST_LIMIT, Request, SOCKET};

/// Connections that are served at the same time.
const AT_ONCE: usize = 16;
/// How long a client may take to send its request and to read its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause after the system refused a connection, for want of file descriptors or memory.
const REFUSED_PAUSE: Duration = Duration::from_millis(200);

/// Serves for as long as the supervisor runs.
pub async fn serve(registry: Rc<Registry>) {
    let listener = match listen() {
        Ok(listener) => listener,
        Err(error) => {
            console::say(&format!("supervisor: cannot listen on {SOCKET}: {error}; `service` will not work"));
            return;
        }
    };
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // Never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = Rc::clone(&registry);
                tokio::task::spawn_local(async move {
                    // A client that goes away has no use for its answer.
                    drop(converse(stream, &registry).await);
                    drop(slot);
                });
            }
            Err(_) => tokio::time::sleep(REFUSED_PAUSE).await,
        }
    }
}

fn listen() -> std::io::Result<UnixListener> {
    let path = Path::new(SOCKET);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
        // Before there is a socket, so that nobody else can ever connect.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(stream: UnixStream, registry: &Registry) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(REQUEST_LIMIT));
    tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    let answer = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => registry.answer(request).await,
        Err(error) => Answer::Error { message: format!("the request was not understood: {error}") },
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, writer.write_all(&line)).await?
}
