//! Bundles from the outside, held against golden files.
//!
//! Renew those with `LKB_RENEW_GOLDEN=1 cargo test -p lkb golden` and read the difference.

use std::path::PathBuf;

use oci_spec::image::ImageConfiguration;
use proptest::prelude::*;

use super::*;
use crate::config::{Config, PackageResolver, Source, load};

struct NoPackages;

impl PackageResolver for NoPackages {
    fn tag(&self, _: &std::path::Path) -> Result<String, String> {
        Err("there are no packages here".to_owned())
    }
}

fn read(text: &str) -> Config {
    let source = Source { name: "a.yml".to_owned(), text: text.to_owned(), dir: None };
    load(&[source], &NoPackages).unwrap_or_else(|error| panic!("{error}")).config
}

/// An image whose configuration has these fields and this label.
fn image(config: serde_json::Value, label: Option<&str>) -> ImageConfiguration {
    let mut config = config;
    if let Some(label) = label {
        config["Labels"] = serde_json::json!({ LABEL: label });
    }
    let json = serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "config": config,
    });
    serde_json::from_value(json).unwrap()
}

fn info(config: &ImageConfiguration) -> ImageInfo<'_> {
    ImageInfo {
        config,
        healthcheck: None,
        passwd: Some("root:x:0:0:::\nweb:x:33:34:::\n"),
        group: Some("tls:x:50:web\n"),
    }
}

/// The bundle of the first service of `yaml`.
fn first(yaml: &str, image: &ImageConfiguration) -> Result<Bundle, SpecError> {
    let config = read(yaml);
    bundle(
        &config.services[0],
        &info(image),
        &Ids::assign(&config),
        &config.volumes,
        Section::Services,
        Profile::Compat,
    )
}

/// The same on a hardened machine.
fn hardened(yaml: &str, image: &ImageConfiguration) -> Result<Bundle, SpecError> {
    let config = read(yaml);
    let ids = Ids::assign(&config);
    bundle(&config.services[0], &info(image), &ids, &[], Section::Services, Profile::Hardened)
}

fn service(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
    format!("services:\n  - name: s\n    image: i\n{lines}")
}

fn json_of(yaml: &str, image: &ImageConfiguration) -> serde_json::Value {
    let made = first(yaml, image).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    serde_json::from_str(&made.config_json).unwrap()
}

fn golden(name: &str, actual: &str) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect();
    if std::env::var_os("LKB_RENEW_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(actual, expected, "{name} differs; LKB_RENEW_GOLDEN=1 cargo test -p lkb golden renews it");
}

/// The golden files of a case, and a check that a reader of the specification takes them.
fn golden_bundle(case: &str, made: &Bundle, dir: &str, shared: Option<&str>) {
    golden(&format!("{case}.config.json"), &made.config_json);
    let files = shared.map_or_else(|| made.files_dir(dir, false), str::to_owned);
    golden(&format!("{case}.runtime.json"), &made.runtime_json(dir, &files).unwrap());
    let spec: oci_spec::runtime::Spec = serde_json::from_str(&made.config_json).unwrap();
    assert_eq!(spec.root().as_ref().unwrap().readonly().unwrap_or(false), made.readonly);
}

#[test]
fn golden_an_image_without_label_gets_the_defaults() {
    let image = image(serde_json::json!({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]}), None);
    let made = first(&service(""), &image).unwrap();
    golden_bundle("defaults", &made, "/containers/services/s", None);
}

#[test]
fn golden_a_read_only_package_with_a_label() {
    let label = r#"{"capabilities":["CAP_NET_ADMIN","CAP_NET_BIND_SERVICE"],"readonly":true,"net":"host",
        "binds":["/run:/run","/etc:/etc:ro"],"tmpfs":["/tmp:size=1m"],"runtime":{"mkdir":["/run/config"]}}"#;
    let image = image(
        serde_json::json!({"Entrypoint": ["/sbin/tool"], "Cmd": ["-v"], "WorkingDir": "/srv"}),
        Some(label),
    );
    let made = first(&service("binds.add:\n  - /var/log:/var/log"), &image).unwrap();
    golden_bundle("read-only", &made, "/containers/onboot/001-s", Some("/containers/onboot/000-s/lower"));
}

#[test]
fn golden_a_hardened_service() {
    let label =
        r#"{"capabilities":["CAP_CHOWN","CAP_NET_BIND_SERVICE"],"binds":["/var/x:/x","/etc:/etc:ro"]}"#;
    let image = image(serde_json::json!({"Cmd": ["/bin/s"]}), Some(label));
    let made = hardened(&service(""), &image).unwrap();
    golden_bundle("hardened", &made, "/containers/services/s", None);
}

#[test]
fn a_hardened_service_gets_what_it_asks_for_by_name() {
    let image = image(serde_json::json!({"Cmd": ["/bin/s"]}), None);
    let unlimited = serde_json::json!({"memory": {"limit": -1}, "pids": {"limit": -1}});
    for (asked, field, got) in [
        ("seccomp: unconfined", "/linux/seccomp", serde_json::Value::Null),
        ("noNewPrivileges: false", "/process/noNewPrivileges", serde_json::Value::Null),
        ("maskedPaths: []", "/linux/maskedPaths", serde_json::Value::Null),
        ("readonlyPaths: [/proc/bus]", "/linux/readonlyPaths", serde_json::json!(["/proc/bus"])),
        ("cgroupns: host", "/linux/namespaces", serde_json::json!([{"type": "pid"}, {"type": "mount"}])),
        ("resources: {memory: {limit: -1}, pids: {limit: -1}}", "/linux/resources", unlimited),
        ("binds: ['/x:/x:rw,rshared']", "/mounts/5/options", serde_json::json!(["rw", "rshared", "rbind"])),
        (
            "capabilities: [all]\nambient: [CAP_BPF]",
            "/process/capabilities/inheritable",
            serde_json::json!(["CAP_BPF"]),
        ),
    ] {
        let made = hardened(&service(asked), &image).unwrap_or_else(|error| panic!("{error}\n{asked}"));
        let json: serde_json::Value = serde_json::from_str(&made.config_json).unwrap();
        assert_eq!(json.pointer(field).unwrap_or(&serde_json::Value::Null), &got, "{asked}");
    }
    let labelled = json_of(&service("seccomp: default\ncgroupns: new"), &image);
    assert_eq!(labelled["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(labelled["linux"]["namespaces"][2], serde_json::json!({"type": "cgroup"}));
}

#[test]
fn a_label_cannot_ask_a_hardened_machine_for_everything() {
    for label in [r#"{"capabilities":["all"]}"#, r#"{"capabilities.add":["ALL"]}"#, r#"{"ambient":["all"]}"#]
    {
        let image = image(serde_json::json!({"Cmd": ["/bin/s"]}), Some(label));
        assert_eq!(hardened(&service(""), &image).unwrap_err().fault, Fault::AllCapabilities, "{label}");
        assert!(first(&service(""), &image).is_ok());
    }
    let image = image(serde_json::json!({"Cmd": ["/bin/s"]}), Some(r#"{"capabilities":["all"]}"#));
    for asked in ["capabilities: [all]", "capabilities: [CAP_KILL]", "capabilities: []"] {
        assert!(hardened(&service(asked), &image).is_ok(), "{asked}");
    }
}

#[test]
fn golden_every_field() {
    let config = read(include_str!("../../tests/data/every-field.yml"));
    let image = image(serde_json::json!({"User": "web"}), None);
    let made = bundle(
        &config.services[0],
        &info(&image),
        &Ids::assign(&config),
        &config.volumes,
        Section::Services,
        Profile::Compat,
    )
    .unwrap();
    golden_bundle("every-field", &made, "/containers/services/everything", None);
}

#[test]
fn golden_a_writable_service_with_volumes_that_shares_its_files() {
    let yaml = format!(
        "volumes: [{{name: data}}, {{name: fixed, readonly: true}}]\n{}",
        service(
            "binds: ['data:/data', 'fixed:/fixed:ro', '/dev:/dev']\nuid: s\ngid: s\ncapabilities: [all]\n\
                 runtime: {bindNS: {net: /run/netns/s}, mounts: [{type: tmpfs, destination: /var/s}]}"
        ),
    );
    let image = image(serde_json::json!({"Cmd": ["/bin/s"], "User": "nobody"}), None);
    let made = first(&yaml, &image).unwrap();
    golden_bundle("volumes", &made, "/containers/services/s", Some("/containers/services/a/lower"));
}

#[test]
fn command_environment_and_directory_come_from_yaml_then_label_then_image() {
    let label = r#"{"command":["/label"],"env":["L=1"],"cwd":"/label"}"#;
    let own = serde_json::json!({"Entrypoint": ["/e"], "Cmd": ["c"], "Env": ["I=1"], "WorkingDir": "/image"});
    let bare = serde_json::json!({"Cmd": ["/c"]});
    for (yaml, label, config, expected) in [
        ("", None, &own, serde_json::json!([["/e", "c"], ["I=1"], "/image"])),
        ("", Some(label), &own, serde_json::json!([["/label"], ["L=1"], "/label"])),
        (
            "command: [/yaml]\nenv: []\ncwd: /yaml",
            Some(label),
            &own,
            serde_json::json!([["/yaml"], null, "/yaml"]),
        ),
        ("", None, &bare, serde_json::json!([["/c"], null, "/"])),
    ] {
        let process = json_of(&service(yaml), &image(config.clone(), label))["process"].take();
        let got = serde_json::json!([process["args"], process["env"], process["cwd"]]);
        assert_eq!(got, expected, "{yaml} over {label:?} over {config}");
    }
}

#[test]
fn what_nobody_asked_for_is_absent() {
    let config = json_of(&service(""), &image(serde_json::json!({"Cmd": ["/c"]}), None));
    let process = config["process"].as_object().unwrap();
    let keys: Vec<&String> = process.keys().collect();
    assert_eq!(keys, ["args", "capabilities", "cwd", "user"]);
    assert_eq!(process["capabilities"], serde_json::json!({}));
    assert_eq!(config["linux"]["resources"], serde_json::json!({}));
    let keys: Vec<&String> = config["linux"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["namespaces", "resources"]);
    assert_eq!(config["root"], serde_json::json!({"path": "rootfs"}));
    assert_eq!(config["ociVersion"], "1.2.1");
}

#[test]
fn ids_are_handed_out_from_100_over_onboot_onshutdown_and_services() {
    let config = read(
        "onboot: [{name: a, image: i}, {name: b, image: i}, {name: a, image: i}]\n\
         onshutdown: [{name: c, image: i}]\nservices: [{name: d, image: i}]",
    );
    let ids = Ids::assign(&config);
    let id = |name: &str| ids.resolve(&crate::config::Id::Name(name.to_owned()));
    assert_eq!([id("a"), id("b"), id("c"), id("d")], [Ok(102), Ok(101), Ok(103), Ok(104)]);
    assert_eq!(id("17"), Ok(17));
    assert_eq!(id("x"), Err(Fault::NoId("x".to_owned())));
}

#[test]
fn names_in_a_label_are_resolved_too() {
    let image =
        image(serde_json::json!({"Cmd": ["/c"]}), Some(r#"{"uid":"s","gid":5,"additionalGids":["s",9]}"#));
    let user = json_of(&service(""), &image)["process"]["user"].take();
    assert_eq!(user, serde_json::json!({"uid": 100, "gid": 5, "additionalGids": [100, 9]}));
}

#[test]
fn the_images_user_is_honoured_unless_a_uid_is_given() {
    let image = image(serde_json::json!({"Cmd": ["/c"], "User": "web"}), None);
    let user = |yaml: &str| json_of(&service(yaml), &image)["process"]["user"].take();
    assert_eq!(user(""), serde_json::json!({"uid": 33, "gid": 34, "additionalGids": [50]}));
    assert_eq!(user("uid: 0"), serde_json::json!({"uid": 0, "gid": 0}));
}

#[test]
fn what_cannot_run_is_refused_with_its_place() {
    let plain = image(serde_json::json!({"Cmd": ["/c"]}), None);
    let empty = image(serde_json::json!({}), None);
    let named = image(serde_json::json!({"Cmd": ["/c"], "User": "ghost"}), None);
    let wrong = image(serde_json::json!({"Cmd": ["/c"]}), Some(r#"{"binds":5}"#));
    let relative = image(serde_json::json!({"Cmd": ["/c"]}), Some(r#"{"binds":["data:/data"]}"#));
    for (yaml, image, expected) in [
        (service(""), &empty, "a.yml:2:11: s (i): there is no command"),
        (service("command: []"), &plain, "there is no command"),
        (service(""), &named, "the image runs as user \"ghost\", which its /etc/passwd does not have"),
        (service(""), &wrong, "label org.mobyproject.config:1:10: binds: expected a list, found 5"),
        (service(""), &relative, "volume data not found"),
        (service("mounts: [{destination: /x}]"), &plain, "the mount on \"/x\" has no type"),
        (
            format!("volumes: [{{name: v, readonly: true}}]\n{}", service("binds: ['v:/x']")),
            &plain,
            "volume v is read-only, but attempting to write into container read-write",
        ),
    ] {
        let error = first(&yaml, image).unwrap_err().to_string();
        assert!(error.contains(expected), "{yaml}\n got {error}\nwant {expected}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let config = read(include_str!("../../tests/data/every-field.yml"));
    let image = image(serde_json::json!({}), None);
    let make = || {
        bundle(
            &config.services[0],
            &info(&image),
            &Ids::assign(&config),
            &config.volumes,
            Section::Services,
            Profile::Compat,
        )
        .unwrap()
    };
    assert_eq!(make(), make());
}

proptest! {
    #[test]
    fn no_label_and_no_user_makes_a_bundle_panic(label in ".{0,80}", user in ".{0,12}", passwd in "[a-z0-9:\n]{0,60}") {
        let config = read(&service(""));
        let image = image(serde_json::json!({"Cmd": ["/c"], "User": user}), Some(&label));
        let info = ImageInfo { config: &image, healthcheck: None, passwd: Some(&passwd), group: Some(&passwd) };
        if let Err(error) = bundle(&config.services[0], &info, &Ids::assign(&config), &config.volumes, Section::Services, Profile::Compat) {
            prop_assert!(error.to_string().starts_with("a.yml:2:11: s (i): "));
        }
    }
}
