//! Calls and answers, as the protobuf messages that frames carry.

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::{Request, Response, Status};

pub use containerd_shim_protos::ttrpc::Code;

use super::frame::{Frame, Kind};

/// Why a call was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of refusal it is; gRPC's codes.
    pub code: Code,
    /// The words for people.
    pub message: String,
}

impl Fault {
    /// A fault with words.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Something failed, and it is nobody's mistake in particular.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::UNKNOWN, message)
    }
}

/// A call, still with an opaque message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// `containerd.task.v3.Task`
    pub service: String,
    /// `Create`
    pub method: String,
    /// The method's message.
    pub payload: Vec<u8>,
}

/// A message as bytes.
///
/// # Errors
/// [`Fault`], for a message that protobuf cannot represent: one of more than 2 GiB.
pub fn encode(message: &impl Message) -> Result<Vec<u8>, Fault> {
    message.write_to_bytes().map_err(|error| Fault::new(Code::INTERNAL, error.to_string()))
}

impl Call {
    /// Reads a frame as a call.
    ///
    /// # Errors
    /// [`Fault`], which is the answer.
    pub fn read(frame: &Frame) -> Result<Self, Fault> {
        if frame.kind != Kind::Request {
            return Err(Fault::new(Code::UNIMPLEMENTED, "streams are not served here"));
        }
        let request = Request::parse_from_bytes(&frame.payload)
            .map_err(|error| Fault::new(Code::INVALID_ARGUMENT, format!("not a ttrpc request: {error}")))?;
        Ok(Self { service: request.service, method: request.method, payload: request.payload })
    }

    /// The frame that makes this call.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn frame(self, stream: u32) -> Result<Frame, Fault> {
        let mut request = Request::new();
        request.service = self.service;
        request.method = self.method;
        request.payload = self.payload;
        Ok(Frame { stream, kind: Kind::Request, flags: 0, payload: encode(&request)? })
    }
}

/// The frame that answers the call on `stream`.
///
/// # Errors
/// As [`encode`].
pub fn answer(stream: u32, answer: Result<Vec<u8>, Fault>) -> Result<Frame, Fault> {
    let (mut response, mut status) = (Response::new(), Status::new());
    match answer {
        Ok(payload) => {
            status.code = Code::OK.into();
            response.payload = payload;
        }
        Err(fault) => {
            status.code = fault.code.into();
            status.message = fault.message;
        }
    }
    response.status = Some(status).into();
    Ok(Frame { stream, kind: Kind::Response, flags: 0, payload: encode(&response)? })
}

/// The answer that a frame carries.
///
/// # Errors
/// What the other side refused with, or that this is no answer.
pub fn read_answer(frame: &Frame) -> Result<Vec<u8>, Fault> {
    if frame.kind != Kind::Response {
        return Err(Fault::failed("not an answer"));
    }
    let response = Response::parse_from_bytes(&frame.payload)
        .map_err(|error| Fault::failed(format!("not a ttrpc response: {error}")))?;
    match response.status.into_option() {
        Some(status) if status.code.enum_value() != Ok(Code::OK) => {
            Err(Fault { code: status.code.enum_value().unwrap_or(Code::UNKNOWN), message: status.message })
        }
        _ => Ok(response.payload),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_call_arrives_as_it_was_made() {
        let call = Call { service: "s".into(), method: "M".into(), payload: vec![1, 2] };
        let frame = call.clone().frame(7).unwrap();
        assert_eq!(frame.stream, 7);
        assert_eq!(Call::read(&frame), Ok(call));
    }

    #[test]
    fn an_answer_is_a_payload_or_a_fault() {
        assert_eq!(read_answer(&answer(1, Ok(vec![3])).unwrap()), Ok(vec![3]));
        let fault = Fault::new(Code::NOT_FOUND, "no such process");
        assert_eq!(read_answer(&answer(1, Err(fault.clone())).unwrap()), Err(fault));
    }

    #[test]
    fn a_piece_of_a_stream_is_no_call() {
        let frame = Frame { stream: 1, kind: Kind::Other(3), flags: 0, payload: vec![] };
        assert_eq!(Call::read(&frame).unwrap_err().code, Code::UNIMPLEMENTED);
    }

    proptest! {
        #[test]
        fn any_payload_is_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let frame = |kind| Frame { stream: 1, kind, flags: 0, payload: payload.clone() };
            if let Err(fault) = Call::read(&frame(Kind::Request)) {
                prop_assert_eq!(fault.code, Code::INVALID_ARGUMENT);
            }
            drop(read_answer(&frame(Kind::Response)));
        }
    }
}
