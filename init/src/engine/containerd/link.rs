//! The connection to containerd, and what its answers mean.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use containerd_client::services::v1::version_client::VersionClient;
use tokio::sync::Notify;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::engine::{EngineError, TaskId};

/// Where containerd listens.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// How long containerd may take for an answer; creating a task on a slow machine takes the longest.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long containerd may take to say its version before it is taken for hung.
const LIFE_LIMIT: Duration = Duration::from_secs(10);

/// The connection to a containerd that answers, when there is one; renewed with every containerd.
pub type Connection = Option<Link>;

/// A connection, and the suspicion that nobody is at its other end.
#[derive(Debug, Clone)]
pub struct Link {
    channel: Channel,
    unanswered: Arc<Notify>,
}

impl Link {
    /// Waits for a call to stay without an answer for too long.
    pub async fn unanswered(&self) {
        self.unanswered.notified().await;
    }

    /// Whether containerd still says what it is.
    pub async fn is_alive(&self) -> bool {
        let mut version = VersionClient::new(self.channel.clone());
        tokio::time::timeout(LIFE_LIMIT, version.version(Request::new(()))).await.is_ok()
    }

    /// The connection itself.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// One bounded call.
    pub(super) async fn call<M, T, F>(
        &self,
        action: &'static str,
        request: Request<M>,
        send: impl FnOnce(Request<M>) -> F,
    ) -> Result<Response<T>, EngineError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        match tokio::time::timeout(CALL_LIMIT, send(request)).await {
            Err(_) => {
                self.unanswered.notify_one();
                Err(EngineError::Timeout { action, limit: CALL_LIMIT })
            }
            Ok(answer) => answer.map_err(|status| refused(action, &status)),
        }
    }
}

/// Connects to the socket and asks for containerd's version, which it tells when it serves.
pub async fn connect() -> Result<Link, EngineError> {
    let channel = containerd_client::connect(SOCKET).await.map_err(|_| EngineError::NotReady)?;
    let mut version = VersionClient::new(channel.clone());
    let link = Link { channel, unanswered: Arc::default() };
    link.call("ask for containerd's version", Request::new(()), |request| async move {
        version.version(request).await
    })
    .await?;
    Ok(link)
}

/// A message about a task, with its namespace.
pub(super) fn request<M>(task: &TaskId, message: M) -> Result<Request<M>, EngineError> {
    let namespace: MetadataValue<Ascii> = task.namespace.parse().map_err(|_| {
        EngineError::Bundle(format!("containerd namespace {:?} is not a word", task.namespace))
    })?;
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", namespace);
    Ok(request)
}

/// What a status means for the task.
pub(super) fn refused(action: &'static str, status: &Status) -> EngineError {
    // A broken connection is `Unknown` (h2) or `Unavailable` (connect), or a call cut off.
    let broken = status.code() == Code::Unknown
        && ["transport", "h2 protocol", "connection"].iter().any(|word| status.message().contains(word));
    let lost = broken || matches!(status.code(), Code::Unavailable | Code::Cancelled);
    if status.code() == Code::NotFound {
        return EngineError::Refused { action, message: NOT_FOUND.to_owned(), lost: false };
    }
    let message = if status.message().is_empty() { status.code().description() } else { status.message() };
    EngineError::Refused { action, message: message.to_owned(), lost }
}

const NOT_FOUND: &str = "containerd does not know it";

/// An answer about something that need not be there.
pub(super) fn absent_is_none<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Err(EngineError::Refused { message, .. }) if message == NOT_FOUND => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_connection_says_nothing_about_the_task() {
        let cases = [
            (Status::new(Code::Unknown, "h2 protocol error: error reading a body from connection"), true),
            (Status::new(Code::Unavailable, ""), true),
            (Status::new(Code::Unknown, "runc create failed: no such file"), false),
            (Status::new(Code::AlreadyExists, "container already exists"), false),
            (Status::new(Code::NotFound, "task x not found"), false),
        ];
        for (status, lost) in cases {
            assert_eq!(refused("wait for the task", &status).is_lost(), lost, "{status}");
        }
    }

    #[test]
    fn what_is_not_there_needs_no_removal() {
        let error = refused("delete the task", &Status::new(Code::NotFound, "task x not found"));
        assert!(absent_is_none::<()>(Err(error)).unwrap().is_none());
    }
}
