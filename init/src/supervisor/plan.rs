//! What an image asks to be run, from what lies in `/containers`.

use std::path::PathBuf;
use std::time::Duration;

use image_layout::Runtime;

use super::logs::{self, Stream};
use super::machine::{Policy, Restart};
use super::signal_name;
use crate::engine::{Container, TaskId};
use crate::runtime::valid_id;

/// How long a service may take to stop.
pub const GRACE: Duration = Duration::from_secs(10);
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

/// What is run, in the order in which it is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Once, one after another, before the services.
    pub onboot: Vec<OneShot>,
    /// Side by side, for as long as the machine runs.
    pub services: Vec<Service>,
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
}

/// A container that is kept running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What the engine needs to know.
    pub container: Container,
    /// How it is run.
    pub policy: Policy,
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
            one_shots.push(OneShot { id: found.name, bundle: found.path });
        }
    }
    plan.services = sorted(image.services, &mut plan.problems).into_iter().map(service).collect();
    plan
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

fn service(found: Found) -> Service {
    let signal = found
        .config
        .pointer("/annotations")
        .and_then(|annotations| annotations.get(STOP_SIGNAL_ANNOTATION)?.as_str())
        .and_then(signal_name::number);
    let namespace = match found.runtime.namespace.as_str() {
        "" => image_layout::SERVICES_NAMESPACE.to_owned(),
        other => other.to_owned(),
    };
    Service {
        attach: !found.runtime.interfaces.is_empty()
            || found.runtime.bind_ns != image_layout::BindNamespaces::default(),
        policy: Policy { restart: Restart::Always, stop_signal: signal.unwrap_or(SIGTERM), grace: GRACE },
        container: Container {
            task: TaskId { namespace, id: found.name.clone() },
            bundle: found.path.clone(),
            stdout: logs::fifo_path(&found.name, Stream::Out),
            stderr: logs::fifo_path(&found.name, Stream::Err),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        let service = service(slapd);
        assert_eq!(service.container.task.namespace, "services.linuxkit");
        assert_eq!(service.container.stdout, Path::new("/run/lkb/logs/slapd.out"));
        assert_eq!(service.container.stderr, Path::new("/run/lkb/logs/slapd.err"));
        assert_eq!(service.policy.stop_signal, 2);
        assert!(service.attach);
        let plain = super::service(Found {
            runtime: Runtime { namespace: "mine".into(), ..Runtime::default() },
            ..found("a")
        });
        assert_eq!((plain.policy.stop_signal, plain.container.task.namespace.as_str()), (15, "mine"));
        assert!(!plain.attach);
    }
}
