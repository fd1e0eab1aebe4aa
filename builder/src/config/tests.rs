//! The configuration from the outside: [`load`] and what it answers.

use std::path::Path;

use proptest::prelude::*;

use super::*;

struct NoPackages;

impl PackageResolver for NoPackages {
    fn tag(&self, _: &Path) -> Result<String, String> {
        Err("there are no packages here".to_owned())
    }
}

struct Packages;

impl PackageResolver for Packages {
    fn tag(&self, dir: &Path) -> Result<String, String> {
        match dir.to_str() {
            Some("/src/pkg/good") => Ok("lkb/good:abc".to_owned()),
            _ => Err("no build.yml".to_owned()),
        }
    }
}

fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned(), dir: None }
}

fn read(text: &str) -> Loaded {
    match load(&[source("a.yml", text)], &NoPackages) {
        Ok(loaded) => loaded,
        Err(error) => panic!("{error}\n---\n{text}"),
    }
}

fn problems(text: &str) -> Vec<String> {
    let error = load(&[source("a.yml", text)], &NoPackages).expect_err(text);
    error.problems.iter().map(ToString::to_string).collect()
}

/// A service `s` with these lines in it.
fn service(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  - name: s\n    image: i\n{lines}")
}

const EXAMPLE: &str = include_str!("../../tests/data/example.yml");

#[test]
fn a_whole_machine_loads() {
    let Loaded { config, warnings } = read(EXAMPLE);
    let kernel = config.kernel.as_ref().unwrap();
    assert_eq!(kernel.image.reference, "linuxkit/kernel:6.12.59");
    assert_eq!(kernel.image.spot.to_string(), "a.yml:3:10");
    assert_eq!(kernel.binary, "kernel");
    assert_eq!(kernel.tar.as_deref(), Some("kernel.tar"));
    assert_eq!(config.init.len(), 4);
    let names: Vec<&str> = config.onboot.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["sysctl", "dhcpcd", "format", "mount", "metadata"]);
    assert_eq!(config.onboot[1].overrides.command.as_ref().unwrap().len(), 6);
    assert_eq!(config.services[0].overrides.capabilities.as_deref(), Some(&["all".to_owned()][..]));
    assert_eq!(config.files.len(), 4);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().contains("trust.org is not yet enforced"), "{}", warnings[0]);
}

#[test]
fn a_configuration_survives_being_printed_and_read_again() {
    let everything = format!("{EXAMPLE}\n{}", include_str!("../../tests/data/every-field.yml"));
    let merged = load(
        &[source("a", EXAMPLE), source("b", include_str!("../../tests/data/every-field.yml"))],
        &NoPackages,
    )
    .unwrap_or_else(|error| panic!("{error}\n{everything}"))
    .config;
    let yaml = merged.to_yaml().unwrap();
    let again =
        load(&[source("printed", &yaml)], &NoPackages).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    assert_eq!(again.config.to_yaml().unwrap(), yaml);
    assert_eq!(again.config.to_json().unwrap(), merged.to_json().unwrap());
    for (a, b) in merged.containers().zip(again.config.containers()) {
        assert_eq!(a.overrides, b.overrides, "{}", a.name);
    }
}

#[test]
fn every_field_is_kept_whatever_the_case_of_its_key() {
    let config = read(include_str!("../../tests/data/every-field.yml")).config;
    let json = config.to_json().unwrap();
    for key in [
        "kernelTCP",
        "disableOOMKiller",
        "realtimeRuntime",
        "realtimePeriod",
        "hugepageLimits",
        "leafWeight",
        "weightDevice",
        "throttleReadBpsDevice",
        "throttleWriteBpsDevice",
        "throttleReadIOPSDevice",
        "throttleWriteIOPSDevice",
        "classID",
        "hostID",
        "containerID",
        "maskedPaths",
        "readonlyPaths",
        "additionalGids",
        "noNewPrivileges",
        "oomScoreAdj",
        "rootfsPropagation",
        "cgroupsPath",
        "uidMappings",
        "gidMappings",
        "bindNS",
        "createInRoot",
        "capabilities.add",
        "binds.add",
    ] {
        assert!(json.contains(&format!("\"{key}\"")), "{key} is lost");
    }
    let resources = config.services[0].overrides.resources.as_ref().unwrap();
    assert_eq!(resources.memory.as_ref().unwrap().disable_oom_killer, Some(true));
    assert_eq!(resources.cpu.as_ref().unwrap().realtime_period, Some(1_000_000));
    assert_eq!(resources.network.as_ref().unwrap().class_id, Some(1_048_577));
    let mappings = config.services[0].overrides.uid_mappings.as_ref().unwrap();
    assert_eq!((mappings[0].host, mappings[0].container, mappings[0].size), (1000, 0, 10));
}

#[test]
fn each_mistake_is_named_with_its_place() {
    for (text, expected) in [
        ("servces: []", "a.yml:1:1: unknown key `servces`; did you mean `services`?"),
        ("servces:", "a.yml:1:1: unknown key `servces`; did you mean `services`?"),
        (
            "kernel:\n  image: k\n  cmdline: 5",
            "a.yml:3:12: kernel.cmdline: expected a string, found 5; put it in quotes",
        ),
        ("init: x", "a.yml:1:7: init: expected a list, found `x`"),
        ("init: [~]", "a.yml:1:8: init[0]: expected a string, found nothing"),
        ("init: ['']", "a.yml:1:8: init[0]: the image is empty"),
        ("init: [a b]", "a.yml:1:8: init[0]: image `a b` has blanks in it"),
        ("kernel: {}", "a.yml:1:9: kernel: image is required"),
        ("services: [{name: s}]", "a.yml:1:12: services[0]: image is required"),
        ("services: [{image: s}]", "a.yml:1:12: services[0]: name is required"),
        ("onboot: [{name: a/b, image: i}]", "a.yml:1:17: onboot[0].name: name `a/b` cannot be a file name"),
        ("volumes: [{name: A}]", "a.yml:1:18: volumes[0].name: invalid volume name: `A`"),
        (
            "volumes: [{name: a, format: tar}]",
            "a.yml:1:29: volumes[0].format: `tar` must be one of the following: \"oci\", \"filesystem\"",
        ),
        ("volumes: [{name: a}, {name: a}]", "a.yml:1:29: duplicate volume name: a; first at a.yml:1:18"),
        (
            "services: [{name: a, image: i}, {name: a, image: i}]",
            "a.yml:1:40: duplicate service name: a; first at a.yml:1:19",
        ),
        ("files: [{path: x}]", "a.yml:1:9: files[0]: contents of file (x) not specified"),
        (
            "files: [{path: x, contents: a, symlink: b}]",
            "a.yml:1:9: files[0]: file (x) can be only one of contents, symlink",
        ),
        ("files: [{path: x, contents: a, directory: true}]", "can be only one of contents, directory"),
        ("files: [{contents: a}]", "a.yml:1:9: files[0]: path is required"),
        ("files: [{path: ../x, contents: a}]", "path `../x` has a `..` in it"),
        (
            "files: [{path: x, contents: a, mode: 0644}]",
            "a.yml:1:38: files[0].mode: expected a string, found 0644; put it in quotes",
        ),
        ("files: [{path: x, contents: a, mode: '0888'}]", "mode `0888` is not an octal number"),
        ("files: [{path: x, contents: a, uid: nobody}]", "a.yml:1:37: files[0].uid: cannot find id: nobody"),
        ("files: [{path: x, metadata: xml}]", "`xml` must be one of the following: \"yaml\", \"json\""),
        ("a: &a [x]\ninit: *a", "a.yml:1:1: unknown key `a`"),
        ("init: [x]\ninit: [y]", "a.yml:2:1: key `init` is given twice; first in line 1"),
        ("", "a.yml:1:1: the file is empty"),
        ("# nothing\n", "a.yml:1:1: the file is empty"),
        ("- a", "a.yml:1:1: expected a mapping, found a list"),
        ("kernel: {image: k}\n---\ninit: []", "a.yml:3:1: only single YAML document expected"),
        ("init: [\"@pkg:./x\"]", "relative to the configuration's directory, and this one has none"),
        ("init: [\"@foo\"]", "image `@foo` is no reference"),
    ] {
        let problems = problems(text);
        assert!(problems[0].contains(expected), "{text}\n got {problems:#?}\nwant {expected}");
    }
}

#[test]
fn each_mistake_in_a_container_is_named_with_its_place() {
    for (lines, expected) in [
        ("bind: []", "a.yml:4:5: services[0]: unknown key `bind`; did you mean `binds`?"),
        ("readOnly: true", "unknown key `readOnly`; did you mean `readonly`?"),
        ("binds: [/a]", "a.yml:4:13: services[0].binds[0]: bind `/a` has no `:`"),
        ("binds: ['/a:/b:ro:x']", "more than two `:`"),
        ("binds: ['data:/b']", "a.yml:4:13: services[0].binds: volume data not found"),
        ("binds.add: ['data:/b']", "services[0].binds.add: volume data not found"),
        (
            "mounts: [{type: bind, source: data, destination: /b}]",
            "services[0].mounts[0]: volume data not found",
        ),
        ("tmpfs: ['/a:b:c']", "more than one `:`"),
        ("capabilities: [CAP_SYS_ADMN]", "unknown capability: CAP_SYS_ADMN; did you mean `CAP_SYS_ADMIN`?"),
        ("capabilities: [CAP_KILL, all]", "a.yml:4:30: services[0].capabilities: `all` must stand alone"),
        ("rlimits: ['nofile,1']", "rlimit `nofile,1` is not `NAME,SOFT,HARD`"),
        ("rlimits: ['files,1,1']", "unknown limit: files"),
        ("uid: -1", "-1 is out of range: 0 to 4294967295"),
        ("uid: t", "services[0].uid: cannot find id: t is not the name of a container; did you mean `s`?"),
        ("additionalGids: [1, zebra]", "cannot find id: zebra"),
        ("oomScoreAdj: 2000", "2000 is out of range: -1000 to 1000"),
        ("readonly: 'yes'", "services[0].readonly: expected true or false, found `yes`"),
        ("net: hots", "namespace `hots` is neither `host`, `new` nor an absolute path"),
        ("cwd: tmp", "path `tmp` does not start with `/`"),
        (
            "sysctl: {net.ipv4.ip_forward: 1}",
            "services[0].sysctl.net.ipv4.ip_forward: expected a string, found 1; put it in quotes",
        ),
        (
            "devices: [{path: /dev/x, type: c, major: 1, minor: 3}]",
            "services[0].devices[0]: mode is required",
        ),
        (
            "devices: [{path: /dev/x, type: c, major: 1, minor: 3, mode: 0666}]",
            "expected a string, found 0666",
        ),
        (
            "resources: {memory: {limit: 1g}}",
            "services[0].resources.memory.limit: expected an integer, found `1g`",
        ),
        ("resources: {memory: {disableOomKiller: true}}", "did you mean `disableOOMKiller`?"),
        ("runtime: {interfaces: [{add: veth}]}", "services[0].runtime.interfaces[0]: name is required"),
        ("rootfsPropagation: none", "must be one of the following"),
        (
            "restart: sometimes",
            "a.yml:4:14: services[0].restart: `sometimes` must be one of the following: \"always\", \"on-failure\", \"never\"",
        ),
        ("restarts: never", "unknown key `restarts`; did you mean `restart`?"),
        (
            "timeout: 5s",
            "a.yml:4:5: services[0]: `timeout` is only for onboot and onshutdown; services may have `restart`,",
        ),
        ("ready: {tcp: 0}", "a.yml:4:18: services[0].ready.tcp: 0 is out of range: 1 to 65535"),
        ("ready: {tcp: 65536}", "out of range"),
        ("ready: {tcp: http}", "services[0].ready.tcp: expected an integer, found `http`"),
        ("ready: {timeout: 5s}", "a.yml:4:12: services[0].ready: give one of log, tcp, exec, file"),
        ("ready: {tcp: 1, log: x}", "a.yml:4:12: services[0].ready: can be only one of log, tcp"),
        ("ready: {exec: []}", "a.yml:4:19: services[0].ready.exec: there is no command"),
        ("ready: {file: run/x}", "path `run/x` does not start with `/`"),
        ("ready: {log: '('}", "a.yml:4:18: services[0].ready.log: `(` is not a regular expression: "),
        (
            "ready: {tcp: 1, timeout: soon}",
            "services[0].ready.timeout: `soon` is not a duration such as `10s`",
        ),
        ("ready: {tcp: 1, timeout: 0}", "services[0].ready.timeout: 0s is too short: at least 1ms"),
        (
            "ready: {tcp: 1, timeout: 1.5}",
            "expected a duration such as `10s`, `1m30s`, `500ms` or 10 (seconds), found 1.5",
        ),
        ("ready: {tcp: 1, interval: 1s}", "unknown key `interval`"),
        ("health: never", "services[0].health: expected a mapping or `none`, found `never`"),
        ("health: {retries: 1}", "services[0].health: give one of log, tcp, exec, file"),
        ("health: {tcp: 1, interval: 1ms}", "services[0].health.interval: 1ms is too short: at least 100ms"),
        ("stop: {signal: SIGSTOPP}", "services[0].stop.signal: `SIGSTOPP` is not a signal"),
        ("stop: {grace: -1}", "-1 seconds is out of range"),
        ("after: [t]", "a.yml:4:13: services[0].after: `t` is not the name of a service; did you mean `s`?"),
        ("requires: [s]", "a.yml:4:16: services[0].requires: services wait for each other: s → s"),
    ] {
        let text = service(lines);
        let problems = problems(&text);
        assert!(problems[0].contains(expected), "{text}\n got {problems:#?}\nwant {expected}");
    }
}

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
        read(&self::service("health: none")).config.services[0].overrides.health,
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
    let mut example = source("supervised.yml", include_str!("../../../examples/supervised.yml"));
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

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "kernel:\n  cmdline: 5\n  images: k\nservces: []\nfiles:\n  - path: x\n    mod: '1'\n";
    let problems = problems(text);
    let places: Vec<&str> = problems.iter().map(|p| p.split(' ').next().unwrap()).collect();
    assert_eq!(places, ["a.yml:2:3:", "a.yml:2:12:", "a.yml:3:3:", "a.yml:4:1:", "a.yml:6:5:", "a.yml:7:5:"]);
}

#[test]
fn the_report_shows_the_line_with_a_caret() {
    let error = load(&[source("a.yml", "init: []\nservces: []\n")], &NoPackages).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.yml:2:1: unknown key `servces`; did you mean `services`?\n  2 | servces: []\n    | ^"
    );
}

#[test]
fn what_is_legal_is_accepted() {
    for text in [
        "services:\nonboot:\ninit: [x]\n",
        "files: [{path: /x/, directory: true}]",
        "files: [{path: x, directory: false, contents: ''}]",
        "files: [{path: x, source: ~/x, optional: true, uid: root, gid: ''}]",
        "files: [{path: x, contents: 'yes', uid: s}]\nservices: [{name: s, image: i}]",
        "onboot: [{name: a, image: i}, {name: a, image: i}]",
        "volumes: [{name: v}]\nonboot: [{name: a, image: i, binds: ['v:/x:ro']}]",
        "init: &a [x]\ntrust: {image: *a}",
        "init: [x]\r\nservices: []\r\n",
        "\u{feff}init: [x]",
        "---\ninit: [x]\n...\n",
        "{\"init\":[\"x\"],\"services\":[{\"name\":\"s\",\"image\":\"i\",\"readonly\":true}]}",
    ] {
        read(text);
    }
    for lines in [
        "capabilities: [ALL]",
        "capabilities: []",
        "ambient: [none]",
        "net: none",
        "net: /run/netns/x",
        "uid: 5",
        "uid: '5'",
        "gid: s",
        "devices: [{path: all, type: b}]",
        "rlimits: ['NOFILE, 1, unlimited']",
        "mounts: [{type: cgroup, options: [rw]}]",
    ] {
        read(&service(lines));
    }
}

#[test]
fn files_have_modes_owners_and_kinds() {
    let text = "services: [{name: s, image: i}]\nfiles:\n\
        - {path: a, contents: x}\n\
        - {path: b, directory: true}\n\
        - {path: c, symlink: /x, mode: '0777'}\n\
        - {path: d, source: ~/x, optional: true, uid: 5, gid: s}\n\
        - {path: e, metadata: json}\n";
    let files = read(text).config.files;
    let modes: Vec<u32> = files.iter().map(|file| file.mode).collect();
    assert_eq!(modes, [0o600, 0o700, 0o777, 0o600, 0o600]);
    let kinds: Vec<FileKind> = files.iter().map(|file| file.kind.clone()).collect();
    assert_eq!(
        kinds,
        [
            FileKind::Contents("x".to_owned()),
            FileKind::Directory,
            FileKind::Symlink("/x".to_owned()),
            FileKind::Source("~/x".to_owned()),
            FileKind::Metadata(MetadataFormat::Json),
        ]
    );
    assert!(files[3].optional && !files[0].optional);
    assert_eq!((&files[3].uid, &files[3].gid), (&Id::Number(5), &Id::Name("s".to_owned())));
    assert_eq!(files[4].spot.to_string(), "a.yml:7:10");
}

#[test]
fn later_files_override_the_kernels_scalars_and_append_to_lists() {
    let first = "kernel: {image: k1, cmdline: a, tar: none, ucode: u}\ninit: [i1]\nvolumes: [{name: v}]\n\
        services: [{name: s1, image: i}]\ntrust: {org: [x]}";
    let second = "kernel: {cmdline: b, binary: bz}\ninit: [i2]\n\
        services: [{name: s2, image: i, binds: ['v:/data'], uid: s1}]\ntrust: {org: [y]}";
    let loaded = load(&[source("1", first), source("2", second)], &NoPackages).unwrap();
    let Config { kernel, init, volumes, services, trust, .. } = loaded.config;
    let kernel = kernel.unwrap();
    assert_eq!(kernel.image.reference, "k1");
    assert_eq!((kernel.cmdline.as_str(), kernel.binary.as_str()), ("b", "bz"));
    assert_eq!((kernel.tar, kernel.ucode.as_deref()), (None, Some("u")));
    let init: Vec<String> = init.iter().map(|image| format!("{image} {}", image.spot)).collect();
    assert_eq!(init, ["i1 1:2:8", "i2 2:2:8"]);
    assert_eq!((volumes.len(), services.len(), trust.org.len()), (1, 2, 2));
}

#[test]
fn names_must_be_unique_over_all_files() {
    let text = "services: [{name: s, image: i}]";
    let error = load(&[source("1", text), source("2", text)], &NoPackages).unwrap_err();
    assert_eq!(error.problems[0].to_string(), "2:1:19: duplicate service name: s; first at 1:1:19");
}

#[test]
fn empty_scalars_do_not_override_but_an_empty_tar_means_none() {
    let first = source("1", "kernel: {image: k, cmdline: a, binary: b}");
    let second = source("2", "kernel: {cmdline: '', binary: '', tar: ''}");
    let kernel = load(&[first, second], &NoPackages).unwrap().config.kernel.unwrap();
    assert_eq!((kernel.cmdline.as_str(), kernel.binary.as_str(), kernel.tar), ("a", "b", None));
}

#[test]
fn packages_are_resolved_relative_to_their_file() {
    let text = "kernel: {image: '@pkg:./pkg/good'}\ninit: ['@lkt:pkg:pkg/good', '@pkg:./pkg/bad']\n\
        volumes: [{name: v, image: '@pkg:pkg/good'}]\nservices: [{name: s, image: '@pkg:pkg/good'}]\n\
        files: [{path: x, contents: '@pkg:pkg/good'}]";
    let mut source = source("/src/a.yml", text);
    source.dir = Some("/src".into());
    let error = load(std::slice::from_ref(&source), &Packages).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert_eq!(
        error.problems[0].to_string(),
        "/src/a.yml:2:29: cannot resolve `@pkg:./pkg/bad` as the package in /src/pkg/bad: no build.yml"
    );
    source.text = source.text.replace("'@pkg:./pkg/bad'", "x");
    let config = load(&[source], &Packages).unwrap().config;
    let images: Vec<&str> = config.images().map(|image| image.reference.as_str()).collect();
    assert_eq!(images, ["lkb/good:abc", "lkb/good:abc", "x", "lkb/good:abc", "lkb/good:abc"]);
    assert_eq!(config.files[0].kind, FileKind::Contents("@pkg:pkg/good".to_owned()));
}

#[test]
fn hostile_files_end_in_an_error() {
    let bomb: String = (1..20).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let alias = format!("*a{}", n - 1);
        format!("{text}a{n}: &a{n} [{}]\n", [alias.as_str(); 9].join(","))
    });
    let deep = format!("init: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep_block: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let large = format!("kernel: {{image: k, cmdline: '{}'}}", "x".repeat(1 << 20));
    let many = format!("init: [{}]", "x,".repeat(300_000));
    let own = "a: &a [*a]".to_owned();
    for text in [bomb, deep, deep_block, large, many, own] {
        let start: String = text.chars().take(40).collect();
        let problems = problems(&text);
        assert!(!problems[0].is_empty() && problems[0].len() < 400, "{start}: {}", problems[0]);
    }
}

#[test]
fn a_file_full_of_mistakes_does_not_grow_its_report_without_bound() {
    let line = format!("init: [{}]", "1,".repeat(20_000));
    let error = load(&[source("a.yml", &line)], &NoPackages).unwrap_err();
    assert!(error.problems.len() <= 1000);
    assert!(error.to_string().len() < 50_000);
}

#[test]
fn a_label_is_read_with_the_same_schema_without_name_and_image() {
    let label =
        r#"{"binds":["/dev:/dev"],"capabilities":["all"],"uid":"sshd","runtime":{"mkdir":["/var/x"]}}"#;
    let overrides = Overrides::from_label(label).unwrap();
    assert_eq!(overrides.binds.as_deref(), Some(&["/dev:/dev".to_owned()][..]));
    assert_eq!(overrides.uid, Some(Id::Name("sshd".to_owned())));
    assert_eq!(overrides.runtime.unwrap().mkdir.unwrap(), ["/var/x"]);
    for (label, expected) in [
        (r#"{"name":"x"}"#, "label org.mobyproject.config:1:2: name cannot be set in a label"),
        (r#"{"image":"x"}"#, "image cannot be set in a label"),
        (r#"{"after":["x"]}"#, "after cannot be set in a label"),
        (
            r#"{"ready":{"tcp":1,"file":"/x"}}"#,
            "label org.mobyproject.config:1:10: ready: can be only one of tcp, file",
        ),
        (r#"{"timeout":"0s"}"#, "timeout: 0s is too short"),
        (r#"{"bind":[]}"#, "unknown key `bind`; did you mean `binds`?"),
        (r#"{"binds":"x"}"#, "binds: expected a list, found `x`"),
        ("[]", "expected a mapping, found a list"),
        ("{", "label org.mobyproject.config:1:"),
        ("", "the file is empty"),
    ] {
        let error = Overrides::from_label(label).unwrap_err();
        assert!(error.to_string().contains(expected), "{label}: {error}");
    }
    assert_eq!(Overrides::from_label("{}").unwrap(), Overrides::default());
    assert_eq!(Overrides::from_label("{\n\t\"readonly\": true\n}").unwrap().readonly, Some(true));
}

/// JSON with escapes for what YAML does not take as it is.
fn ascii(json: &serde_json::Value) -> String {
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        _ => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    json.to_string().chars().map(escape).collect()
}

fn yaml_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "kernel",
        "image",
        "services",
        "- ",
        "name",
        ": ",
        "\n",
        "  ",
        "    ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        "\"",
        "&a ",
        "*a",
        "<<",
        "!!binary ",
        "| ",
        "> ",
        "~",
        "5",
        "-1",
        "0x1F",
        "1e999",
        ".nan",
        "@pkg:x",
        "files",
        "path",
        "contents",
        "binds",
        "a:/b",
        "#",
        "---",
        "\t",
        "\u{0}",
        "é",
        "\u{202e}",
        "? ",
        "%YAML 1.1\n",
        "runtime",
        "mounts",
        "type",
        "bind",
        "uid",
        "trust",
        "true",
        "capabilities.add",
        "ALL",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn any_text_survives_being_printed_and_read_again(text in "(?s).{0,40}|[ \t\n:#|>'\"-]{0,12}[a-z\n]{0,4}[ \n\r]{0,3}") {
        let json = serde_json::json!({
            "files": [{"path": "x", "contents": text}],
            "services": [{"name": "s", "image": "i", "command": [text], "annotations": {&text: text}}],
        });
        let config = read(&ascii(&json)).config;
        prop_assert_eq!(&config.files[0].kind, &FileKind::Contents(text.clone()));
        let again = read(&config.to_yaml().unwrap()).config;
        prop_assert_eq!(&again.files[0].kind, &FileKind::Contents(text));
        prop_assert_eq!(&again.services[0].overrides, &config.services[0].overrides);
    }

    #[test]
    fn no_text_makes_the_loader_panic(text in ".{0,200}") {
        check_any(&text);
    }

    #[test]
    fn no_text_that_looks_like_a_configuration_makes_the_loader_panic(text in yaml_like()) {
        check_any(&text);
    }
}

/// Whatever loads can be printed and read again; whatever does not has problems that can be shown.
fn check_any(text: &str) {
    match load(&[source("a", text)], &NoPackages) {
        Ok(loaded) => {
            let yaml = loaded.config.to_yaml().unwrap();
            let again = load(&[source("b", &yaml)], &NoPackages).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
            assert_eq!(again.config.to_yaml().unwrap(), yaml);
        }
        Err(error) => {
            assert!(!error.problems.is_empty());
            assert!(!error.to_string().chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
        }
    }
}
