//! The container as a state machine: what is asked and what happens go in, what is to be done comes out.

mod action;
mod machine;
mod process;

pub use action::{Action, Deed, Input, Job, Ticket};
pub use machine::Machine;
