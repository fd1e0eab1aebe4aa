//! Every YAML of a checkout of LinuxKit builds.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixture::{Fixture, tar};
use crate::standin;

/// What no machine is made of, or what LinuxKit refuses as well, and why.
const NOT_MACHINES: [(&str, &str); 5] = [
    ("examples/static-ip.yml", "is not YAML"),
    (
        "test/cases/000_build/056_build_args/010_build_arg_special_multiple_yaml/build-file.yml",
        "builds a package",
    ),
    ("test/cases/000_build/080_mirrors/config.yml", "configures a registry"),
    ("test/cases/000_build/091_validate_linuxkit_yaml/linuxkit.yml", "is there to be refused"),
    ("test/cases/000_build/070_volumes/002_rw_on_ro/test.yml", "is there to be refused"),
];

fn yaml_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yml") && path.file_name().unwrap() != "build.yml" {
            found.push(path);
        }
    }
}

#[test]
#[ignore = "needs LINUXKIT=DIR, a git checkout of LinuxKit: make linuxkit"]
fn every_yaml_of_a_linuxkit_checkout_builds_with_stand_in_images() {
    let checkout = PathBuf::from(std::env::var_os("LINUXKIT").expect("LINUXKIT=DIR, a checkout of LinuxKit"));
    let mut files = Vec::new();
    for part in ["examples", "test/cases"] {
        yaml_files(&checkout.join(part), &mut files);
    }
    files.sort();
    assert!(files.len() > 100, "{} holds {} YAML files only", checkout.display(), files.len());
    let labels = standin::labels(&checkout);
    let fixture = Fixture::new();
    let mut wrong = Vec::new();
    let mut built = 0;
    for file in &files {
        let name = file.strip_prefix(&checkout).unwrap().to_str().unwrap();
        let expected = NOT_MACHINES.iter().find(|(path, _)| *path == name);
        match (build(&fixture, file, &labels), expected) {
            (Ok(()), None) => built += 1,
            (Ok(()), Some((_, why))) => wrong.push(format!("{name} was built, but it {why}")),
            (Err(_), Some(_)) => {}
            (Err(said), None) => wrong.push(format!("{name}: {said}")),
        }
    }
    println!("{built} of {} built", files.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn build(
    fixture: &Fixture,
    file: &Path,
    labels: &std::collections::BTreeMap<String, Value>,
) -> Result<(), String> {
    let (dir, name) = (file.parent().unwrap(), file.file_name().unwrap().to_str().unwrap());
    let run = |args: &[&str]| {
        let out = fixture.command(args).current_dir(dir).env("HOME", home(fixture)).output().unwrap();
        match out.status.success() {
            true => Ok(String::from_utf8(out.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
        }
    };
    let config: Value = serde_saphyr::from_str(&run(&["build", "--dry-run", name])?).unwrap();
    for image in standin::images(&config) {
        let kernel: &[(&str, &[u8])] =
            &[("kernel", &[7; 4096]), ("kernel.tar", &tar(&[])), ("intel-ucode.cpio", b"ucode")];
        let others: &[(&str, &[u8])] = &[("bin/sh", b"#!"), ("etc/passwd", b"root:x:0:0::/:/bin/sh\n")];
        let files = if config["kernel"]["image"] == image.as_str() { kernel } else { others };
        // A layout's annotation without `/` and `:` would be a tag.
        let name = if image.contains(['/', ':']) { image.clone() } else { format!("{image}:latest") };
        fixture.import_with(&name, files, standin::config(&image, labels));
    }
    let out = fixture.out();
    run(&["build", "--format", "tar", "--dir", out.to_str().unwrap(), "--name", "machine", name])?;
    Ok(())
}

/// A home directory with what examples take from there.
fn home(fixture: &Fixture) -> PathBuf {
    fixture.write("home/.ssh/id_rsa.pub", "ssh-ed25519 AAAA somebody\n");
    fixture.path("home")
}
