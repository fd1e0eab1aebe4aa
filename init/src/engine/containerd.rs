//! containerd over gRPC.

use std::future::Future;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::version_client::VersionClient;
use containerd_client::services::v1::{
    Container as Record, CreateContainerRequest, CreateTaskRequest, DeleteContainerRequest,
    DeleteProcessRequest, DeleteTaskRequest, ExecProcessRequest, GetContainerRequest, GetRequest,
    KillRequest, StartRequest, WaitRequest,
};
use containerd_client::types::v1::Status as TaskStatus;
use prost_types::Any;
use tokio::sync::{Notify, watch};
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
/// What they call a process of one.
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// How many commands may run in one task at a time; their ids come again.
const EXECS: u32 = 64;
/// How long containerd may take for an answer; creating a task on a slow machine takes the longest.
const CALL_LIMIT: Duration = Duration::from_secs(30);
/// How long a killed task may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);

const SIGKILL: u32 = 9;
/// The id of a task's first process among its execs.
const INIT: &str = "";

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
}

/// The engine that is containerd.
#[derive(Debug, Clone)]
pub struct Containerd {
    connection: watch::Receiver<Connection>,
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
        let client = TasksClient::new(link.channel.clone());
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
        let client = ContainersClient::new(link.channel.clone());
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

    /// The container's own process with other arguments.
    async fn process(&self, task: &TaskId, args: &[String]) -> Result<Any, EngineError> {
        let message = GetContainerRequest { id: task.id.clone() };
        let answer = self
            .container_call("look for the container", task, message, |mut client, request| async move {
                client.get(request).await
            })
            .await?;
        let spec = answer.container.and_then(|record| record.spec).unwrap_or_default();
        process(&spec.value, args).map_err(|error| EngineError::Bundle(format!("its configuration: {error}")))
    }

    async fn add_exec(&self, task: &TaskId, exec: &str, process: Any) -> Result<(), EngineError> {
        // No output at all: containerd's own shim dies of a request with only one of the two.
        let message = ExecProcessRequest {
            container_id: task.id.clone(),
            exec_id: exec.to_owned(),
            spec: Some(process),
            ..ExecProcessRequest::default()
        };
        self.task_call("run a command in the container", task, message, |mut client, request| async move {
            client.exec(request).await
        })
        .await
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
        let mut client = TasksClient::new(self.link()?.channel);
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

    async fn delete_exec(&self, task: &TaskId, exec: &str) -> Result<(), EngineError> {
        let message = DeleteProcessRequest { container_id: task.id.clone(), exec_id: exec.to_owned() };
        let answer = self
            .task_call("forget a command", task, message, |mut client, request| async move {
                client.delete_process(request).await
            })
            .await;
        absent_is_none(answer).map(drop)
    }

    /// Ends and forgets a command, however far it came.
    async fn end_exec(&self, task: &TaskId, exec: &str) -> Result<(), EngineError> {
        // One that was never started, or has ended, cannot be signalled: what counts is that it can be deleted.
        drop(self.signal_process(task, exec, SIGKILL, false).await);
        drop(tokio::time::timeout(KILL_LIMIT, self.wait_for(task, exec)).await);
        self.delete_exec(task, exec).await
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
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let exec = format!("lkb-{}", NEXT.fetch_add(1, Ordering::Relaxed) % EXECS);
        let process = self.process(task, args).await?;
        match self.add_exec(task, &exec, process.clone()).await {
            Err(EngineError::Refused { message, .. }) if message.contains("already exists") => {
                // A former supervisor's, which nobody waits for any more.
                self.end_exec(task, &exec).await?;
                self.add_exec(task, &exec, process).await?;
            }
            other => other?,
        }
        let run = async {
            self.start_process(task, &exec).await?;
            self.wait_for(task, &exec).await
        };
        match tokio::time::timeout(limit, run).await {
            Ok(Ok(exit)) => {
                self.delete_exec(task, &exec).await?;
                Ok(exit)
            }
            Ok(Err(error)) => {
                // Why it could not run is what is told.
                drop(self.delete_exec(task, &exec).await);
                Err(error)
            }
            Err(_) => {
                let message = match self.end_exec(task, &exec).await {
                    Ok(()) => format!("it took longer than {} s and was killed", limit.as_secs_f64()),
                    Err(error) => format!("it took longer than {} s; {error}", limit.as_secs_f64()),
                };
                Err(EngineError::Refused { action: "run a command in the container", message, lost: false })
            }
        }
    }

    async fn delete_task(&self, task: &TaskId) -> Result<(), EngineError> {
        let message = DeleteTaskRequest { container_id: task.id.clone() };
        let answer = self
            .task_call("delete the task", task, message, |mut client, request| async move {
                client.delete(request).await
            })
            .await;
        absent_is_none(answer).map(drop)
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

impl Link {
    /// One bounded call.
    async fn call<M, T, F>(
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

/// `process` of a configuration, without a terminal and with other arguments, as containerd's clients wrap it.
fn process(spec: &[u8], args: &[String]) -> Result<Any, serde_json::Error> {
    let mut spec: serde_json::Value = serde_json::from_slice(spec)?;
    let mut process = spec.get_mut("process").map(serde_json::Value::take).unwrap_or_default();
    if let Some(process) = process.as_object_mut() {
        process.insert("args".to_owned(), args.into());
        process.insert("terminal".to_owned(), false.into());
    }
    Ok(Any { type_url: PROCESS_TYPE.to_owned(), value: serde_json::to_vec(&process)? })
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
    fn a_pipe_is_named_by_its_path_and_a_file_by_its_uri() {
        let dir = tempfile::tempdir().unwrap();
        let (fifo, file) = (dir.path().join("a.out"), dir.path().join("a.log"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(log_uri(&fifo), fifo.to_str().unwrap());
        assert_eq!(log_uri(&file), format!("file://{}", file.display()));
    }

    #[test]
    fn a_command_runs_as_the_containers_own_process_does() {
        let spec =
            br#"{"process":{"user":{"uid":7},"cwd":"/x","env":["A=b"],"args":["/a"],"terminal":true}}"#;
        let any = process(spec, &["/bin/true".to_owned()]).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&any.value).unwrap();
        let expected = serde_json::json!({
            "user": {"uid": 7}, "cwd": "/x", "env": ["A=b"], "args": ["/bin/true"], "terminal": false
        });
        assert_eq!(json, expected);
        assert!(process(b"", &[]).is_err());
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
