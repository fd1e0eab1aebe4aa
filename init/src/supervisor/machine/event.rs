//! What a service's state machine hears and says.

use std::time::Duration;

use image_layout::Restart;

use crate::engine::Exit;
use crate::service::protocol::State;
use crate::supervisor::dependencies::Gate;
use crate::supervisor::hearing::Hearing;
use crate::supervisor::probe::{HealthPlan, ReadyPlan};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `onboot` has ended: services may start.
    Released,
    /// `onboot` failed, and no service is to start by itself.
    Withheld(String),
    /// The services that it waits for have moved on.
    Gate(Gate),
    /// It was found running by a supervisor that did not start it.
    Adopted {
        /// Its first process.
        pid: u32,
        /// Whether it was ready then.
        ready: bool,
    },
    /// It runs.
    Started(u32),
    /// It could not be started.
    StartFailed(String),
    /// Its first process ended.
    Exited {
        /// How.
        exit: Exit,
        /// Whether the kernel killed a process of it for memory since it was started.
        oom: bool,
    },
    /// It answered that it serves.
    ProbeSucceeded,
    /// It did not answer, or that it does not serve.
    ProbeFailed {
        /// In words.
        reason: String,
        /// How it would take a stop signal.
        hearing: Hearing,
    },
    /// The time that was armed has passed.
    Elapsed,
    /// Someone wants it to run.
    StartAsked,
    /// Someone wants it not to run.
    StopAsked(Hearing),
    /// Someone wants it to run afresh.
    RestartAsked(Hearing),
    /// One that it requires is to be stopped: it may run again when that one does.
    HoldAsked(Hearing),
    /// That is over.
    HoldEnded,
}

/// What the driver must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Prepare, create and start; answers with `Started` or `StartFailed`.
    Launch,
    /// Wait for the end; answers with `Exited`.
    Watch,
    /// Send a signal to the first process, or to all.
    Signal {
        /// The signal's number.
        number: u32,
        /// To all processes of the container.
        all: bool,
    },
    /// Ask whether it serves; answers with `ProbeSucceeded` or `ProbeFailed`. Replaces what was asked before.
    Probe {
        /// Which question.
        question: Question,
        /// After this pause.
        after: Duration,
        /// How long the answer may take.
        limit: Duration,
    },
    /// Forget what was asked.
    EndProbe,
    /// Answer with `Elapsed` after this time; replaces what was armed before.
    Arm(Duration),
    /// Forget what was armed.
    Disarm,
    /// Remove the ended task.
    Clear,
    /// Remove task and container.
    Remove,
    /// Tell the console.
    Say(String),
}

/// What a service is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it has become ready.
    Ready,
    /// Whether it is still well.
    Health,
}

/// How a service is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// When it is started again.
    pub restart: Restart,
    /// The signal that asks it to stop.
    pub stop_signal: u32,
    /// How long it may take to stop.
    pub grace: Duration,
    /// How one learns that it is ready; it is as soon as it runs without this.
    pub ready: Option<ReadyPlan>,
    /// How one learns that it is well.
    pub health: Option<HealthPlan>,
    /// How much memory it may have, in bytes.
    pub memory_limit: Option<u64>,
}

/// What is known of a service from before: from a supervisor that died, perhaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// Whether it is meant to run.
    pub wanted: bool,
    /// How often it was started again after it had ended unasked.
    pub restarts: u32,
    /// How often it was started.
    pub starts: u32,
    /// [`State::Stopped`] or [`State::Failed`] when it had come to rest, which its policy may want it to keep.
    pub over: Option<State>,
}

impl Default for Past {
    fn default() -> Self {
        Self { wanted: true, restarts: 0, starts: 0, over: None }
    }
}
