//! The moments at which scripts run.

use std::time::Duration;

/// What LinuxKit's init calls by these names in its directories, and the supervisor does by itself.
const ONBOOT: &str = "010-onboot";
const SERVICES: &str = "020-containerd";
const ONSHUTDOWN: &str = "010-onshutdown";

/// A moment in the life of the machine, placed by the names of LinuxKit's own steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `/etc/init.d`, before `010-onboot`: nothing runs yet.
    BeforeOnboot,
    /// `/etc/init.d`, before `020-containerd`: `onboot` has ended.
    AfterOnboot,
    /// `/etc/init.d`, the rest: the services have been told to start.
    AfterServices,
    /// `/etc/shutdown.d`, before `010-onshutdown`: the services still run.
    BeforeStop,
    /// `/etc/shutdown.d`, the rest: the services have stopped, and `onshutdown` has ended.
    AfterOnshutdown,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 5] =
        [Self::BeforeOnboot, Self::AfterOnboot, Self::AfterServices, Self::BeforeStop, Self::AfterOnshutdown];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforeOnboot => "before-onboot",
            Self::AfterOnboot => "after-onboot",
            Self::AfterServices => "after-services",
            Self::BeforeStop => "before-stop",
            Self::AfterOnshutdown => "after-onshutdown",
        }
    }

    /// The phase with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Where its scripts are.
    #[must_use]
    pub const fn directory(self) -> &'static str {
        match self {
            Self::BeforeOnboot | Self::AfterOnboot | Self::AfterServices => "/etc/init.d",
            Self::BeforeStop | Self::AfterOnshutdown => "/etc/shutdown.d",
        }
    }

    /// How long each of its scripts may take. LinuxKit waits for ever; nobody may keep a machine from going down.
    #[must_use]
    pub const fn deadline(self) -> Duration {
        match self {
            Self::BeforeOnboot | Self::AfterOnboot | Self::AfterServices => Duration::from_secs(60),
            Self::BeforeStop | Self::AfterOnshutdown => Duration::from_secs(10),
        }
    }

    /// Whether a script with this name in its directory is one of its.
    #[must_use]
    pub fn has(self, script: &str) -> bool {
        match self {
            Self::BeforeOnboot => script < ONBOOT,
            Self::AfterOnboot => (ONBOOT..SERVICES).contains(&script),
            Self::AfterServices => script >= SERVICES,
            Self::BeforeStop => script < ONSHUTDOWN,
            Self::AfterOnshutdown => script >= ONSHUTDOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_place_scripts_around_the_steps_that_are_ours() {
        let cases = [
            ("000-issue", Phase::BeforeOnboot),
            ("005-volumes", Phase::BeforeOnboot),
            ("010-a", Phase::BeforeOnboot),
            ("010-z", Phase::AfterOnboot),
            ("015-x", Phase::AfterOnboot),
            ("020-x", Phase::AfterServices),
            ("100-x", Phase::AfterServices),
            ("cloud", Phase::AfterServices),
        ];
        for (script, expected) in cases {
            let all = Phase::ALL.into_iter().filter(|phase| phase.directory() == "/etc/init.d");
            let found: Vec<_> = all.filter(|phase| phase.has(script)).collect();
            assert_eq!(found, [expected], "{script}");
        }
        assert!(Phase::BeforeStop.has("005-drain") && Phase::AfterOnshutdown.has("020-bye"));
        assert!(!Phase::BeforeStop.has("020-bye") && !Phase::AfterOnshutdown.has("005-drain"));
    }

    #[test]
    fn every_phase_survives_its_name() {
        for phase in Phase::ALL {
            assert_eq!(Phase::from_name(phase.name()), Some(phase));
        }
    }
}
