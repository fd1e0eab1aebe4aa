//! In which order modules are loaded when several can be at a time. Pure.

use std::collections::HashMap;

use kmod::modules::Step;

/// Modules to load, each after those that it needs.
#[derive(Debug, Default)]
pub struct Schedule {
    jobs: Vec<Job>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
struct Job {
    step: Step,
    /// What must be settled first, and whether this can do without it.
    after: Vec<(usize, bool)>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Loaded,
    /// It could not be loaded, or something that it needs.
    Failed,
}

impl Schedule {
    /// Adds a plan: each of its steps comes after those before it. What another plan has already is not done twice.
    pub fn add(&mut self, plan: Vec<Step>) {
        let mut before: Vec<(usize, bool)> = Vec::new();
        for step in plan {
            let optional = step.optional;
            let index = match self.by_name.get(&step.name) {
                Some(index) => *index,
                None => {
                    let index = self.jobs.len();
                    self.by_name.insert(step.name.clone(), index);
                    self.jobs.push(Job { step, after: Vec::new(), state: State::Waiting });
                    index
                }
            };
            if let Some(job) = self.jobs.get_mut(index).filter(|job| job.state == State::Waiting) {
                // What one plan can do without another may need.
                job.step.optional &= optional;
                job.after.extend(before.iter().filter(|(earlier, _)| *earlier != index));
            }
            before.push((index, optional));
        }
    }

    /// Number of modules, settled ones too.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is nothing to load at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// What a number stands for.
    #[must_use]
    pub fn step(&self, index: usize) -> Option<&Step> {
        self.jobs.get(index).map(|job| &job.step)
    }

    /// A module that can be loaded now, which is then taken to be on its way; `None` when all that are left wait for others,
    /// or nothing is left.
    pub fn take(&mut self) -> Option<usize> {
        self.give_up_on_orphans();
        let is_ready =
            |job: &Job| job.state == State::Waiting && job.after.iter().all(|(at, _)| self.is_settled(*at));
        let mut next = self.jobs.iter().position(is_ready);
        if next.is_none() && !self.jobs.iter().any(|job| job.state == State::Running) {
            // Soft dependencies may go in circles: somebody has to be first.
            next = self.jobs.iter().position(|job| job.state == State::Waiting);
        }
        let index = next?;
        self.jobs.get_mut(index)?.state = State::Running;
        Some(index)
    }

    /// Says how the loading of a module ended.
    pub fn settle(&mut self, index: usize, loaded: bool) {
        if let Some(job) = self.jobs.get_mut(index) {
            job.state = if loaded { State::Loaded } else { State::Failed };
        }
    }

    /// The modules that are not settled.
    pub fn unsettled(&self) -> impl Iterator<Item = &Step> {
        let open = |job: &&Job| matches!(job.state, State::Waiting | State::Running);
        self.jobs.iter().filter(open).map(|job| &job.step)
    }

    fn is_settled(&self, index: usize) -> bool {
        self.jobs.get(index).is_none_or(|job| matches!(job.state, State::Loaded | State::Failed))
    }

    /// What needs a module that could not be loaded is not tried.
    fn give_up_on_orphans(&mut self) {
        loop {
            let failed = |at: usize| self.jobs.get(at).is_some_and(|job| job.state == State::Failed);
            let lost = |job: &Job| {
                job.state == State::Waiting && job.after.iter().any(|(at, optional)| !optional && failed(*at))
            };
            let Some(index) = self.jobs.iter().position(lost) else { return };
            self.settle(index, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans of names; `x?` is one that the others can do without.
    fn schedule(plans: &[&str]) -> Schedule {
        let mut schedule = Schedule::default();
        for plan in plans {
            let step = |word: &str| Step {
                name: word.trim_end_matches('?').into(),
                file: format!("{word}.ko"),
                parameters: String::new(),
                optional: word.ends_with('?'),
            };
            schedule.add(plan.split(' ').map(step).collect());
        }
        schedule
    }

    fn take(schedule: &mut Schedule) -> Vec<String> {
        std::iter::from_fn(|| schedule.take().map(|index| schedule.step(index).unwrap().name.clone()))
            .collect()
    }

    fn settle(schedule: &mut Schedule, name: &str, loaded: bool) {
        schedule.settle(schedule.by_name[name], loaded);
    }

    #[test]
    fn what_does_not_need_each_other_goes_at_once_and_what_is_shared_goes_once() {
        let mut schedule = schedule(&["ring virtio blk", "ring virtio net", "ahci"]);
        assert_eq!(schedule.len(), 5);
        assert_eq!(take(&mut schedule), ["ring", "ahci"]);
        settle(&mut schedule, "ring", true);
        assert_eq!(take(&mut schedule), ["virtio"]);
        settle(&mut schedule, "virtio", true);
        assert_eq!(take(&mut schedule), ["blk", "net"]);
        assert_eq!(schedule.unsettled().count(), 3);
    }

    #[test]
    fn what_needs_a_failed_module_is_not_tried_but_what_can_do_without_is() {
        let mut schedule = schedule(&["crc? erofs", "crc zfs pool", "lone"]);
        assert_eq!(take(&mut schedule), ["crc", "lone"]);
        settle(&mut schedule, "crc", false);
        assert_eq!(take(&mut schedule), ["erofs"]);
        assert_eq!(
            schedule.unsettled().map(|step| step.name.as_str()).collect::<Vec<_>>(),
            ["erofs", "lone"]
        );
    }

    #[test]
    fn circles_are_cut_somewhere() {
        let mut schedule = schedule(&["b? a", "a? b"]);
        let first = schedule.take().unwrap();
        assert_eq!(schedule.take(), None);
        schedule.settle(first, true);
        assert!(schedule.take().is_some());
    }

    #[test]
    fn a_module_is_optional_only_if_it_is_for_all() {
        let mut schedule = schedule(&["x? y", "x"]);
        let x = schedule.take().unwrap();
        assert!(!schedule.step(x).unwrap().optional);
    }
}
