//! ttrpc: frames, and the calls and answers in them (github.com/containerd/ttrpc, PROTOCOL.md).

mod connection;
mod frame;
mod rpc;

pub use connection::{Broken, Connection};
pub use frame::Frame;
#[cfg(test)]
pub use frame::Kind;
pub use rpc::{Call, Code, Fault, answer, encode, read_answer};
