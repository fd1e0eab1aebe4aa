//! Where the supervisor tells what happens, for whoever looks now or later.

use std::io;
use std::rc::Rc;

use super::events::Events;
use super::logs::Logs;
use super::timeline::Recorder;

/// What is said, what changes, what takes time.
#[derive(Debug)]
pub struct Reports {
    /// What services and the supervisor say.
    pub logs: Rc<Logs>,
    /// What becomes of services.
    pub events: Events,
    /// What the boot and the machine's end took.
    pub timeline: Rc<Recorder>,
}

impl Reports {
    /// Begins to keep them. Needs a `LocalSet`.
    ///
    /// # Errors
    /// When the pipes of the logs have nowhere to be.
    pub fn start() -> io::Result<Rc<Self>> {
        let (logs, timeline) = (Logs::start()?, Recorder::start());
        Ok(Rc::new(Self { logs, events: Events::default(), timeline }))
    }
}
