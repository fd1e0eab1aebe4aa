//! What is wrong is named, with its place.

use super::*;

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
