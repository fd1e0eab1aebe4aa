//! What services wait for: `after` and `requires`, decided from how the others stand. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How a service stands, as far as those that wait for it care; from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Ready.
    Ready,
    /// On its way to be ready.
    Coming,
    /// It ended or could not be started, and will be tried again.
    Retrying,
    /// It does not run, and nobody will start it unless asked.
    Stopped,
    /// It failed for good.
    Failed,
}

/// How much one service depends on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// Order only: it waits until the other is ready, or has had its chance.
    After,
    /// It is started when the other is ready, and stopped before the other is stopped.
    Requires,
}

/// One service that another waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub name: String,
    /// How much.
    pub bond: Bond,
}

/// Whether a service may be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    #[default]
    Open,
    /// Not yet.
    Shut {
        /// The one that keeps it: of several, the one that stands worst.
        by: String,
        /// How that one stands.
        standing: Standing,
    },
}

/// What follows for a service from how those that it needs stand.
pub fn gate(needs: &[Need], standing: impl Fn(&str) -> Standing) -> Gate {
    let mut worst: Option<(&Need, Standing)> = None;
    for need in needs {
        let standing = standing(&need.name);
        let keeps = match need.bond {
            Bond::After => standing == Standing::Coming,
            Bond::Requires => standing != Standing::Ready,
        };
        if keeps && worst.is_none_or(|(_, worst)| standing > worst) {
            worst = Some((need, standing));
        }
    }
    worst.map_or(Gate::Open, |(need, standing)| Gate::Shut { by: need.name.clone(), standing })
}

/// The services of an image and what each needs, with nothing in it that cannot be carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependencies {
    needs: BTreeMap<String, Vec<Need>>,
}

impl Dependencies {
    /// Takes what was asked for; names that no service has and circles, which the builder refuses but others may
    /// write, are left out and told in `problems`.
    pub fn new(asked: BTreeMap<String, Vec<Need>>, problems: &mut Vec<String>) -> Self {
        let mut dependencies = Self::default();
        let known: BTreeSet<&String> = asked.keys().collect();
        for (name, needs) in &asked {
            // Only now an edge can close a circle: with one of an earlier name.
            dependencies.needs.insert(name.clone(), Vec::new());
            for need in needs {
                if !known.contains(&need.name) {
                    problems.push(format!(
                        "{name}: there is no service {:?} to wait for; going on without",
                        need.name
                    ));
                } else if need.name == *name || dependencies.below(&need.name).contains(name.as_str()) {
                    problems.push(format!(
                        "{name}: does not wait for {}, which would wait for it in turn",
                        need.name
                    ));
                } else if let Some(list) = dependencies.needs.get_mut(name) {
                    list.push(need.clone());
                }
            }
        }
        dependencies
    }

    /// What a service waits for.
    #[must_use]
    pub fn needs(&self, name: &str) -> &[Need] {
        self.needs.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The services that wait for this one, of either bond: those that are stopped before it.
    #[must_use]
    pub fn dependants(&self, name: &str) -> Vec<&str> {
        let waits = |needs: &[Need]| needs.iter().any(|need| need.name == name);
        self.needs.iter().filter(|(_, needs)| waits(needs)).map(|(other, _)| other.as_str()).collect()
    }

    /// All that cannot be without this one, directly or not, each after those that require it.
    #[must_use]
    pub fn requiring(&self, name: &str) -> Vec<&str> {
        let mut order = Vec::new();
        self.collect(name, &mut order, &|here| {
            let requires = |needs: &[Need]| needs.iter().any(|n| n.name == here && n.bond == Bond::Requires);
            self.needs.iter().filter(|(_, needs)| requires(needs)).map(|(other, _)| other.as_str()).collect()
        });
        order
    }

    /// All that this one cannot be without, directly or not, each after those that it requires.
    #[must_use]
    pub fn required(&self, name: &str) -> Vec<&str> {
        let mut order = Vec::new();
        self.collect(name, &mut order, &|here| {
            self.needs(here).iter().filter(|n| n.bond == Bond::Requires).map(|n| n.name.as_str()).collect()
        });
        order
    }

    /// How long it takes until each is stopped when all are, each after its dependants and in `own` time.
    #[must_use]
    pub fn stop_times(&self, own: &dyn Fn(&str) -> Duration) -> BTreeMap<&str, Duration> {
        let mut times = BTreeMap::new();
        for name in self.needs.keys() {
            self.stop_time(name, own, &mut times);
        }
        times
    }

    fn stop_time<'a>(
        &'a self,
        name: &'a str,
        own: &dyn Fn(&str) -> Duration,
        times: &mut BTreeMap<&'a str, Duration>,
    ) -> Duration {
        if let Some(time) = times.get(name) {
            return *time;
        }
        let before = self.dependants(name).into_iter().map(|other| self.stop_time(other, own, times)).max();
        let time = own(name).saturating_add(before.unwrap_or_default());
        times.insert(name, time);
        time
    }

    /// Everything that a service waits for, directly or not.
    fn below(&self, name: &str) -> BTreeSet<&str> {
        let mut order = Vec::new();
        self.collect(name, &mut order, &|here| self.needs(here).iter().map(|n| n.name.as_str()).collect());
        order.into_iter().collect()
    }

    /// Appends what `next` leads to from `name`, the farthest first. There are no circles, so it comes to an end.
    fn collect<'a>(&'a self, name: &str, order: &mut Vec<&'a str>, next: &dyn Fn(&str) -> Vec<&'a str>) {
        for other in next(name) {
            if !order.contains(&other) {
                self.collect(other, order, next);
                order.push(other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn need(name: &str, bond: Bond) -> Need {
        Need { name: name.into(), bond }
    }

    fn asked(lines: &[(&str, &[&str], &[&str])]) -> BTreeMap<String, Vec<Need>> {
        let list = |after: &[&str], requires: &[&str]| {
            let after = after.iter().map(|name| need(name, Bond::After));
            after.chain(requires.iter().map(|name| need(name, Bond::Requires))).collect()
        };
        lines.iter().map(|(name, after, requires)| ((*name).to_owned(), list(after, requires))).collect()
    }

    #[test]
    fn order_waits_for_a_chance_and_a_requirement_for_success() {
        use Standing::{Coming, Failed, Ready, Retrying, Stopped};
        for (standing, after, requires) in [
            (Ready, true, true),
            (Coming, false, false),
            (Retrying, true, false),
            (Stopped, true, false),
            (Failed, true, false),
        ] {
            let expected = |open| if open { Gate::Open } else { Gate::Shut { by: "a".into(), standing } };
            assert_eq!(gate(&[need("a", Bond::After)], |_| standing), expected(after), "{standing:?}");
            assert_eq!(gate(&[need("a", Bond::Requires)], |_| standing), expected(requires), "{standing:?}");
        }
    }

    #[test]
    fn the_worst_news_is_told() {
        let needs = [need("a", Bond::After), need("b", Bond::Requires), need("c", Bond::Requires)];
        let standing = |failed: &'static str| {
            move |name: &str| if name == failed { Standing::Failed } else { Standing::Coming }
        };
        let shut = |by: &str, standing| Gate::Shut { by: by.into(), standing };
        assert_eq!(gate(&needs, standing("c")), shut("c", Standing::Failed));
        assert_eq!(gate(&needs, standing("a")), shut("b", Standing::Coming));
        assert_eq!(gate(&[], |_| Standing::Failed), Gate::Open);
    }

    #[test]
    fn what_cannot_be_carried_out_is_told_and_left_out() {
        let mut problems = Vec::new();
        let lines: [(&str, &[&str], &[&str]); 3] =
            [("a", &["b", "ghost"], &[]), ("b", &[], &["c"]), ("c", &["a"], &["c"])];
        let dependencies = Dependencies::new(asked(&lines), &mut problems);
        assert_eq!(
            problems,
            [
                "a: there is no service \"ghost\" to wait for; going on without",
                "c: does not wait for a, which would wait for it in turn",
                "c: does not wait for c, which would wait for it in turn"
            ]
        );
        assert_eq!(dependencies.needs("a"), [need("b", Bond::After)]);
        assert_eq!(dependencies.needs("c"), []);
    }

    #[test]
    fn both_directions_are_walked_farthest_first() {
        let lines: [(&str, &[&str], &[&str]); 5] = [
            ("web", &[], &["app"]),
            ("app", &[], &["db"]),
            ("job", &[], &["db"]),
            ("db", &["disk"], &[]),
            ("disk", &[], &[]),
        ];
        let dependencies = Dependencies::new(asked(&lines), &mut Vec::new());
        assert_eq!(dependencies.requiring("db"), ["web", "app", "job"]);
        assert_eq!(dependencies.required("web"), ["db", "app"]);
        assert_eq!(dependencies.dependants("db"), ["app", "job"]);
        assert_eq!(dependencies.dependants("disk"), ["db"]);
        assert!(dependencies.requiring("disk").is_empty());
        let own = |name: &str| Duration::from_secs(if name == "job" { 10 } else { 1 });
        let times = dependencies.stop_times(&own);
        let seconds = ["disk", "db", "app", "job", "web"].map(|name| times[name].as_secs());
        assert_eq!(seconds, [12, 11, 2, 10, 1]);
    }

    proptest! {
        #[test]
        fn whatever_is_asked_has_no_circles(edges in prop::collection::vec((0_u8..8, 0_u8..9, any::<bool>()), 0..40)) {
            let mut asked: BTreeMap<String, Vec<Need>> = (0..8).map(|n: u8| (n.to_string(), Vec::new())).collect();
            for (from, to, requires) in edges {
                let bond = if requires { Bond::Requires } else { Bond::After };
                asked.get_mut(&from.to_string()).unwrap().push(need(&to.to_string(), bond));
            }
            let dependencies = Dependencies::new(asked.clone(), &mut Vec::new());
            for name in asked.keys() {
                prop_assert!(!dependencies.below(name).contains(name.as_str()));
            }
        }
    }
}
