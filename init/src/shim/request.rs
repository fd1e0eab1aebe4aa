//! What containerd asks of a shim: a method's name and message as a value (containerd, api/runtime/task/v3/shim.proto).

use containerd_shim_protos::api::{
    CloseIORequest, ConnectRequest, CreateTaskRequest, DeleteRequest, ExecProcessRequest, KillRequest,
    PauseRequest, PidsRequest, ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest, StateRequest,
    StatsRequest, UpdateTaskRequest, WaitRequest,
};
use containerd_shim_protos::protobuf::Message;

use super::wire::{Call, Code, Fault};
use crate::runtime::valid_id;

/// The names of the service: containerd 1.7 calls the second, 2 the first; the messages are the same.
const SERVICES: [&str; 2] = ["containerd.task.v3.Task", "containerd.task.v2.Task"];

/// A request about one container.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// The container's id.
    pub id: String,
    /// What is asked.
    pub request: Request,
}

/// What is asked; `exec` is the id of an exec, empty for the container's first process.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// How a process does.
    State {
        /// Which.
        exec: String,
    },
    /// Make the container.
    Create(Box<CreateTaskRequest>),
    /// Run a process that was made.
    Start {
        /// Which.
        exec: String,
    },
    /// Forget a process that ended.
    Delete {
        /// Which.
        exec: String,
    },
    /// All processes in the container.
    Pids,
    /// Freeze it.
    Pause,
    /// Thaw it.
    Resume,
    /// Send a signal.
    Kill {
        /// To which process.
        exec: String,
        /// Which signal.
        signal: u32,
        /// To every process of the container.
        all: bool,
    },
    /// Make another process, which does not run yet.
    Exec(Box<ExecProcessRequest>),
    /// The size of a terminal, in characters.
    Resize {
        /// Whose.
        exec: String,
        /// Columns.
        width: u16,
        /// Lines.
        height: u16,
    },
    /// No more input comes.
    CloseInput {
        /// For which process.
        exec: String,
    },
    /// Other resources: `linux.resources` of the OCI runtime spec, JSON.
    Update(Vec<u8>),
    /// Answer when a process has ended.
    Wait {
        /// Which.
        exec: String,
    },
    /// What the container uses.
    Stats,
    /// Who serves it.
    Connect,
    /// End, when there is no container.
    Shutdown,
    /// Nothing.
    Nothing,
}

/// Reads a call.
///
/// # Errors
/// [`Fault`], which is the answer.
pub fn read(call: &Call) -> Result<Incoming, Fault> {
    if !SERVICES.contains(&call.service.as_str()) {
        return Err(Fault::new(Code::UNIMPLEMENTED, format!("unknown service {}", call.service)));
    }
    let bytes = &call.payload;
    let (id, request) = match call.method.as_str() {
        "State" => {
            let m: StateRequest = message(bytes)?;
            (m.id, Request::State { exec: process(m.exec_id)? })
        }
        "Create" => {
            let m: CreateTaskRequest = message(bytes)?;
            (m.id.clone(), Request::Create(Box::new(m)))
        }
        "Start" => {
            let m: StartRequest = message(bytes)?;
            (m.id, Request::Start { exec: process(m.exec_id)? })
        }
        "Delete" => {
            let m: DeleteRequest = message(bytes)?;
            (m.id, Request::Delete { exec: process(m.exec_id)? })
        }
        "Pids" => (message::<PidsRequest>(bytes)?.id, Request::Pids),
        "Pause" => (message::<PauseRequest>(bytes)?.id, Request::Pause),
        "Resume" => (message::<ResumeRequest>(bytes)?.id, Request::Resume),
        "Checkpoint" => return Err(Fault::new(Code::UNIMPLEMENTED, "checkpoints are not made here")),
        "Kill" => {
            let m: KillRequest = message(bytes)?;
            (m.id, Request::Kill { exec: process(m.exec_id)?, signal: m.signal, all: m.all })
        }
        "Exec" => {
            let m: ExecProcessRequest = message(bytes)?;
            if !valid_id(&m.exec_id) {
                return Err(not_an_id(&m.exec_id));
            }
            (m.id.clone(), Request::Exec(Box::new(m)))
        }
        "ResizePty" => {
            let m: ResizePtyRequest = message(bytes)?;
            let characters = |count: u32| u16::try_from(count).unwrap_or(u16::MAX);
            let (width, height) = (characters(m.width), characters(m.height));
            (m.id, Request::Resize { exec: process(m.exec_id)?, width, height })
        }
        "CloseIO" => {
            let m: CloseIORequest = message(bytes)?;
            let exec = process(m.exec_id)?;
            (m.id, if m.stdin { Request::CloseInput { exec } } else { Request::Nothing })
        }
        "Update" => {
            let m: UpdateTaskRequest = message(bytes)?;
            (m.id, Request::Update(m.resources.into_option().unwrap_or_default().value))
        }
        "Wait" => {
            let m: WaitRequest = message(bytes)?;
            (m.id, Request::Wait { exec: process(m.exec_id)? })
        }
        "Stats" => (message::<StatsRequest>(bytes)?.id, Request::Stats),
        "Connect" => (message::<ConnectRequest>(bytes)?.id, Request::Connect),
        "Shutdown" => (message::<ShutdownRequest>(bytes)?.id, Request::Shutdown),
        other => return Err(Fault::new(Code::UNIMPLEMENTED, format!("unknown method {other}"))),
    };
    Ok(Incoming { id, request })
}

fn message<M: Message>(bytes: &[u8]) -> Result<M, Fault> {
    M::parse_from_bytes(bytes)
        .map_err(|error| Fault::new(Code::INVALID_ARGUMENT, format!("not the method's message: {error}")))
}

/// Exec ids become parts of file names.
fn process(exec: String) -> Result<String, Fault> {
    if exec.is_empty() || valid_id(&exec) { Ok(exec) } else { Err(not_an_id(&exec)) }
}

fn not_an_id(exec: &str) -> Fault {
    Fault::new(
        Code::INVALID_ARGUMENT,
        format!(
            "exec id {exec:?} may only have letters, digits, '.', '_', '-', '+', and must begin with a letter or digit"
        ),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(service: &str, method: &str, message: &impl Message) -> Call {
        Call { service: service.into(), method: method.into(), payload: message.write_to_bytes().unwrap() }
    }

    #[test]
    fn both_generations_of_containerd_are_understood() {
        for service in SERVICES {
            let mut m = KillRequest::new();
            (m.id, m.exec_id, m.signal, m.all) = ("a".into(), "e".into(), 9, true);
            let incoming = read(&call(service, "Kill", &m)).unwrap();
            let request = Request::Kill { exec: "e".into(), signal: 9, all: true };
            assert_eq!(incoming, Incoming { id: "a".into(), request });
        }
    }

    #[test]
    fn what_is_not_served_is_said() {
        let m = PidsRequest::new();
        for (service, method) in [("grpc.health.v1.Health", "Check"), (SERVICES[0], "Dance")] {
            assert_eq!(read(&call(service, method, &m)).unwrap_err().code, Code::UNIMPLEMENTED);
        }
        assert_eq!(read(&call(SERVICES[0], "Checkpoint", &m)).unwrap_err().code, Code::UNIMPLEMENTED);
    }

    #[test]
    fn exec_ids_that_climb_are_refused() {
        let mut m = ExecProcessRequest::new();
        (m.id, m.exec_id) = ("a".into(), "../../etc/x".into());
        assert_eq!(read(&call(SERVICES[0], "Exec", &m)).unwrap_err().code, Code::INVALID_ARGUMENT);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_a_fault(method in "[A-Z][a-zA-Z]{2,10}|Create|Exec|Kill", payload in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(read(&Call { service: SERVICES[0].into(), method, payload }));
        }
    }
}
