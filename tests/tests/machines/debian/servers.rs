//! One machine with all that serves others.

use lk_tests::ntp::TimeServer;
use lk_tests::vm::{Setup, Vm};

use super::{Machine, YEAR_2035};

const NGINX: u16 = 8080;
const REDIS: u16 = 6379;
const NODE_EXPORTER: u16 = 9100;

#[test]
fn web_server_database_exporter_and_clock_of_the_readmes_do_what_these_say() {
    let machine = Machine::new();
    let packages = ["dhcpcd", "openntpd", "nginx", "redis", "node_exporter", "sshd"];
    let image = machine.build("debian-servers", &packages, "");
    let publish = vec![(NGINX, 80), (REDIS, 6379), (NODE_EXPORTER, 9100)];
    let mut vm = Vm::boot(&image, machine.dir(), &Setup { publish, ..Setup::default() });
    let _time = TimeServer::start(vm.netns(), YEAR_2035);

    assert!(vm.fetch(NGINX, "/").contains("<h1>Hello</h1>"));

    let redis = |password: &str, command: &str| {
        let talk = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{REDIS} && printf 'AUTH %s\\r\\n{command}\\r\\nQUIT\\r\\n' '{password}' >&3 && cat <&3"
        );
        vm.ask("bash", &["-c", &talk])
    };
    assert!(redis("change-me", "PING").contains("+PONG"), "Redis does not answer who has the password");
    assert!(redis("wrong", "PING").contains("-NOAUTH"), "Redis answers who has not the password");

    let metrics = vm.fetch(NODE_EXPORTER, "/metrics");
    assert!(metrics.contains("node_memory_MemTotal_bytes"), "{metrics}");
    assert!(
        metrics.contains("node_network_up{device=\"eth0\"}") || metrics.contains("device=\"eth0\""),
        "{metrics}"
    );

    // nginx tells the machine's time with each answer.
    vm.until("set the clock to what the time server said", || vm.fetch(NGINX, "/").contains(" 2035 "));

    // What root of the machine sees by ssh.
    let capabilities = "for name in redis-server prometheus-node ntpd; do \
         for status in $(grep -l \"^Name:.$name\" /proc/[0-9]*/status); do sed -n 's/^CapEff:.//p' $status; done; done";
    let effective = vm.guest(&machine.key, capabilities);
    assert!(effective.starts_with("0000000000000000\n0000000000000000\n"), "{effective}");
    vm.press_power_button();
    vm.wait_off();
}
