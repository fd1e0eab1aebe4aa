//! Configurations that load, and what they are then.

use super::*;

const EXAMPLE: &str = include_str!("../../../tests/data/example.yml");

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
    assert_eq!(config.trust.org, ["linuxkit", "library"]);
    assert_eq!(warnings, []);
}

#[test]
fn a_configuration_survives_being_printed_and_read_again() {
    let everything = format!("{EXAMPLE}\n{}", include_str!("../../../tests/data/every-field.yml"));
    let merged = load(
        &[source("a", EXAMPLE), source("b", include_str!("../../../tests/data/every-field.yml"))],
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
    let config = read(include_str!("../../../tests/data/every-field.yml")).config;
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
