//! The other examples, and what can be left out of the first.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use lk_tests::PATIENCE;
use lk_tests::image::{build_initrd, out_dir};
use lk_tests::root;
use lk_tests::vm::{Setup, Vm};

const SUFFIX: &str = "dc=example,dc=org";
const PASSWORD: &str = "password";

/// A step in a boot chart.
#[derive(Debug)]
struct Step {
    kind: String,
    name: String,
    start: f64,
    end: f64,
}

/// The steps of a chart, from the titles of their bars: `service slapd/ready, from 1.234567 s, 20 ms: detail`.
fn steps(svg: &str) -> Vec<Step> {
    let titles = svg.split("<title>").skip(1).filter_map(|rest| Some(rest.split_once("</title>")?.0));
    titles.map(|title| step(title).unwrap_or_else(|| panic!("{title:?} is no step"))).collect()
}

fn step(title: &str) -> Option<Step> {
    let (what, rest) = title.split_once(", from ")?;
    let (kind, name) = what.split_once(' ')?;
    let (start, rest) = rest.split_once(" s, ")?;
    let (number, unit) = rest.split(':').next()?.split_once(' ')?;
    let took = number.parse::<f64>().ok()? * if unit == "ms" { 1e-3 } else { 1.0 };
    let start: f64 = start.parse().ok()?;
    Some(Step { kind: kind.into(), name: name.into(), start, end: start + took })
}

/// Waits until a chart shows the end of a step: it is drawn again whenever there is something new.
fn await_step(chart: &Path, kind: &str, name: &str) {
    let began = Instant::now();
    let title = format!("<title>{kind} {name}, from ");
    let is_done = || {
        // There is none until the machine says something.
        let svg = fs::read_to_string(chart).unwrap_or_default();
        svg.split(&title)
            .nth(1)
            .is_some_and(|rest| !rest.split('<').next().unwrap_or_default().contains("not done"))
    };
    while !is_done() {
        assert!(
            began.elapsed() < PATIENCE,
            "no end of {kind} {name} in {} within {PATIENCE:?}",
            chart.display()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_supervised_example_starts_in_order_serves_and_stops_and_its_chart_has_every_step() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let image = build_initrd("supervised", &root().join("examples/supervised.yml"));
    // Kept, for people to look at.
    let chart = out_dir().join("supervised.svg");
    drop(fs::remove_file(&chart));
    let setup = Setup { chart: Some(chart.clone()), ..Setup::default() };
    let mut vm = Vm::boot(&image, dir.path(), &setup);
    assert!(vm.search(SUFFIX, PASSWORD).contains("o: Example"));
    await_step(&chart, "service", "sshd/ready");
    vm.press_power_button();
    vm.wait_off();
    let console = vm.console().text();
    assert!(console.contains("slapd: stopped (exited with code 0)"), "slapd did not stop by itself");

    let svg = fs::read_to_string(&chart).expect("the chart");
    let steps = steps(&svg);
    let find = |kind: &str, name: &str| {
        let found = steps.iter().find(|step| step.kind == kind && step.name.ends_with(name));
        found.unwrap_or_else(|| panic!("no {kind} {name} in the chart: {steps:?}"))
    };
    let in_order = [
        find("kernel", "kernel"),
        find("onboot", "-sysctl"),
        find("onboot", "-dhcpcd"),
        find("onboot", "-mount"),
        find("service", "rngd/create"),
        find("service", "rngd/start"),
        find("service", "slapd/create"),
        find("service", "slapd/start"),
        find("service", "slapd/ready"),
        find("service", "sshd/create"),
        find("service", "sshd/start"),
        find("service", "sshd/ready"),
        find("shutdown", "services"),
        find("shutdown", "containerd"),
        find("shutdown", "mounts"),
    ];
    for pair in in_order.windows(2) {
        let [before, after] = pair else { unreachable!("windows of two") };
        assert!(before.start <= after.start, "{before:?} began after {after:?}");
    }
    let ready = find("service", "slapd/ready").end;
    assert!(find("service", "sshd/create").start >= ready - 0.01, "sshd did not wait for slapd");
    let engine = find("engine", "containerd");
    assert!(
        engine.start < find("onboot", "-dhcpcd").end,
        "containerd was not started beside onboot: {engine:?}"
    );
    assert!(steps.iter().any(|step| step.kind == "pid1"), "nothing of PID 1 in the chart");
    assert!(svg.contains(">Boot: ") && svg.contains(">Shutdown: "), "the chart lacks a title");
}

#[test]
fn the_ldap_appliance_needs_neither_runc_nor_containerd() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let example = fs::read_to_string(root().join("examples/ldap.yml")).expect("the example");
    let left_out = |line: &&str| {
        ["pkg/runc", "pkg/containerd", "pkg/ctr", "/usr/bin/ctr:"].iter().any(|part| line.contains(part))
    };
    assert_eq!(example.lines().filter(left_out).count(), 4, "the example has changed");
    let yaml: String =
        example.lines().filter(|line| !left_out(line)).map(|line| format!("{line}\n")).collect();
    let path = dir.path().join("ldap.yml");
    fs::write(&path, yaml.replace("@pkg:..", &format!("@pkg:{}", root().display())))
        .expect("writing the YAML");

    let mut vm = Vm::boot(&build_initrd("ldap-embedded", &path), dir.path(), &Setup::default());
    assert!(vm.search(SUFFIX, PASSWORD).contains("o: Example"));
    vm.press_power_button();
    vm.wait_off();
}
