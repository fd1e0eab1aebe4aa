//! What an image asks to be run, from what lies in `/containers`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use image_layout::{Health, OnFailure, Probe, Ready, Runtime};

use super::dependencies::{Bond, Dependencies, Need};
use super::logs::{self, Stream};
use super::machine::Policy;
use super::probe::{HealthPlan, ReadyPlan};

use crate::engine::{Container, TaskId};
use crate::runtime::valid_id;

/// Where image builders keep an image's STOPSIGNAL (OCI image-spec, conversion.md).
const STOP_SIGNAL_ANNOTATION: &str = "org.opencontainers.image.stopSignal";
const SIGTERM: u32 = 15;

/// A directory of a container, as it was found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The directory's name.
    pub name: String,
    /// The directory.
    pub path: PathBuf,
    /// `config.json`; null when it could not be read, which its start will report.
    pub config: serde_json::Value,
    /// `runtime.json`.
    pub runtime: Runtime,
}

/// Everything that was found in an image.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// `containers/onboot`
    pub onboot: Vec<Found>,
    /// `containers/services`
    pub services: Vec<Found>,
    /// `containers/onshutdown`
    pub onshutdown: Vec<Found>,
}

impl Image {
    /// All of them.
    pub fn containers(&self) -> impl Iterator<Item = &Found> {
        [&self.onboot, &self.services, &self.onshutdown].into_iter().flatten()
    }
}

/// What is run, in the order in which it is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Once, one after another, before the services.
    pub onboot: Vec<OneShot>,
    /// Side by side, for as long as the machine runs.
    pub services: Vec<Service>,
    /// Which of them wait for which.
    pub dependencies: Dependencies,
    /// Once, one after another, after the services.
    pub onshutdown: Vec<OneShot>,
    /// Names that cannot be run.
    pub problems: Vec<String>,
}

/// A container that runs once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneShot {
    /// Its id: the directory's name.
    pub id: String,
    /// Its directory.
    pub bundle: PathBuf,
    /// How long it may take, unless its sequence has a limit for all.
    pub deadline: Option<Duration>,
    /// What follows when it fails.
    pub on_failure: OnFailure,
}

/// A container that is kept running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What the engine needs to know.
    pub container: Container,
    /// How it is run.
    pub policy: Policy,
    /// How one knows that it serves.
    pub ready: Option<Ready>,
    /// How it is looked after.
    pub health: Option<Health>,
    /// Whether something must be done between its creation and its start.
    pub attach: bool,
}

impl Service {
    /// The service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.container.task.id
    }
}

/// Puts what was found in order: by name, as bytes.
#[must_use]
pub fn plan(image: Image) -> Plan {
    let mut plan = Plan::default();
    for (found, one_shots) in [(image.onboot, &mut plan.onboot), (image.onshutdown, &mut plan.onshutdown)] {
        for found in sorted(found, &mut plan.problems) {
            one_shots.push(OneShot {
                id: found.name,
                bundle: found.path,
                deadline: found.runtime.timeout_ms.map(Duration::from_millis),
                on_failure: found.runtime.on_failure,
            });
        }
    }
    let services = sorted(image.services, &mut plan.problems);
    let asked = services.iter().map(|found| (found.name.clone(), needs(&found.runtime))).collect();
    plan.dependencies = Dependencies::new(asked, &mut plan.problems);
    plan.services = services.into_iter().map(|found| service(found, &mut plan.problems)).collect();
    plan
}

fn needs(runtime: &Runtime) -> Vec<Need> {
    // A requirement is the stronger of two bonds, and so comes first.
    let all = [(&runtime.requires, Bond::Requires), (&runtime.after, Bond::After)];
    let mut needs: BTreeMap<&String, Bond> = BTreeMap::new();
    for (names, bond) in all {
        for name in names {
            needs.entry(name).or_insert(bond);
        }
    }
    needs.into_iter().map(|(name, bond)| Need { name: name.clone(), bond }).collect()
}

fn sorted(mut found: Vec<Found>, problems: &mut Vec<String>) -> Vec<Found> {
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.retain(|found| {
        let valid = valid_id(&found.name);
        if !valid {
            problems
                .push(format!("{} is not run: its name cannot be a container's id", found.path.display()));
        }
        valid
    });
    found
}

fn service(found: Found, problems: &mut Vec<String>) -> Service {
    let annotated = || {
        let annotations = found.config.pointer("/annotations")?;
        annotations.get(STOP_SIGNAL_ANNOTATION)?.as_str()
    };
    let signal = found.runtime.stop.signal.as_deref().or_else(annotated).map(|name| {
        image_layout::signal_number(name).unwrap_or_else(|| {
            problems.push(format!("{}: {name:?} is not a signal; it is stopped with SIGTERM", found.name));
            SIGTERM
        })
    });
    let memory_limit = found.config.pointer("/linux/resources/memory/limit");
    let namespace = match found.runtime.namespace.as_str() {
        "" => image_layout::SERVICES_NAMESPACE.to_owned(),
        other => other.to_owned(),
    };
    Service {
        attach: !found.runtime.interfaces.is_empty()
            || found.runtime.bind_ns != image_layout::BindNamespaces::default(),
        policy: Policy {
            restart: found.runtime.restart,
            stop_signal: signal.unwrap_or(SIGTERM),
            grace: found.runtime.stop.grace(),
            ready: found.runtime.ready.as_ref().map(ready_plan),
            health: found.runtime.health.as_ref().map(health_plan),
            memory_limit: memory_limit.and_then(serde_json::Value::as_u64).filter(|bytes| *bytes > 0),
        },
        ready: found.runtime.ready,
        health: found.runtime.health,
        container: Container {
            task: TaskId { namespace, id: found.name.clone() },
            bundle: found.path.clone(),
            stdout: logs::fifo_path(&found.name, Stream::Out),
            stderr: logs::fifo_path(&found.name, Stream::Err),
        },
    }
}

fn ready_plan(ready: &Ready) -> ReadyPlan {
    ReadyPlan { timeout: ready.timeout(), patient: matches!(ready.probe, Probe::Log(_)) }
}

fn health_plan(health: &Health) -> HealthPlan {
    HealthPlan {
        interval: health.interval(),
        timeout: health.timeout(),
        retries: health.retries(),
        start_period: health.start_period(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image_layout::{Restart, Stop};

    use super::*;

    fn found(name: &str) -> Found {
        Found { name: name.into(), path: Path::new("/c").join(name), ..Found::default() }
    }

    #[test]
    fn containers_are_run_in_name_order() {
        let image = Image {
            onboot: vec![found("010-b"), found("000-z"), found("001-a")],
            services: vec![found("slapd"), found("ntpd")],
            ..Image::default()
        };
        let plan = plan(image);
        let ids: Vec<&str> = plan.onboot.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["000-z", "001-a", "010-b"]);
        let names: Vec<&str> = plan.services.iter().map(Service::name).collect();
        assert_eq!(names, ["ntpd", "slapd"]);
    }

    #[test]
    fn a_name_that_cannot_be_an_id_is_reported_and_not_run() {
        let image = Image { services: vec![found("a b"), found("ok")], ..Image::default() };
        let plan = plan(image);
        assert_eq!(plan.services.len(), 1);
        assert_eq!(plan.problems, ["/c/a b is not run: its name cannot be a container's id"]);
    }

    #[test]
    fn a_service_has_linuxkits_names_and_its_images_stop_signal() {
        let mut slapd = found("slapd");
        slapd.config = serde_json::json!({"annotations": {STOP_SIGNAL_ANNOTATION: "SIGINT"}});
        slapd.runtime.interfaces.push(image_layout::Interface { name: "eth1".into(), ..Default::default() });
        let service = service(slapd, &mut Vec::new());
        assert_eq!(service.container.task.namespace, "services.linuxkit");
        assert_eq!(service.container.stdout, Path::new("/run/lkb/logs/slapd.out"));
        assert_eq!(service.container.stderr, Path::new("/run/lkb/logs/slapd.err"));
        assert_eq!(service.policy.stop_signal, 2);
        assert!(service.attach);
        let mine = Runtime { namespace: "mine".into(), ..Runtime::default() };
        let plain = super::service(Found { runtime: mine, ..found("a") }, &mut Vec::new());
        assert_eq!((plain.policy.stop_signal, plain.container.task.namespace.as_str()), (15, "mine"));
        assert!(!plain.attach);
    }

    #[test]
    fn a_service_is_run_as_its_runtime_json_says() {
        let runtime: Runtime = serde_json::from_str(
            r#"{"restart":"on-failure","stop":{"signal":"INT","graceMs":1500},"ready":{"log":"up","timeoutMs":5},
                "health":{"tcp":80,"retries":9},"requires":["db"],"after":["net","db"]}"#,
        )
        .unwrap();
        let mut web = Found { runtime, ..found("web") };
        web.config = serde_json::json!({"linux": {"resources": {"memory": {"limit": 1048576}}}});
        let mut image = Image { services: vec![found("db"), web], ..Image::default() };
        let plan = plan(image.clone());
        let policy = plan.services[1].policy;
        assert_eq!((policy.restart, policy.stop_signal), (Restart::OnFailure, 2));
        assert_eq!(policy.grace, Duration::from_millis(1500));
        assert_eq!(policy.ready, Some(ReadyPlan { timeout: Duration::from_millis(5), patient: true }));
        assert_eq!(
            policy.health.map(|health| (health.retries, health.interval)),
            Some((9, Health::INTERVAL))
        );
        assert_eq!(policy.memory_limit, Some(1 << 20));
        assert_eq!(plan.dependencies.needs("web"), [Need { name: "db".into(), bond: Bond::Requires }]);
        assert_eq!(plan.problems, ["web: there is no service \"net\" to wait for; going on without"]);

        image.services[1].runtime.stop.signal = Some("SIGNONE".into());
        let plan = super::plan(image);
        assert_eq!(plan.services[1].policy.stop_signal, SIGTERM);
        assert!(
            plan.problems.contains(&"web: \"SIGNONE\" is not a signal; it is stopped with SIGTERM".into())
        );
        let plain = service(found("a"), &mut Vec::new()).policy;
        assert_eq!((plain.restart, plain.grace, plain.memory_limit), (Restart::Always, Stop::GRACE, None));
    }

    #[test]
    fn a_one_shot_has_its_deadline_and_what_follows_its_failure() {
        let runtime =
            Runtime { timeout_ms: Some(90_000), on_failure: OnFailure::Reboot, ..Runtime::default() };
        let image =
            Image { onboot: vec![found("000-a"), Found { runtime, ..found("001-b") }], ..Image::default() };
        let steps: Vec<_> = plan(image).onboot.iter().map(|step| (step.deadline, step.on_failure)).collect();
        assert_eq!(steps, [(None, OnFailure::Continue), (Some(Duration::from_secs(90)), OnFailure::Reboot)]);
    }
}
