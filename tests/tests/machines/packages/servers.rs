//! One machine with the packages that serve others, and those that keep logs and entropy.

use std::path::{Path, PathBuf};

use lk_tests::image::build_initrd_with;
use lk_tests::readme::example;
use lk_tests::root;
use lk_tests::vm::{Setup, Vm};

use super::{said, show};

/// The port beside the machine that leads to nginx.
const WEB: u16 = 8080;
const REDIS: u16 = 6379;
const EXPORTER: u16 = 9100;

/// What the machine's packages have written, each line by the package that did it.
const WRITTEN: &str = r#"
    say rngd1 $(cat /run/log/onboot/*rngd1.log)
    until [ -s /var/log/rngd.log ]; do sleep 0.1; done
    say rngd $(cat /var/log/rngd.log)
    until grep -q ';' /var/log/reader.out.log; do sleep 0.1; done
    say memlogd $(grep -m 1 ';' /var/log/reader.out.log)
    until [ -e /var/log/kept/nginx.out.log.0 ]; do sleep 0.1; done
    say logwrite $(head -n 1 /var/log/kept/nginx.out.log.0)
"#;

#[test]
fn servers_logs_and_entropy_of_the_readmes_do_what_these_say() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let packages = ["ip", "rngd", "memlogd", "logwrite", "nginx", "redis", "node_exporter"];
    let mut yaml = vec![root().join("examples/minimal.yml")];
    yaml.extend(packages.iter().map(|package| example(package, dir.path())));
    yaml.push(show(dir.path(), WRITTEN));
    let image = build_initrd_with("servers", &[], &yaml.iter().map(PathBuf::as_path).collect::<Vec<&Path>>());
    let setup = Setup { publish: vec![(WEB, 80), (REDIS, REDIS), (EXPORTER, EXPORTER)], ..Setup::default() };
    let mut vm = Vm::boot(&image, dir.path(), &setup);

    // As many times as fill a log.
    let pages = vm.fetch(WEB, "/?[1-50]");
    assert_eq!(pages.matches("<h1>Hello</h1>").count(), 50, "{pages}");

    let talk = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{REDIS} && printf 'GET a\\r\\nAUTH change-me\\r\\nSET a given\\r\\nGET a\\r\\n\
         CONFIG GET maxmemory\\r\\nQUIT\\r\\n' >&3 && timeout 20 cat <&3 | grep ."
    );
    let answers = vm.ask("bash", &["-c", &talk]);
    assert!(answers.starts_with("-NOAUTH"), "{answers}");
    assert!(answers.contains("given\r\n") && answers.contains("67108864\r\n"), "{answers}");

    let metrics = vm.fetch(EXPORTER, "/metrics");
    for wanted in [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_filesystem_size_bytes",
        "device=\"eth0\"",
    ] {
        assert!(metrics.contains(wanted), "{wanted} is missing");
    }
    assert!(!metrics.contains("node_load1"), "a collector runs that the example has not");

    for (word, wanted) in [
        ("rngd1", &["credited", "bits of entropy"][..]),
        ("rngd", &["feeding the kernel from"]),
        ("memlogd", &[";onboot", ";"]),
        ("logwrite", &[" nginx.out ", "GET /?"]),
    ] {
        let line = said(&vm, word);
        assert!(wanted.iter().all(|part| line.contains(part)), "{wanted:?}: {line}");
    }
    vm.press_power_button();
    vm.wait_off();
}
