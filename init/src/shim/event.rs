//! What a shim tells containerd unasked (containerd, api/events/task.proto and api/services/ttrpc/events).

use std::time::SystemTime;

use containerd_shim_protos::api::{CreateTaskRequest, ForwardRequest};
use containerd_shim_protos::events::task::{
    TaskCreate, TaskDelete, TaskExecAdded, TaskExecStarted, TaskExit, TaskIO, TaskOOM, TaskPaused,
    TaskResumed, TaskStart,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::event::Envelope;

use super::reply::{Ended, timestamp};
use super::wire::{Call, Fault, encode};

const SERVICE: &str = "containerd.services.events.ttrpc.v1.Events";
const METHOD: &str = "Forward";

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The container was made.
    Created {
        /// As it was asked for.
        request: Box<CreateTaskRequest>,
        /// Its first process.
        pid: u32,
    },
    /// It runs.
    Started(u32),
    /// A process ended.
    Exited {
        /// Which: an exec, or empty for the first.
        exec: String,
        /// How.
        ended: Ended,
    },
    /// The container is gone.
    Deleted(Ended),
    /// Another process was made.
    ExecAdded(String),
    /// It runs.
    ExecStarted {
        /// Its id.
        exec: String,
        /// The process.
        pid: u32,
    },
    /// The kernel killed a process of it for want of memory.
    OutOfMemory,
    /// It is frozen.
    Paused,
    /// It was thawed.
    Resumed,
}

/// An event with what there is to say about it at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// What.
    pub event: Event,
    /// When.
    pub at: SystemTime,
}

/// Whose events they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// containerd's namespace.
    pub namespace: String,
    /// The container's id.
    pub id: String,
}

impl Told {
    /// The call that tells it.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn call(&self, subject: &Subject) -> Result<Call, Fault> {
        let (topic, kind, value) = body(&self.event, &subject.id)?;
        let mut any = Any::new();
        any.type_url = format!("containerd.events.{kind}");
        any.value = value;
        let mut envelope = Envelope::new();
        envelope.timestamp = Some(timestamp(self.at)).into();
        envelope.namespace = subject.namespace.clone();
        envelope.topic = format!("/tasks/{topic}");
        envelope.event = Some(any).into();
        let mut request = ForwardRequest::new();
        request.envelope = Some(envelope).into();
        Ok(Call { service: SERVICE.to_owned(), method: METHOD.to_owned(), payload: encode(&request)? })
    }
}

/// Topic, type and bytes.
fn body(event: &Event, id: &str) -> Result<(&'static str, &'static str, Vec<u8>), Fault> {
    let container_id = id.to_owned();
    Ok(match event {
        Event::Created { request, pid } => {
            let io = TaskIO {
                stdin: request.stdin.clone(),
                stdout: request.stdout.clone(),
                stderr: request.stderr.clone(),
                terminal: request.terminal,
                ..TaskIO::default()
            };
            let message = TaskCreate {
                container_id,
                bundle: request.bundle.clone(),
                rootfs: request.rootfs.clone(),
                io: Some(io).into(),
                checkpoint: request.checkpoint.clone(),
                pid: *pid,
                ..TaskCreate::default()
            };
            ("create", "TaskCreate", encode(&message)?)
        }
        Event::Started(pid) => {
            let message = TaskStart { container_id, pid: *pid, ..TaskStart::default() };
            ("start", "TaskStart", encode(&message)?)
        }
        Event::Exited { exec, ended } => {
            // The first process has the container's id.
            let id = if exec.is_empty() { id } else { exec }.to_owned();
            let message = TaskExit {
                container_id,
                id,
                pid: ended.pid,
                exit_status: ended.status,
                exited_at: Some(timestamp(ended.at)).into(),
                ..TaskExit::default()
            };
            ("exit", "TaskExit", encode(&message)?)
        }
        Event::Deleted(ended) => {
            let message = TaskDelete {
                container_id,
                pid: ended.pid,
                exit_status: ended.status,
                exited_at: Some(timestamp(ended.at)).into(),
                ..TaskDelete::default()
            };
            ("delete", "TaskDelete", encode(&message)?)
        }
        Event::ExecAdded(exec) => {
            let message = TaskExecAdded { container_id, exec_id: exec.clone(), ..TaskExecAdded::default() };
            ("exec-added", "TaskExecAdded", encode(&message)?)
        }
        Event::ExecStarted { exec, pid } => {
            let message = TaskExecStarted {
                container_id,
                exec_id: exec.clone(),
                pid: *pid,
                ..TaskExecStarted::default()
            };
            ("exec-started", "TaskExecStarted", encode(&message)?)
        }
        Event::OutOfMemory => ("oom", "TaskOOM", encode(&TaskOOM { container_id, ..TaskOOM::default() })?),
        Event::Paused => {
            ("paused", "TaskPaused", encode(&TaskPaused { container_id, ..TaskPaused::default() })?)
        }
        Event::Resumed => {
            ("resumed", "TaskResumed", encode(&TaskResumed { container_id, ..TaskResumed::default() })?)
        }
    })
}

#[cfg(test)]
mod tests {
    use containerd_shim_protos::protobuf::Message;

    use super::*;

    #[test]
    fn an_exit_is_told_as_containerd_expects_it() {
        let ended = Ended { pid: 7, status: 137, at: SystemTime::UNIX_EPOCH };
        let told = Told { event: Event::Exited { exec: String::new(), ended }, at: SystemTime::UNIX_EPOCH };
        let subject = Subject { namespace: "n".into(), id: "c".into() };
        let call = told.call(&subject).unwrap();
        let envelope = ForwardRequest::parse_from_bytes(&call.payload).unwrap().envelope.unwrap();
        assert_eq!((envelope.namespace.as_str(), envelope.topic.as_str()), ("n", "/tasks/exit"));
        let any = envelope.event.unwrap();
        assert_eq!(any.type_url, "containerd.events.TaskExit");
        let exit = TaskExit::parse_from_bytes(&any.value).unwrap();
        assert_eq!((exit.container_id.as_str(), exit.id.as_str(), exit.exit_status), ("c", "c", 137));
    }
}
