//! Which part of a boot took how long.

use super::{Kind, Step, Timeline, latest};

/// A stretch of the boot in which one kind of work was what the machine waited for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// The kind of work.
    pub kind: Kind,
    /// When it began, in seconds since the kernel started.
    pub start: f64,
    /// When it ended.
    pub end: f64,
}

/// The boot, cut where each kind of work came to its end: kernel, PID 1, `onboot`, services. Kinds that there were not
/// are left out; the engine is started beside `onboot` and belongs to the services that wait for it.
#[must_use]
pub fn phases(timeline: &Timeline) -> Vec<Phase> {
    let mut phases = Vec::new();
    let mut start = 0.0;
    for kind in [Kind::Kernel, Kind::Pid1, Kind::Onboot, Kind::Service] {
        let of_kind = |step: &&Step| step.kind == kind;
        if timeline.steps.iter().any(|step| of_kind(&step)) {
            let end = latest(timeline.steps.iter().filter(of_kind)).max(start);
            phases.push(Phase { kind, start, end });
            start = end;
        }
    }
    phases
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_phase_begins_where_the_one_before_it_ended() {
        let at = Duration::from_millis;
        let steps = vec![
            Step::done(Kind::Kernel, "kernel", at(0), at(1000)),
            Step::done(Kind::Pid1, "pid1/mounts", at(1010), at(1050)),
            Step::done(Kind::Engine, "containerd", at(1060), at(1400)),
            Step::done(Kind::Onboot, "000-a", at(1100), at(1200)),
            Step::done(Kind::Service, "a/start", at(1400), at(1500)),
            Step::done(Kind::Shutdown, "services", at(9000), at(9100)),
        ];
        let found = phases(&Timeline { steps, ..Timeline::default() });
        let found: Vec<_> = found.iter().map(|phase| (phase.kind, phase.start, phase.end)).collect();
        assert_eq!(
            found,
            [
                (Kind::Kernel, 0.0, 1.0),
                (Kind::Pid1, 1.0, 1.05),
                (Kind::Onboot, 1.05, 1.2),
                (Kind::Service, 1.2, 1.5)
            ]
        );
        assert!(phases(&Timeline::default()).is_empty());
    }
}
