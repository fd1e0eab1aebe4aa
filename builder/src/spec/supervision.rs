//! How the supervisor treats a container: YAML, then label, then the image's STOPSIGNAL and HEALTHCHECK.

use image_layout::{Health, Probe, Ready, Runtime, Stop, signal_number};

use super::error::Fault;
use super::layers::Layers;
use super::{ImageInfo, Section};
use crate::config::{self, HealthCheck, Period};
use crate::image::Healthcheck;

/// The signal that asks a container to stop when nothing else was said.
const SIGTERM: u32 = 15;
/// What Docker takes where a HEALTHCHECK does not say (Dockerfile reference, "HEALTHCHECK").
const DOCKER_INTERVAL_MS: u64 = 30_000;
const DOCKER_TIMEOUT_MS: u64 = 30_000;
const DOCKER_RETRIES: u32 = 3;
const DOCKER_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Fills in the keys that mean something in `section`; those of a label that do not are passed over, as a package
/// may be used in any.
pub(super) fn supervision(
    runtime: &mut Runtime,
    layers: Layers<'_>,
    image: &ImageInfo<'_>,
    section: Section,
) -> Result<(), Fault> {
    if section == Section::Services {
        runtime.restart = layers.pick(|o| o.restart.as_ref()).copied().unwrap_or_default();
        runtime.after = layers.list(|o| o.after.as_ref()).to_vec();
        runtime.requires = layers.list(|o| o.requires.as_ref()).to_vec();
        runtime.ready = layers.pick(|o| o.ready.as_ref()).map(ready);
        runtime.health = health(layers, image)?;
        runtime.stop = stop(layers, image)?;
    } else {
        runtime.timeout_ms = milliseconds(layers.pick(|o| o.timeout.as_ref()));
    }
    if section == Section::Onboot {
        runtime.on_failure = layers.pick(|o| o.on_failure.as_ref()).copied().unwrap_or_default();
    }
    Ok(())
}

fn ready(ready: &config::Ready) -> Ready {
    Ready { probe: ready.probe.clone(), timeout_ms: milliseconds(ready.timeout.as_ref()) }
}

fn health(layers: Layers<'_>, image: &ImageInfo<'_>) -> Result<Option<Health>, Fault> {
    match (layers.pick(|o| o.health.as_ref()), image.healthcheck) {
        (Some(config::Health::Off(_)), _) => Ok(None),
        (Some(config::Health::Check(check)), _) => Ok(Some(check_of(check))),
        (None, Some(check)) => of_docker(check),
        (None, None) => Ok(None),
    }
}

fn check_of(check: &HealthCheck) -> Health {
    Health {
        probe: check.probe.clone(),
        interval_ms: milliseconds(check.interval.as_ref()),
        timeout_ms: milliseconds(check.timeout.as_ref()),
        retries: check.retries,
        start_period_ms: milliseconds(check.start_period.as_ref()),
    }
}

fn of_docker(check: &Healthcheck) -> Result<Option<Health>, Fault> {
    let command = match check.test.split_first() {
        None => return Ok(None),
        Some((word, [])) if word == "NONE" => return Ok(None),
        Some((word, [first, rest @ ..])) if word == "CMD" => {
            [first].into_iter().chain(rest).cloned().collect::<Vec<_>>()
        }
        Some((word, [line])) if word == "CMD-SHELL" => {
            let shell = match check.shell.as_slice() {
                [] => DOCKER_SHELL.map(str::to_owned).to_vec(),
                shell => shell.to_vec(),
            };
            shell.into_iter().chain([line.clone()]).collect()
        }
        Some(_) => return Err(Fault::Healthcheck(check.test.join(" "))),
    };
    let positive =
        |nanoseconds: i64| u64::try_from(nanoseconds).ok().filter(|n| *n > 0).map(|n| n.div_ceil(1_000_000));
    Ok(Some(Health {
        probe: Probe::Exec(command),
        interval_ms: Some(positive(check.interval).unwrap_or(DOCKER_INTERVAL_MS)),
        timeout_ms: Some(positive(check.timeout).unwrap_or(DOCKER_TIMEOUT_MS)),
        retries: Some(u32::try_from(check.retries).ok().filter(|n| *n > 0).unwrap_or(DOCKER_RETRIES)),
        start_period_ms: positive(check.start_period),
    }))
}

/// Signal and grace each by itself, so that a grace in the YAML leaves the image its signal.
fn stop(layers: Layers<'_>, image: &ImageInfo<'_>) -> Result<Stop, Fault> {
    let given = layers.pick_text(|o| o.stop.as_ref().and_then(|stop| stop.signal.as_ref()));
    let own = || image.config.config().as_ref()?.stop_signal().as_deref().filter(|signal| !signal.is_empty());
    let signal = match given.or_else(own) {
        None => None,
        Some(name) => match signal_number(name) {
            Some(SIGTERM) => None,
            Some(_) => Some(name.to_owned()),
            None => return Err(Fault::StopSignal(name.to_owned())),
        },
    };
    Ok(Stop { signal, grace_ms: milliseconds(layers.pick(|o| o.stop.as_ref()?.grace.as_ref())) })
}

fn milliseconds(period: Option<&Period>) -> Option<u64> {
    period.map(|period| period.as_millis())
}

#[cfg(test)]
mod tests {
    use oci_spec::image::ImageConfiguration;

    use super::*;
    use crate::config::Overrides;
    use crate::spec::Profile;

    fn image(config: serde_json::Value) -> ImageConfiguration {
        let json = serde_json::json!({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "config": config,
        });
        serde_json::from_value(json).unwrap()
    }

    fn made(
        yaml: &str,
        label: &str,
        stop_signal: Option<&str>,
        healthcheck: Option<&Healthcheck>,
        section: Section,
    ) -> Result<serde_json::Value, Fault> {
        let config = image(serde_json::json!({ "StopSignal": stop_signal }));
        let image = ImageInfo { config: &config, healthcheck, passwd: None, group: None };
        let (yaml, label) = (Overrides::from_label(yaml).unwrap(), Overrides::from_label(label).unwrap());
        let mut runtime = Runtime::default();
        supervision(
            &mut runtime,
            Layers { yaml: &yaml, label: &label, profile: Profile::Compat },
            &image,
            section,
        )?;
        let mut json = serde_json::to_value(runtime).unwrap();
        for key in ["cgroups", "mounts", "mkdir", "interfaces", "bindNS", "namespace"] {
            json.as_object_mut().unwrap().remove(key);
        }
        Ok(json)
    }

    const EVERYTHING: &str = r#"{"restart":"never","ready":{"log":"x","timeout":"1s"},"health":{"tcp":5,"retries":9},
        "stop":{"signal":"INT","grace":0},"timeout":"1m","onFailure":"stop"}"#;

    #[test]
    fn each_section_takes_its_own_keys_from_a_label() {
        for (section, expected) in [
            (
                Section::Services,
                serde_json::json!({
                    "restart": "never",
                    "ready": {"log": "x", "timeoutMs": 1000},
                    "health": {"tcp": 5, "retries": 9},
                    "stop": {"signal": "INT", "graceMs": 0},
                }),
            ),
            (Section::Onboot, serde_json::json!({"timeoutMs": 60_000, "onFailure": "stop"})),
            (Section::Onshutdown, serde_json::json!({"timeoutMs": 60_000})),
        ] {
            assert_eq!(made("{}", EVERYTHING, None, None, section).unwrap(), expected, "{section:?}");
            assert_eq!(made("{}", "{}", None, None, section).unwrap(), serde_json::json!({}), "{section:?}");
        }
    }

    #[test]
    fn the_stop_signal_comes_from_yaml_then_label_then_image() {
        for (yaml, label, image, expected) in [
            ("{}", "{}", Some("SIGQUIT"), serde_json::json!({"stop": {"signal": "SIGQUIT"}})),
            (
                "{}",
                r#"{"stop":{"signal":"INT"}}"#,
                Some("SIGQUIT"),
                serde_json::json!({"stop": {"signal": "INT"}}),
            ),
            (
                r#"{"stop":{"grace":"2s"}}"#,
                "{}",
                Some("3"),
                serde_json::json!({"stop": {"signal": "3", "graceMs": 2000}}),
            ),
            (r#"{"stop":{"signal":"TERM"}}"#, "{}", Some("SIGQUIT"), serde_json::json!({})),
            ("{}", "{}", Some("15"), serde_json::json!({})),
            ("{}", "{}", Some(""), serde_json::json!({})),
        ] {
            assert_eq!(
                made(yaml, label, image, None, Section::Services).unwrap(),
                expected,
                "{yaml} {label} {image:?}"
            );
        }
        assert_eq!(
            made("{}", "{}", Some("SIGNOTHING"), None, Section::Services),
            Err(Fault::StopSignal("SIGNOTHING".to_owned()))
        );
        assert!(made("{}", "{}", Some("SIGNOTHING"), None, Section::Onboot).is_ok());
    }

    #[test]
    fn an_images_healthcheck_is_honoured_with_dockers_defaults() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let check = |test: Vec<String>| Healthcheck { test, ..Healthcheck::default() };
        let defaults = |exec: Vec<String>| serde_json::json!({"health": {"exec": exec, "intervalMs": 30_000, "timeoutMs": 30_000, "retries": 3}});
        let own = Healthcheck {
            interval: 1_500_000_000,
            timeout: 1,
            start_period: 2_000_000,
            retries: 7,
            ..check(words("CMD /c -x"))
        };
        let shell =
            Healthcheck { shell: words("/bin/ash -ec"), ..check(vec!["CMD-SHELL".into(), "a || b".into()]) };
        let line = check(vec!["CMD-SHELL".into(), "a || b".into()]);
        for (check, expected) in [
            (check(words("NONE")), serde_json::json!({})),
            (check(words("CMD /c -x")), defaults(words("/c -x"))),
            (line, defaults(vec!["/bin/sh".into(), "-c".into(), "a || b".into()])),
            (shell, defaults(vec!["/bin/ash".into(), "-ec".into(), "a || b".into()])),
            (
                own,
                serde_json::json!({"health": {
                    "exec": ["/c", "-x"], "intervalMs": 1500, "timeoutMs": 1, "retries": 7, "startPeriodMs": 2,
                }}),
            ),
        ] {
            assert_eq!(
                made("{}", "{}", None, Some(&check), Section::Services).unwrap(),
                expected,
                "{check:?}"
            );
        }
        for test in ["DANCE x", "CMD", "NONE x"] {
            let error = made("{}", "{}", None, Some(&check(words(test))), Section::Services).unwrap_err();
            assert_eq!(error, Fault::Healthcheck(test.to_owned()));
        }
    }

    #[test]
    fn a_healthcheck_can_be_replaced_and_switched_off() {
        let check = Healthcheck { test: vec!["CMD".into(), "/c".into()], ..Healthcheck::default() };
        for (yaml, label, expected) in [
            (r#"{"health":"none"}"#, r#"{"health":{"tcp":1}}"#, serde_json::json!({})),
            ("{}", r#"{"health":"none"}"#, serde_json::json!({})),
            (
                r#"{"health":{"file":"/y"}}"#,
                r#"{"health":"none"}"#,
                serde_json::json!({"health": {"file": "/y"}}),
            ),
        ] {
            let got = made(yaml, label, None, Some(&check), Section::Services).unwrap();
            assert_eq!(got, expected, "{yaml} {label}");
        }
    }
}
