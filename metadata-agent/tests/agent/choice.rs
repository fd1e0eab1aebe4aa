//! Several providers side by side.

use std::sync::Arc;
use std::time::Duration;

use metadata_agent::provider::Provider;
use metadata_agent::run::Settings;
use tempfile::TempDir;

use crate::fake_cloud::{Answer, FakeCloud, at, nobody, quick, text};
use crate::machine::Try;

const OPENSTACK: (&str, &str) =
    ("/openstack/latest/meta_data.json", r#"{"uuid": "u-1", "hostname": "from-openstack"}"#);

fn ask(providers: &[Arc<dyn Provider>]) -> Try {
    let settings = Settings { times: quick(), ..Settings::default() };
    Try::on(TempDir::new().unwrap(), providers, settings)
}

fn vultr(hostname: &str) -> FakeCloud {
    FakeCloud::serving([("/v1/instanceid", text("v-1")), ("/v1/hostname", text(hostname))])
}

#[test]
fn the_one_that_answers_is_taken_and_the_others_cost_nothing() {
    let cloud = vultr("web-1");
    let it = ask(&[at("hetzner", cloud.address), at("vultr", cloud.address), at("azure", cloud.address)]);
    assert!(it.clean, "{}", it.log);
    assert_eq!(it.read("provider").as_deref(), Some("Vultr"));
    it.says("vultr: web-1, instance v-1");
    assert!(!it.log.contains("hetzner:") && !it.log.contains("azure:"), "{}", it.log);
}

#[test]
fn of_two_that_answer_the_first_in_order_is_taken() {
    let slow =
        FakeCloud::serving([(OPENSTACK.0, Answer::After(vec![503, 503], Box::new(text(OPENSTACK.1))))]);
    let fast = vultr("from-vultr");
    let mut times = quick();
    times.grace = Duration::from_secs(4);
    let settings = Settings { times, ..Settings::default() };
    let providers = [at("openstack", slow.address), at("vultr", fast.address)];
    let it = Try::on(TempDir::new().unwrap(), &providers, settings);
    assert_eq!(it.hostname.as_deref(), Some("from-openstack"), "{}", it.log);
}

#[test]
fn one_that_says_nothing_is_not_waited_for_once_another_has_answered() {
    let stuck = FakeCloud::serving([(
        OPENSTACK.0,
        Answer::Endless { head: b"HTTP/1.1 200".to_vec(), again: vec![], pause: Duration::from_millis(50) },
    )]);
    let fast = vultr("from-vultr");
    let it = ask(&[at("openstack", stuck.address), at("vultr", fast.address)]);
    assert_eq!(it.hostname.as_deref(), Some("from-vultr"), "{}", it.log);
    assert!(it.took < quick().deadline, "{:?}", it.took);
}

#[test]
fn where_nobody_is_one_line_says_so() {
    let it = ask(&[at("hetzner", nobody()), at("vultr", nobody())]);
    assert!(it.clean, "{}", it.log);
    it.says("metadata: no metadata from hetzner, vultr; going on with defaults\n");
    assert_eq!(it.log.matches("waiting for an answer from 127.0.0.1").count(), 1, "{}", it.log);
    assert_eq!(it.names(), ["ssh", "ssh/authorized_keys"]);
}

#[test]
fn one_that_is_broken_is_complained_about_only_if_no_other_answers() {
    let broken = FakeCloud::serving([("/v1/instanceid", Answer::Status(403))]);
    let it = ask(&[at("hetzner", broken.address), at("vultr", broken.address)]);
    assert!(!it.clean);
    it.says("vultr: GET /v1/instanceid: the service answers 403\n");
    let whole = FakeCloud::serving([(OPENSTACK.0, text(OPENSTACK.1))]);
    let it = ask(&[at("vultr", broken.address), at("openstack", whole.address)]);
    assert!(it.clean, "{}", it.log);
    assert_eq!(it.hostname.as_deref(), Some("from-openstack"));
}
