//! The keys of supervision and order.

use super::*;

#[test]
fn keys_of_services_and_of_one_shots_do_not_mix() {
    for (text, expected) in [
        (
            "onboot: [{name: a, image: i, restart: never}]",
            "a.yml:1:30: onboot[0]: `restart` is only for services; onboot may have `timeout`, `onFailure`",
        ),
        (
            "onshutdown: [{name: a, image: i, onFailure: stop}]",
            "a.yml:1:34: onshutdown[0]: `onFailure` is only for onboot; onshutdown may have `timeout`",
        ),
        (
            "onboot: [{name: a, image: i, onFailure: explode}]",
            "must be one of the following: \"continue\", \"stop\"",
        ),
        ("onboot: [{name: a, image: i, timeout: 0s}]", "onboot[0].timeout: 0s is too short"),
    ] {
        let problems = problems(text);
        assert!(problems[0].contains(expected), "{text}\n got {problems:#?}\nwant {expected}");
    }
}

#[test]
fn a_circle_of_services_is_named_in_full_once() {
    let first = "services:\n- {name: a, image: i, after: [b]}\n- {name: b, image: i, requires: [d, c]}\n";
    let second = "services:\n- {name: c, image: i, after: [d], requires: [a]}\n- {name: d, image: i}\n";
    let error = load(&[source("1", first), source("2", second)], &NoPackages).unwrap_err();
    let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["2:2:46: services[0].requires: services wait for each other: a → b → c → a"]);
}

#[test]
fn an_order_across_files_is_accepted_and_names_that_are_no_services_are_not() {
    let first = "services: [{name: a, image: i, after: [b], requires: [b]}]";
    let second = "services: [{name: b, image: i}]";
    load(&[source("1", first), source("2", second)], &NoPackages).unwrap();
    let text = "onboot: [{name: net, image: i}]\nservices: [{name: a, image: i, after: [net]}]";
    assert_eq!(
        problems(text),
        [
            "a.yml:2:40: services[0].after: `net` is not the name of a service; it is in onboot, and that ends before any \
          service is started"
        ]
    );
}

#[test]
fn supervision_is_read_with_all_its_spellings() {
    let text = service(
        "restart: on-failure\nready: {log: '^ready', timeout: 90}\n\
         health: {exec: [/bin/check], interval: 1m30s, timeout: 500ms, retries: 2, startPeriod: 0s}\n\
         stop: {signal: INT, grace: 2s}",
    );
    let loaded = read(&format!("onboot: [{{name: o, image: i, timeout: 90s, onFailure: reboot}}]\n{text}"));
    let service = &loaded.config.services[0].overrides;
    assert_eq!(service.restart, Some(image_layout::Restart::OnFailure));
    let ready = service.ready.as_ref().unwrap();
    assert_eq!(ready.probe, image_layout::Probe::Log("^ready".to_owned()));
    assert_eq!(ready.timeout.unwrap().as_millis(), 90_000);
    let Some(Health::Check(health)) = &service.health else { panic!("{:?}", service.health) };
    assert_eq!(health.probe, image_layout::Probe::Exec(vec!["/bin/check".to_owned()]));
    let periods =
        [health.interval, health.timeout, health.start_period].map(|period| period.unwrap().as_millis());
    assert_eq!((periods, health.retries), ([90_000, 500, 0], Some(2)));
    let onboot = &loaded.config.onboot[0].overrides;
    assert_eq!(onboot.on_failure, Some(image_layout::OnFailure::Reboot));
    assert_eq!(onboot.timeout.unwrap().as_millis(), 90_000);
    let yaml = loaded.config.to_yaml().unwrap();
    let again = read(&yaml).config;
    assert_eq!(&again.services[0].overrides, service, "{yaml}");
    assert_eq!(&again.onboot[0].overrides, onboot, "{yaml}");
    assert!(matches!(
        read(&super::service("health: none")).config.services[0].overrides.health,
        Some(Health::Off(_))
    ));
}

#[test]
fn the_example_of_supervision_says_what_it_shows() {
    struct AnyPackage;
    impl PackageResolver for AnyPackage {
        fn tag(&self, dir: &Path) -> Result<String, String> {
            Ok(format!("lkb/{}:1", dir.file_name().unwrap().to_str().unwrap()))
        }
    }
    let mut example = source("supervised.yml", include_str!("../../../../examples/supervised.yml"));
    example.dir = Some("/examples".into());
    let config = load(&[example], &AnyPackage).unwrap_or_else(|error| panic!("{error}")).config;
    let slapd = &config.services[1].overrides;
    assert_eq!(slapd.after.as_deref(), Some(&["rngd".to_owned()][..]));
    assert_eq!(slapd.ready.as_ref().unwrap().probe, image_layout::Probe::Tcp(389));
    assert_eq!(slapd.stop.as_ref().unwrap().grace.unwrap().as_millis(), 30_000);
    assert_eq!(config.services[2].overrides.requires.as_deref(), Some(&["slapd".to_owned()][..]));
    assert_eq!(config.onboot[0].overrides.on_failure, Some(image_layout::OnFailure::Stop));
    assert_eq!(config.onboot[1].overrides.timeout.unwrap().as_millis(), 30_000);
}
