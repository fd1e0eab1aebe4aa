//! containerd over gRPC.

use std::future::Future;
use std::time::Duration;

use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::version_client::VersionClient;
use containerd_client::services::v1::{
    Container as Record, CreateContainerRequest, CreateTaskRequest, DeleteContainerRequest,
    DeleteTaskRequest, GetRequest, KillRequest, StartRequest, WaitRequest,
};
use containerd_client::types::v1::Status as TaskStatus;
use prost_types::Any;
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::{Container, Engine, EngineError, Exit, TaskId, TaskState, leftovers};
use crate::runtime::{chain, read_spec_value};

/// Where containerd listens.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// The shim that runs the containers.
const RUNTIME: &str = "io.containerd.runc.v2";
/// What containerd's clients call an OCI runtime configuration.
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// How long containerd may take for an answer; creating a task on a slow machine takes the longest.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a killed task may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const SIGKILL: u32 = 9;

/// The connection to a containerd that answers, when there is one; renewed with every containerd.
pub type Connection = Option<Channel>;

/// The engine that is containerd.
#[derive(Debug, Clone)]
pub struct Containerd {
    connection: watch::Receiver<Connection>,
}

/// Connects to the socket and asks for containerd's version, which it tells when it serves.
pub async fn connect() -> Result<Channel, EngineError> {
    let channel = containerd_client::connect(SOCKET).await.map_err(|_| EngineError::NotReady)?;
    let version = VersionClient::new(channel.clone());
    call("ask for containerd's version", Request::new(()), |request| {
        let mut version = version;
        async move { version.version(request).await }
    })
    .await?;
    Ok(channel)
}

impl Containerd {
    /// An engine that uses whatever connection there is at the time.
    #[must_use]
    pub fn new(connection: watch::Receiver<Connection>) -> Self {
        Self { connection }
    }

    fn channel(&self) -> Result<Channel, EngineError> {
        self.connection.borrow().clone().ok_or(EngineError::NotReady)
    }

    fn tasks(&self) -> Result<TasksClient<Channel>, EngineError> {
        self.channel().map(TasksClient::new)
    }

    fn containers(&self) -> Result<ContainersClient<Channel>, EngineError> {
        self.channel().map(ContainersClient::new)
    }

    async fn create_container(&self, container: &Container) -> Result<(), EngineError> {
        let mut client = self.containers()?;
        let record = Record {
            id: container.task.id.clone(),
            runtime: Some(Runtime { name: RUNTIME.to_owned(), options: None }),
            spec: Some(spec(container)?),
            ..Record::default()
        };
        let message = CreateContainerRequest { container: Some(record) };
        call("create the container", request(&container.task, message)?, |request| async move {
            client.create(request).await
        })
        .await
        .map(drop)
    }

    async fn create_task(&self, container: &Container) -> Result<u32, EngineError> {
        let mut client = self.tasks()?;
        let message = CreateTaskRequest {
            container_id: container.task.id.clone(),
            stdout: format!("file://{}", container.stdout.display()),
            stderr: format!("file://{}", container.stderr.display()),
            ..CreateTaskRequest::default()
        };
        call("create the task", request(&container.task, message)?, |request| async move {
            client.create(request).await
        })
        .await
        .map(|response| response.into_inner().pid)
    }

    /// Kills and deletes a task in whatever state it is.
    async fn force_delete_task(&self, task: &TaskId) -> Result<(), EngineError> {
        match self.inspect(task).await? {
            TaskState::Absent => return Ok(()),
            TaskState::Stopped(_) => {}
            TaskState::Created | TaskState::Running(_) => {
                self.signal(task, SIGKILL, true).await?;
                let limit = KILL_LIMIT;
                tokio::time::timeout(limit, self.wait(task))
                    .await
                    .map_err(|_| EngineError::Timeout { action: "kill the task", limit })??;
            }
        }
        self.delete_task(task).await
    }
}

impl Engine for Containerd {
    async fn ready(&self) -> Result<(), EngineError> {
        let mut connection = self.connection.clone();
        connection.wait_for(Option::is_some).await.map(drop).map_err(|_| EngineError::NotReady)
    }

    async fn inspect(&self, task: &TaskId) -> Result<TaskState, EngineError> {
        let mut client = self.tasks()?;
        let message = GetRequest { container_id: task.id.clone(), exec_id: String::new() };
        let answer =
            call(
                "look for the task",
                request(task, message)?,
                |request| async move { client.get(request).await },
            );
        let process = match absent_is_none(answer.await)? {
            None => return Ok(TaskState::Absent),
            Some(response) => response.into_inner().process.unwrap_or_default(),
        };
        Ok(match process.status() {
            TaskStatus::Created => TaskState::Created,
            TaskStatus::Stopped => TaskState::Stopped(Exit::from_status(process.exit_status)),
            _ => TaskState::Running(process.pid),
        })
    }

    async fn create(&self, container: &Container) -> Result<u32, EngineError> {
        match self.create_container(container).await {
            Ok(()) => {}
            Err(EngineError::Refused { lost: false, .. }) => {
                // Most likely it is there already, in a state nobody vouches for.
                self.remove(&container.task).await?;
                self.create_container(container).await?;
            }
            Err(error) => return Err(error),
        }
        match self.create_task(container).await {
            Err(EngineError::Refused { lost: false, message, .. }) if message.contains("already exists") => {
                self.force_delete_task(&container.task).await?;
                self.create_task(container).await
            }
            Err(EngineError::Refused { lost: false, message, .. }) if message.contains("file exists") => {
                leftovers::remove(&container.task).await.map_err(|error| {
                    EngineError::Bundle(format!("cannot remove what is left of a former task: {error}"))
                })?;
                self.create_task(container).await
            }
            other => other,
        }
    }

    async fn start(&self, task: &TaskId) -> Result<(), EngineError> {
        let mut client = self.tasks()?;
        let message = StartRequest { container_id: task.id.clone(), exec_id: String::new() };
        call("start the task", request(task, message)?, |request| async move { client.start(request).await })
            .await
            .map(drop)
    }

    async fn wait(&self, task: &TaskId) -> Result<Exit, EngineError> {
        let mut client = self.tasks()?;
        let message = WaitRequest { container_id: task.id.clone(), exec_id: String::new() };
        let response = client
            .wait(request(task, message)?)
            .await
            .map_err(|status| refused("wait for the task", &status))?;
        Ok(Exit::from_status(response.into_inner().exit_status))
    }

    async fn signal(&self, task: &TaskId, signal: u32, all: bool) -> Result<(), EngineError> {
        let mut client = self.tasks()?;
        let message = KillRequest { container_id: task.id.clone(), exec_id: String::new(), signal, all };
        let answer =
            call(
                "signal the task",
                request(task, message)?,
                |request| async move { client.kill(request).await },
            );
        absent_is_none(answer.await).map(drop)
    }

    async fn delete_task(&self, task: &TaskId) -> Result<(), EngineError> {
        let mut client = self.tasks()?;
        let message = DeleteTaskRequest { container_id: task.id.clone() };
        let answer = call("delete the task", request(task, message)?, |request| async move {
            client.delete(request).await
        });
        absent_is_none(answer.await).map(drop)
    }

    async fn remove(&self, task: &TaskId) -> Result<(), EngineError> {
        self.force_delete_task(task).await?;
        let mut client = self.containers()?;
        let message = DeleteContainerRequest { id: task.id.clone() };
        let answer = call("delete the container", request(task, message)?, |request| async move {
            client.delete(request).await
        });
        absent_is_none(answer.await).map(drop)
    }
}

/// One bounded call.
async fn call<M, T, F>(
    action: &'static str,
    request: Request<M>,
    send: impl FnOnce(Request<M>) -> F,
) -> Result<Response<T>, EngineError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    match tokio::time::timeout(CALL_LIMIT, send(request)).await {
        Err(_) => Err(EngineError::Timeout { action, limit: CALL_LIMIT }),
        Ok(answer) => answer.map_err(|status| refused(action, &status)),
    }
}

fn request<M>(task: &TaskId, message: M) -> Result<Request<M>, EngineError> {
    let namespace: MetadataValue<Ascii> = task.namespace.parse().map_err(|_| {
        EngineError::Bundle(format!("containerd namespace {:?} is not a word", task.namespace))
    })?;
    let mut request = Request::new(message);
    request.metadata_mut().insert("containerd-namespace", namespace);
    Ok(request)
}

fn refused(action: &'static str, status: &Status) -> EngineError {
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

fn absent_is_none<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Err(EngineError::Refused { message, .. }) if message == NOT_FOUND => Ok(None),
        other => other.map(Some),
    }
}

/// `config.json` with an absolute root, as containerd's clients wrap it.
fn spec(container: &Container) -> Result<Any, EngineError> {
    let spec = read_spec_value(&container.bundle).map_err(|error| EngineError::Bundle(chain(&error)))?;
    let value = serde_json::to_vec(&spec).map_err(|error| EngineError::Bundle(error.to_string()))?;
    Ok(Any { type_url: SPEC_TYPE.to_owned(), value })
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

    #[test]
    fn the_spec_that_containerd_gets_has_an_absolute_root() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("config.json"),
            r#"{"ociVersion":"1.2.1","root":{"path":"rootfs"},"process":{"args":["/a"],"cwd":"/"}}"#,
        )
        .unwrap();
        let container = Container {
            task: TaskId { namespace: "n".into(), id: "a".into() },
            bundle: dir.path().to_owned(),
            stdout: "/o".into(),
            stderr: "/e".into(),
        };
        let any = spec(&container).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&any.value).unwrap();
        assert_eq!(json["root"]["path"], dir.path().join("rootfs").to_str().unwrap());
        assert_eq!(any.type_url, SPEC_TYPE);
    }
}
