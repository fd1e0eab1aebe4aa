//! What is mounted in a container, where, and with which options.

use serde_json::{Value, json};

use crate::container::{Container, is_possible};

fn sysfs() -> Value {
    json!({ "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "ro"] })
}

#[test]
fn what_cannot_be_mounted_is_named_unless_it_is_an_engines() {
    if !is_possible() {
        return;
    }
    let container = Container::new("missing", "true", |config| {
        config["mounts"].as_array_mut().unwrap().push(
            json!({ "destination": "/data", "type": "bind", "source": "/gone/data", "options": ["rbind"] }),
        );
    });
    assert_eq!(container.create(&[]).status.code(), Some(1));
    assert!(
        container.error().starts_with("cannot mount /gone/data on /data: there is no"),
        "{}",
        container.error()
    );
    assert!(!container.path("root").join(&container.id).exists());

    let container = Container::new("engine", "echo up; exec sleep 1000", |config| {
        config["mounts"].as_array_mut().unwrap().push(
            json!({ "destination": "/x", "type": "bind", "source": "/var/lib/containerd/nosuch", "options": ["rbind"] }),
        );
    });
    container.begin();
    container.says("up");
    let log = std::fs::read_to_string(container.path("log")).unwrap();
    assert!(log.contains("\"level\":\"warning\"") && log.contains("no such engine"), "{log}");
}

#[test]
fn mounts_propagate_as_they_are_asked_to() {
    if !is_possible() {
        return;
    }
    let container = Container::new(
        "propagation",
        "cat /proc/self/mountinfo; ls /dev; echo up; exec sleep 1000",
        |config| {
            let mounts = config["mounts"].as_array_mut().unwrap();
            mounts[3]["options"] = json!(["ro", "rbind", "rshared"]);
            mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
            mounts.push(
                json!({ "destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"] }),
            );
        },
    );
    container.begin();
    let output = container.says("up");
    let usr = output.lines().find(|line| line.split(' ').nth(4) == Some("/usr")).unwrap();
    assert!(usr.contains(" shared:"), "{usr}");
    // The host's /dev, and not the one that libcontainer would have made.
    let host = std::fs::read_dir("/dev").unwrap().count();
    let devices = output.lines().skip_while(|line| line.contains(" - ")).filter(|line| *line != "up").count();
    assert!(devices >= host.saturating_sub(3), "{devices} of {host}: {output}");
}

#[test]
fn file_systems_that_are_mounted_last_have_their_options() {
    if !is_possible() {
        return;
    }
    let container = Container::new("late", "cat /proc/self/mountinfo; echo up; exec sleep 1000", |config| {
        config["mounts"].as_array_mut().unwrap().push(sysfs());
    });
    container.begin();
    let output = container.says("up");
    let options = |point: &str| {
        let line = output.lines().find(|line| line.split(' ').nth(4) == Some(point)).unwrap();
        (line.split(' ').nth(5).unwrap(), line.split(" - ").nth(1).unwrap())
    };
    assert_eq!(options("/dev/pts"), ("rw,nosuid,noexec,relatime", "devpts devpts rw,mode=620,ptmxmode=666"));
    // Read-only for the container, and not for the host.
    assert_eq!(options("/sys"), ("ro,nosuid,noexec,relatime", "sysfs sysfs rw"));
}

#[test]
fn nothing_is_mounted_where_a_link_in_the_image_leads() {
    if !is_possible() {
        return;
    }
    let host = std::process::id();
    for (name, lead) in [("host", "/proc/HOST/rootDIR/outside"), ("near", "/etc")] {
        let container = Container::new(name, "true", |config| {
            config["mounts"].as_array_mut().unwrap().push(sysfs());
            // Of the host's, so that its processes are in the container's /proc.
            let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "pid");
        });
        let outside = container.path("outside");
        std::fs::create_dir(&outside).unwrap();
        let dir = container.dir.path().to_str().unwrap();
        let lead = lead.replace("HOST", &host.to_string()).replace("DIR", dir);
        std::os::unix::fs::symlink(lead, container.path("bundle/rootfs/sys")).unwrap();
        assert_eq!(container.create(&[]).status.code(), Some(1), "{name}");
        assert!(container.error().contains("is a link"), "{name}: {}", container.error());
        for untouched in [outside, container.path("bundle/rootfs/etc")] {
            assert_eq!(std::fs::read_dir(&untouched).unwrap().count(), 0, "{name}: {}", untouched.display());
        }
        assert!(!container.path("root").join(&container.id).exists());
    }
}
