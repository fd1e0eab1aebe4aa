//! containerd over gRPC.

mod command;
mod leftovers;
mod link;

use std::future::Future;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::{
    Container as Record, CreateContainerRequest, CreateTaskRequest, DeleteContainerRequest,
    DeleteTaskRequest, GetRequest, KillRequest, StartRequest, WaitRequest,
};
use containerd_client::types::v1::Status as TaskStatus;
use prost_types::Any;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Container, Engine, EngineError, Exit, TaskId, TaskState};
use crate::runtime::{chain, read_spec_value};
use crate::sys::SIGKILL;
use link::{absent_is_none, refused, request};

pub use link::{Connection, Link, SOCKET, connect};

/// The shim that runs the containers.
const RUNTIME: &str = "io.containerd.runc.v2";
/// What containerd's clients call an OCI runtime configuration.
const SPEC_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// How long a killed task may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// What containerd says when a shim is gone that it would have asked.
const SHIM_IS_DEAD: &str = "ttrpc: closed";
/// The id of a task's first process among its execs.
const INIT: &str = "";

/// The engine that is containerd.
#[derive(Debug, Clone)]
pub struct Containerd {
    connection: watch::Receiver<Connection>,
}

impl Containerd {
    /// An engine that uses whatever connection there is at the time.
    #[must_use]
    pub fn new(connection: watch::Receiver<Connection>) -> Self {
        Self { connection }
    }

    fn link(&self) -> Result<Link, EngineError> {
        self.connection.borrow().clone().ok_or(EngineError::NotReady)
    }

    /// One bounded call about a task.
    async fn task_call<M, T, F>(
        &self,
        action: &'static str,
        task: &TaskId,
        message: M,
        send: impl FnOnce(TasksClient<Channel>, Request<M>) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let link = self.link()?;
        let client = TasksClient::new(link.channel());
        let answer = link.call(action, request(task, message)?, |request| send(client, request)).await;
        answer.map(Response::into_inner)
    }

    /// One bounded call about a container.
    async fn container_call<M, T, F>(
        &self,
        action: &'static str,
        task: &TaskId,
        message: M,
        send: impl FnOnce(ContainersClient<Channel>, Request<M>) -> F,
    ) -> Result<T, EngineError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let link = self.link()?;
        let client = ContainersClient::new(link.channel());
        let answer = link.call(action, request(task, message)?, |request| send(client, request)).await;
        answer.map(Response::into_inner)
    }

    async fn create_container(&self, container: &Container) -> Result<(), EngineError> {
        let record = Record {
            id: container.task.id.clone(),
            runtime: Some(Runtime { name: RUNTIME.to_owned(), options: None }),
            spec: Some(spec(container)?),
            ..Record::default()
        };
        let message = CreateContainerRequest { container: Some(record) };
        self.container_call(
            "create the container",
            &container.task,
            message,
            |mut client, request| async move { client.create(request).await },
        )
        .await
        .map(drop)
    }

    async fn create_task(&self, container: &Container) -> Result<u32, EngineError> {
        let message = CreateTaskRequest {
            container_id: container.task.id.clone(),
            stdout: log_uri(&container.stdout),
            stderr: log_uri(&container.stderr),
            ..CreateTaskRequest::default()
        };
        self.task_call("create the task", &container.task, message, |mut client, request| async move {
            client.create(request).await
        })
        .await
        .map(|answer| answer.pid)
    }

    async fn start_process(&self, task: &TaskId, exec: &str) -> Result<(), EngineError> {
        let message = StartRequest { container_id: task.id.clone(), exec_id: exec.to_owned() };
        let action = if exec.is_empty() { "start the task" } else { "run a command in the container" };
        self.task_call(
            action,
            task,
            message,
            |mut client, request| async move { client.start(request).await },
        )
        .await
        .map(drop)
    }

    async fn wait_for(&self, task: &TaskId, exec: &str) -> Result<Exit, EngineError> {
        let mut client = TasksClient::new(self.link()?.channel());
        let message = WaitRequest { container_id: task.id.clone(), exec_id: exec.to_owned() };
        let response = client
            .wait(request(task, message)?)
            .await
            .map_err(|status| refused("wait for the task", &status))?;
        Ok(Exit::from_status(response.into_inner().exit_status))
    }

    async fn signal_process(
        &self,
        task: &TaskId,
        exec: &str,
        signal: u32,
        all: bool,
    ) -> Result<(), EngineError> {
        let message = KillRequest { container_id: task.id.clone(), exec_id: exec.to_owned(), signal, all };
        let answer = self
            .task_call("signal the task", task, message, |mut client, request| async move {
                client.kill(request).await
            })
            .await;
        absent_is_none(answer).map(drop)
    }

    /// Kills and deletes a task in whatever state it is.
    ///
    /// A task that containerd does not find may be there for all that: a shim that was left before it made its task, or has
    /// died, is in the way of the next one until it is deleted.
    async fn force_delete_task(&self, task: &TaskId) -> Result<(), EngineError> {
        match self.inspect(task).await? {
            TaskState::Absent | TaskState::Stopped(_) => {}
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
        let message = GetRequest { container_id: task.id.clone(), exec_id: String::new() };
        let answer = self
            .task_call("look for the task", task, message, |mut client, request| async move {
                client.get(request).await
            })
            .await;
        let process = match absent_is_none(answer)? {
            None => return Ok(TaskState::Absent),
            Some(answer) => answer.process.unwrap_or_default(),
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
        self.start_process(task, INIT).await
    }

    async fn wait(&self, task: &TaskId) -> Result<Exit, EngineError> {
        self.wait_for(task, INIT).await
    }

    async fn signal(&self, task: &TaskId, signal: u32, all: bool) -> Result<(), EngineError> {
        self.signal_process(task, INIT, signal, all).await
    }

    async fn exec(&self, task: &TaskId, args: &[String], limit: Duration) -> Result<Exit, EngineError> {
        self.run_command(task, args, limit).await
    }

    async fn delete_task(&self, task: &TaskId) -> Result<(), EngineError> {
        let message = DeleteTaskRequest { container_id: task.id.clone() };
        let answer = self
            .task_call("delete the task", task, message, |mut client, request| async move {
                client.delete(request).await
            })
            .await;
        match absent_is_none(answer) {
            // containerd has let go of the task all the same (core/runtime/v2/shim.go, `delete`).
            Err(EngineError::Refused { message, lost: false, .. }) if message.ends_with(SHIM_IS_DEAD) => {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    async fn remove(&self, task: &TaskId) -> Result<(), EngineError> {
        self.force_delete_task(task).await?;
        let message = DeleteContainerRequest { id: task.id.clone() };
        let answer = self
            .container_call("delete the container", task, message, |mut client, request| async move {
                client.delete(request).await
            })
            .await;
        absent_is_none(answer).map(drop)
    }
}

/// `config.json` with an absolute root, as containerd's clients wrap it.
fn spec(container: &Container) -> Result<Any, EngineError> {
    let spec = read_spec_value(&container.bundle).map_err(|error| EngineError::Bundle(chain(&error)))?;
    let value = serde_json::to_vec(&spec).map_err(|error| EngineError::Bundle(error.to_string()))?;
    Ok(Any { type_url: SPEC_TYPE.to_owned(), value })
}

/// How a shim is told where output goes: a pipe by its path, anything else as a file to be appended to.
fn log_uri(path: &Path) -> String {
    let is_fifo = std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo());
    if is_fifo { path.display().to_string() } else { format!("file://{}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_named_by_its_path_and_a_file_by_its_uri() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, file) = (dir.path().join("a.out"), dir.path().join("a.log"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(log_uri(&fifo), fifo.to_str().unwrap());
        assert_eq!(log_uri(&file), format!("file://{}", file.display()));
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
