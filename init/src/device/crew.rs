//! Who loads the modules of a schedule: this process, or several children of it at a time.
//!
//! finit_module(2) unpacks the file, and returns when the driver has looked at its devices: on a machine with several
//! processors children do that side by side. They are forked without exec, so they have the schedule already, and are asked
//! by number. A driver that crashes then takes its loader with it, and not PID 1; one that hangs holds up the boot for
//! [`PATIENCE`] and no longer. A single processor has nothing to gain: there this process does it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use kmod::load::{Failure, Kernel, Loaded, load_step};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use super::schedule::Schedule;
use crate::sys::fork;

/// Loaders at a time; modules hang together, and more would find nothing to do.
const MOST: usize = 4;
/// How long the loaders may take for the next module, all of them together.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number that no module has: nothing more is asked.
const END: u64 = u64::MAX;

/// What came of a schedule.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Modules that were not in the kernel before, in the order in which they came.
    pub loaded: Vec<String>,
    /// Modules that are not there now, though something needs them.
    pub failures: Vec<Failure>,
    /// Modules that nobody waits for any more.
    pub late: Vec<String>,
}

/// How many processors this process may use.
#[must_use]
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Loads all modules of a schedule, with as many loaders at a time as there are processors.
pub fn load_all(schedule: &mut Schedule, kernel: &mut dyn Kernel, processors: usize) -> Outcome {
    let mut outcome = Outcome::default();
    if processors > 1 && schedule.len() > 1 {
        let most = processors.min(MOST);
        side_by_side(schedule, kernel, most, &mut outcome);
        if !outcome.late.is_empty() {
            return outcome;
        }
    }
    // Also what is left when there can be no loaders.
    while let Some(index) = schedule.take() {
        let Some(step) = schedule.step(index) else { break };
        let loaded = load_step(kernel, step);
        settle(schedule, index, loaded, &mut outcome);
    }
    outcome
}

fn settle(schedule: &mut Schedule, index: usize, loaded: Result<Loaded, Errno>, outcome: &mut Outcome) {
    if let Some(step) = schedule.step(index) {
        match loaded {
            Ok(Loaded::Now) => outcome.loaded.push(step.name.clone()),
            Ok(Loaded::Before) => {}
            Err(_) if step.optional => {}
            Err(errno) => {
                outcome.failures.push(Failure { name: step.name.clone(), file: step.file.clone(), errno });
            }
        }
    }
    schedule.settle(index, loaded.is_ok());
}

/// One child, which loads what it is asked for until nobody asks any more.
struct Loader {
    pid: Pid,
    ask: File,
    answer: File,
    busy: Option<usize>,
}

/// Hands out modules to loaders until none is left; those that cannot be handed out stay in the schedule.
fn side_by_side(schedule: &mut Schedule, kernel: &mut dyn Kernel, most: usize, outcome: &mut Outcome) {
    let mut loaders: Vec<Loader> = Vec::new();
    loop {
        hand_out(schedule, kernel, most, &mut loaders);
        let busy: Vec<usize> =
            (0..loaders.len()).filter(|at| loaders.get(*at).is_some_and(|l| l.busy.is_some())).collect();
        if busy.is_empty() {
            break;
        }
        match wait(&loaders, &busy) {
            Ok(answered) if answered.is_empty() => {
                outcome.late = schedule.unsettled().map(|step| step.name.clone()).collect();
                break;
            }
            Ok(answered) => answered.iter().rev().for_each(|at| hear(schedule, &mut loaders, *at, outcome)),
            Err(_poll_failed) => break,
        }
    }
    for mut loader in loaders {
        // One that a driver holds is buried when it dies; the others end now, and cannot be waited for only if they are dead.
        if loader.busy.is_none() && loader.ask.write_all(&END.to_ne_bytes()).is_ok() {
            waitpid(loader.pid, None).ok();
        }
    }
}

/// Gives every loader that is idle something to do, and forks another while there is more to do than loaders.
fn hand_out(schedule: &mut Schedule, kernel: &mut dyn Kernel, most: usize, loaders: &mut Vec<Loader>) {
    loop {
        let idle = match loaders.iter().position(|loader| loader.busy.is_none()) {
            Some(idle) => idle,
            None if loaders.len() < most => match start(schedule, kernel) {
                Ok(loader) => {
                    loaders.push(loader);
                    loaders.len() - 1
                }
                // With those that there are, or with none.
                Err(_cannot_fork) => return,
            },
            None => return,
        };
        let Some(index) = schedule.take() else { return };
        let Some(loader) = loaders.get_mut(idle) else { return };
        // A loader that is gone is noticed by its answer, which ends.
        loader.ask.write_all(&(index as u64).to_ne_bytes()).ok();
        loader.busy = Some(index);
    }
}

/// The loaders that have answered; none when they took too long.
fn wait(loaders: &[Loader], busy: &[usize]) -> Result<Vec<usize>, Errno> {
    let answers = busy.iter().filter_map(|at| Some((*at, &loaders.get(*at)?.answer)));
    let (at, answers): (Vec<usize>, Vec<&File>) = answers.unzip();
    let mut ready: Vec<PollFd<'_>> =
        answers.iter().map(|answer| PollFd::new(answer.as_fd(), PollFlags::POLLIN)).collect();
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    loop {
        match poll(&mut ready, patience) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    let answered = at.iter().zip(&ready).filter(|(_, ready)| ready.any().unwrap_or_default());
    Ok(answered.map(|(at, _)| *at).collect())
}

/// Reads a loader's answer, or finds that it is dead.
fn hear(schedule: &mut Schedule, loaders: &mut Vec<Loader>, at: usize, outcome: &mut Outcome) {
    let Some(loader) = loaders.get_mut(at) else { return };
    let Some(index) = loader.busy.take() else { return };
    let mut answer = [0; size_of::<i32>()];
    match loader.answer.read_exact(&mut answer) {
        Ok(()) => settle(schedule, index, decode(i32::from_ne_bytes(answer)), outcome),
        Err(_dead) => {
            settle(schedule, index, Err(Errno::EOWNERDEAD), outcome);
            let dead = loaders.remove(at);
            // Somebody else may have buried it.
            waitpid(dead.pid, None).ok();
        }
    }
}

/// Forks a loader.
fn start(schedule: &Schedule, kernel: &mut dyn Kernel) -> Result<Loader, Errno> {
    let (their_ask, ask) = pipe2(OFlag::O_CLOEXEC)?;
    let (answer, their_answer) = pipe2(OFlag::O_CLOEXEC)?;
    let (mut their_ask, mut their_answer) = (File::from(their_ask), File::from(their_answer));
    let pid = fork(|| {
        let mut number = END.to_ne_bytes();
        while their_ask.read_exact(&mut number).is_ok() {
            let index = usize::try_from(u64::from_ne_bytes(number)).unwrap_or(usize::MAX);
            let Some(step) = schedule.step(index) else { break };
            let answer = encode(load_step(kernel, step)).to_ne_bytes();
            if their_answer.write_all(&answer).is_err() {
                break;
            }
        }
    })?;
    // Its ends of the pipes are closed here, so that its death ends the answers.
    Ok(Loader { pid, ask: File::from(ask), answer: File::from(answer), busy: None })
}

/// An answer as a number: 0 for loaded, -1 for loaded before, else the errno.
fn encode(loaded: Result<Loaded, Errno>) -> i32 {
    match loaded {
        Ok(Loaded::Now) => 0,
        Ok(Loaded::Before) => -1,
        Err(errno) => errno as i32,
    }
}

fn decode(answer: i32) -> Result<Loaded, Errno> {
    match answer {
        0 => Ok(Loaded::Now),
        -1 => Ok(Loaded::Before),
        errno => Err(Errno::from_raw(errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kmod::fake::FakeKernel;
    use kmod::modules::Step;

    fn schedule() -> Schedule {
        let step = |name: &str, optional| Step {
            name: name.into(),
            file: format!("{name}.ko"),
            parameters: String::new(),
            optional,
        };
        let mut schedule = Schedule::default();
        schedule.add(vec![step("ring", false), step("blk", false)]);
        schedule.add(vec![step("crc", true), step("erofs", false)]);
        schedule.add(vec![step("broken", false), step("lost", false)]);
        schedule
    }

    fn kernel() -> FakeKernel {
        let failing =
            vec![("crc.ko", Errno::ENOENT), ("broken.ko", Errno::ENOEXEC), ("erofs.ko", Errno::EEXIST)];
        FakeKernel { failing, ..FakeKernel::default() }
    }

    #[test]
    fn one_processor_loads_all_in_this_process() {
        let mut kernel = kernel();
        let outcome = load_all(&mut schedule(), &mut kernel, 1);
        assert_eq!(outcome.loaded, ["ring", "blk"]);
        assert_eq!(kernel.inserted, ["ring.ko", "blk.ko"]);
        let failed: Vec<_> =
            outcome.failures.iter().map(|failure| (failure.name.as_str(), failure.errno)).collect();
        assert_eq!(failed, [("broken", Errno::ENOEXEC)]);
        assert!(outcome.late.is_empty());
    }

    #[test]
    fn where_no_loader_can_be_forked_this_process_does_the_work() {
        // A test has threads, and then fork refuses.
        let mut kernel = kernel();
        assert_eq!(load_all(&mut schedule(), &mut kernel, 4).loaded, ["ring", "blk"]);
        assert_eq!(kernel.inserted.len(), 2);
    }

    #[test]
    fn answers_survive_the_pipe() {
        for loaded in [Ok(Loaded::Now), Ok(Loaded::Before), Err(Errno::ENODEV), Err(Errno::EOWNERDEAD)] {
            assert_eq!(decode(encode(loaded)), loaded);
        }
    }
}
