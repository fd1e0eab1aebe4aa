//! Images in files, wherever an image may be.

mod fixture;

use fixture::{Fixture, docker_archive, failure, layout, success, tar};

/// The text of a file in the machine's tar.
fn content(fixture: &Fixture, path: &str) -> String {
    let file = std::fs::File::open(fixture.path("out/machine.tar")).unwrap();
    let mut archive = ::tar::Archive::new(file);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with(path)).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
    text
}

fn archive(dir: &std::path::Path) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    builder.append_dir_all(".", dir).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn images_in_files_are_accepted_wherever_an_image_is() {
    let fixture = Fixture::new();
    let kernel: &[(&str, &[u8])] = &[("kernel", b"kernel"), ("kernel.tar", &tar(&[]))];
    std::fs::create_dir(fixture.path("images")).unwrap();
    std::fs::write(fixture.path("images/kernel.tar"), docker_archive(Some("k:1"), &tar(kernel))).unwrap();
    layout(&fixture.path("images/init"), "init:1", &tar(&[("etc/issue", b"from a directory")]));
    layout(&fixture.path("one"), "org/one:1", &tar(&[("etc/one", b"from an archive")]));
    std::fs::write(fixture.path("images/one.tar"), archive(&fixture.path("one"))).unwrap();
    let yaml = "\
kernel: {image: 'docker-archive:kernel.tar', cmdline: quiet}
init: ['oci:init', 'oci-archive:one.tar:org/one:1']
volumes:
  - {name: v, image: 'docker-archive:kernel.tar:k:1'}
services:
  - {name: s, image: 'oci-archive:one.tar', command: [/x]}
";
    // Relative to the YAML, wherever the command is started.
    fixture.write("images/machine.yml", yaml);
    let build = ["build", "--format", "tar", "--dir", "out", "images/machine.yml"];
    success(&fixture.lkb(&build));
    assert_eq!(content(&fixture, "boot/kernel"), "kernel");
    assert_eq!(content(&fixture, "etc/issue"), "from a directory");
    assert_eq!(content(&fixture, "containers/services/s/lower/etc/one"), "from an archive");
    let first = std::fs::read(fixture.path("out/machine.tar")).unwrap();

    // Where they lie does not change what is built.
    std::fs::rename(fixture.path("images"), fixture.path("moved")).unwrap();
    success(&fixture.lkb(&["build", "--format", "tar", "--dir", "out", "moved/machine.yml"]));
    assert!(first == std::fs::read(fixture.path("out/machine.tar")).unwrap());

    // What a file becomes is what is built.
    layout(&fixture.path("moved/init"), "init:1", &tar(&[("etc/issue", b"changed")]));
    success(&fixture.lkb(&["build", "--format", "tar", "--dir", "out", "moved/machine.yml"]));
    assert_eq!(content(&fixture, "etc/issue"), "changed");

    for command in ["inspect", "validate"] {
        success(&fixture.lkb(&[command, "moved/machine.yml"]));
    }
}

#[test]
fn a_mistake_in_an_image_of_a_file_is_told_with_its_place() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("broken.tar"), b"no archive").unwrap();
    for (image, said) in [
        ("docker-archive:absent.tar", "machine.yml:1:8: cannot import absent.tar: No such file"),
        ("oci-archive:broken.tar", "machine.yml:1:8: cannot import broken.tar: "),
        ("oci:", "machine.yml:1:8: image `oci:` lacks a part; it is written `oci:PATH[:NAME]`"),
    ] {
        let said_here = failure(&fixture.build(&format!("init: ['{image}']\n"), "tar"));
        assert!(said_here.contains(said), "{said_here}");
    }
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lkb"));
    command.current_dir(fixture.dir.path()).args(["build", "--cache", "cache", "-"]);
    let mut child =
        command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"init: ['oci:x']\n").unwrap();
    let said = failure(&child.wait_with_output().unwrap());
    assert!(said.contains("relative to the configuration's directory, and this one has none"), "{said}");
}

#[test]
fn an_image_of_a_file_for_another_platform_is_not_looked_for_in_registries() {
    let fixture = Fixture::new();
    layout(&fixture.path("x"), "x:1", &tar(&[("a", b"a")]));
    fixture.write("machine.yml", "init: ['oci:x']\n");
    let said = failure(&fixture.lkb(&["build", "--arch", "arm64", "--format", "tar", "machine.yml"]));
    assert!(said.contains("for linux/amd64, not for linux/arm64") && !said.contains("pull"), "{said}");
}
