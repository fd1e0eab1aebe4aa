//! Commands in a running container: containerd's execs.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use containerd_client::services::v1::{DeleteProcessRequest, ExecProcessRequest, GetContainerRequest};
use prost_types::Any;

use super::link::absent_is_none;
use super::{Containerd, KILL_LIMIT};
use crate::engine::{EngineError, Exit, TaskId};
use crate::sys::SIGKILL;

/// What containerd's clients call a process of an OCI runtime configuration.
const PROCESS_TYPE: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// How many commands may run in one task at a time; their ids come again.
const EXECS: u32 = 64;
/// What is tried, in messages.
const ACTION: &str = "run a command in the container";

impl Containerd {
    /// Runs a command to its end, without output; kills it when it takes longer than `limit`.
    pub(super) async fn run_command(
        &self,
        task: &TaskId,
        args: &[String],
        limit: Duration,
    ) -> Result<Exit, EngineError> {
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
                Err(EngineError::Refused { action: ACTION, message, lost: false })
            }
        }
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
        self.task_call(ACTION, task, message, |mut client, request| async move { client.exec(request).await })
            .await
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
