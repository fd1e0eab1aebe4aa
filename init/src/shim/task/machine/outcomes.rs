//! What became of a job.

use containerd_shim_protos::api::CreateTaskRequest;

use super::{About, INIT, Machine, NEVER_RAN, not_found};
use crate::shim::event::Event;
use crate::shim::reply::{Ended, Reply};
use crate::shim::task::action::Action;
use crate::shim::task::process::Phase;
use crate::shim::wire::{Code, Fault};

impl Machine {
    pub(super) fn done(&mut self, result: Result<Option<u32>, String>, actions: &mut Vec<Action>) {
        let Some((ticket, about)) = self.running.take() else { return };
        let result = result.map_err(Fault::failed);
        // What became of the process is told after the answer: who asked learns its number first.
        let mut ends = Vec::new();
        let answer = match about {
            About::Create(request) => self.created(request, result, &mut ends, actions),
            About::Start => self.started(result, &mut ends, actions),
            About::Exec(exec) => self.exec_started(&exec, result, &mut ends, actions),
            About::Delete => self.deleted(result, actions),
            About::Pause => result.map(|_| {
                self.paused = true;
                actions.push(Action::Tell(Event::Paused));
                Reply::Empty
            }),
            About::Resume => result.map(|_| {
                self.paused = false;
                actions.push(Action::Tell(Event::Resumed));
                Reply::Empty
            }),
            About::Update => result.map(|_| Reply::Empty),
        };
        actions.push(Action::Answer(ticket, answer));
        // No job runs, so nobody will claim what is left: those were not the container's, or came by fork.
        self.unclaimed.clear();
        for (exec, ended) in ends {
            self.stop(&exec, ended, actions);
        }
    }

    fn created(
        &mut self,
        request: Box<CreateTaskRequest>,
        result: Result<Option<u32>, Fault>,
        ends: &mut Vec<(String, Ended)>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let pid = match made(result) {
            Ok(pid) => pid,
            Err(fault) => {
                // As if it had never been asked for.
                if let Some(process) = self.processes.remove(INIT) {
                    let gone = |ticket| Action::Answer(ticket, Err(not_found(&self.id, INIT)));
                    actions.extend(process.waiting.into_iter().map(gone));
                }
                actions.push(Action::Release(INIT.to_owned()));
                return Err(fault);
            }
        };
        ends.extend(self.claim(pid).map(|ended| (INIT.to_owned(), ended)));
        let process = self.find_mut(INIT)?;
        process.busy = false;
        process.phase = Phase::Created(pid);
        actions.extend(process.put_off(INIT));
        actions.push(Action::Tell(Event::Created { request, pid }));
        Ok(Reply::Pid(pid))
    }

    fn started(
        &mut self,
        result: Result<Option<u32>, Fault>,
        ends: &mut Vec<(String, Ended)>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let process = self.find_mut(INIT)?;
        process.busy = false;
        ends.extend(process.held.take().map(|ended| (INIT.to_owned(), ended)));
        result?;
        let pid = process.pid();
        process.phase = Phase::Running(pid);
        actions.push(Action::Tell(Event::Started(pid)));
        Ok(Reply::Pid(pid))
    }

    fn exec_started(
        &mut self,
        exec: &str,
        result: Result<Option<u32>, Fault>,
        ends: &mut Vec<(String, Ended)>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let made = made(result);
        let claimed = made.as_ref().ok().and_then(|pid| self.claim(*pid));
        let process = self.find_mut(exec)?;
        process.busy = false;
        process.request = None;
        match made {
            Ok(pid) => {
                process.phase = Phase::Running(pid);
                actions.extend(process.put_off(exec));
                actions.push(Action::Tell(Event::ExecStarted { exec: exec.to_owned(), pid }));
                ends.extend(claimed.map(|ended| (exec.to_owned(), ended)));
                Ok(Reply::Pid(pid))
            }
            Err(fault) => {
                let ended = Ended { pid: 0, status: NEVER_RAN, at: std::time::SystemTime::now() };
                process.phase = Phase::Stopped(ended);
                let waiting = std::mem::take(&mut process.waiting);
                actions.extend(
                    waiting.into_iter().map(|ticket| Action::Answer(ticket, Ok(Reply::Ended(ended)))),
                );
                Err(fault)
            }
        }
    }

    fn deleted(
        &mut self,
        result: Result<Option<u32>, Fault>,
        actions: &mut Vec<Action>,
    ) -> Result<Reply, Fault> {
        let process = self.find_mut(INIT)?;
        process.busy = false;
        result?;
        let Phase::Stopped(ended) = process.phase else {
            return Err(Fault::new(Code::INTERNAL, "the container was deleted while it ran"));
        };
        // Its execs ended with it, and nobody can ask for them any more.
        for (exec, process) in std::mem::take(&mut self.processes) {
            let gone = |ticket| Action::Answer(ticket, Err(not_found(&self.id, &exec)));
            actions.extend(process.waiting.into_iter().map(gone));
            actions.push(Action::Release(exec));
        }
        actions.push(Action::Tell(Event::Deleted(ended)));
        Ok(Reply::Deleted(ended))
    }
}

fn made(result: Result<Option<u32>, Fault>) -> Result<u32, Fault> {
    result?.ok_or_else(|| Fault::new(Code::INTERNAL, "the runtime did not say which process it made"))
}
