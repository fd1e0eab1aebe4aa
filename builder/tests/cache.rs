//! `lkb cache`: what goes out and comes in again, and what is removed.

mod fixture;

use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{Fixture, docker_archive, failure, layout, success, tar};

/// The names of an archive's entries.
fn names(archive: &Path) -> Vec<String> {
    let mut archive = ::tar::Archive::new(std::fs::File::open(archive).unwrap());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries.map(|entry| entry.path().unwrap().to_str().unwrap().to_owned()).collect()
}

fn blobs(fixture: &Fixture) -> usize {
    std::fs::read_dir(fixture.path("cache/blobs/sha256")).unwrap().count()
}

#[test]
fn what_is_exported_can_be_imported() {
    let fixture = Fixture::new();
    let image = "docker.io/example/tool:1";
    for format in ["oci", "docker"] {
        let export = ["cache", "export", "example/tool:1", "--platform", "linux/amd64", "--outfile", "x.tar"];
        success(&fixture.lkb(&[&export[..], &["--format", format]].concat()));
        let first = std::fs::read(fixture.path("x.tar")).unwrap();
        success(&fixture.lkb(&[&export[..], &["--format", format]].concat()));
        assert!(first == std::fs::read(fixture.path("x.tar")).unwrap(), "two exports differ");
        let mut import = Command::new(env!("CARGO_BIN_EXE_lkb"));
        let import =
            import.current_dir(fixture.dir.path()).args(["--cache", "other", "cache", "import", "x.tar"]);
        let imported = success(&import.output().unwrap());
        assert_eq!(imported, format!("{image}\n"), "{format}");

        let called = ["--name", "org/y:2", "--outfile", "-", "--format", format];
        let out = fixture.lkb(&[&export[..5], &called].concat());
        assert!(out.status.success());
        let mut import = Command::new(env!("CARGO_BIN_EXE_lkb"))
            .args(["cache", "import", "-", "--cache"])
            .arg(fixture.path("third"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut import.stdin.take().unwrap(), &out.stdout).unwrap();
        assert_eq!(success(&import.wait_with_output().unwrap()), "docker.io/org/y:2\n", "{format}");
    }
    assert!(names(&fixture.path("x.tar")).contains(&"manifest.json".to_owned()));
}

#[test]
fn the_files_of_an_image_are_exported_without_marks() {
    let fixture = Fixture::new();
    let export = ["cache", "export", "example/init:1", "--format=filesystem", "--outfile=f.tar"];
    success(&fixture.lkb(&[&export[..], &["--platform=linux/amd64"]].concat()));
    let mut found = names(&fixture.path("f.tar"));
    found.retain(|name| !name.ends_with('/'));
    assert_eq!(found, ["etc/issue", "init"]);
    let bytes = std::fs::read(fixture.path("f.tar")).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"LINUXKIT"));
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("kept.tar"), "as it was").unwrap();
    for (name, platform, said) in [
        ("example/absent:1", "linux/amd64", "the cache has no image docker.io/example/absent:1"),
        ("example/tool:1", "linux/s390x", "not for linux/s390x"),
        ("example/tool:1", "windows", "not of the form linux/ARCH"),
    ] {
        for format in ["oci", "docker", "filesystem"] {
            let export =
                ["cache", "export", name, "--platform", platform, "--format", format, "--outfile=kept.tar"];
            let text = failure(&fixture.lkb(&export));
            assert!(text.contains(said), "{text}");
        }
    }
    assert_eq!(std::fs::read_to_string(fixture.path("kept.tar")).unwrap(), "as it was");
    let said = failure(&fixture.lkb(&["cache", "export", "example/tool:1"]));
    assert!(said.contains("--outfile <FILE>"), "{said}");
}

#[test]
fn garbage_is_what_no_name_leads_to() {
    let fixture = Fixture::new();
    let before = blobs(&fixture);
    let said = |out: &std::process::Output| String::from_utf8_lossy(&out.stderr).into_owned();
    let out = fixture.lkb(&["cache", "gc"]);
    assert!(said(&out).contains("removed 0 files of 0 bytes"), "{}", said(&out));

    // The image that loses its name shares no blob; what it shares with another would stay.
    layout(&fixture.path("new"), "example/tool:1", &tar(&[("usr/bin/tool", b"newer")]));
    success(&fixture.lkb(&["cache", "import", "new"]));
    std::fs::write(fixture.path("cache/blobs/sha256/half"), "x").unwrap();
    let out = fixture.lkb(&["cache", "gc"]);
    success(&out);
    assert!(said(&out).contains("removed 4 files"), "{}", said(&out));
    assert_eq!(blobs(&fixture), before);
    for name in ["example/kernel:1", "example/init:1", "example/tool:1"] {
        let export = ["cache", "export", name, "--outfile=x.tar", "--platform=linux/amd64"];
        success(&fixture.lkb(&export));
    }
    success(&fixture.lkb(&["cache", "rm", "example/tool:1", "example/init:1"]));
    assert_eq!(blobs(&fixture), 3);
    let text = failure(&fixture.lkb(&["cache", "rm", "example/tool:1"]));
    assert!(text.contains("the cache has no image"), "{text}");
    success(&fixture.lkb(&["cache", "clean"]));
    assert_eq!(blobs(&fixture), 0);
}

#[test]
fn what_docker_saves_is_imported_compressed_or_not() {
    let fixture = Fixture::new();
    let archive = docker_archive(Some("org/saved:1"), &tar(&[("a", b"a")]));
    std::fs::write(fixture.path("saved.tar"), archive).unwrap();
    assert!(Command::new("gzip").arg("-k").arg(fixture.path("saved.tar")).status().unwrap().success());
    for file in ["saved.tar", "saved.tar.gz"] {
        assert_eq!(success(&fixture.lkb(&["cache", "import", file])), "docker.io/org/saved:1\n");
    }
}
