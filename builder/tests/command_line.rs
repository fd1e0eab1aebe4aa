//! The `lkb` command as a user meets it.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Command, Output};

fn lkb(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lkb")).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn one_dash_and_two_dashes_are_the_same() {
    for args in [["run", "-publish", "nonsense", "m"], ["run", "--publish", "nonsense", "m"]] {
        let output = lkb(&args);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("'nonsense' for '--publish <PORTS>'"), "{}", stderr(&output));
    }
}

#[test]
fn an_unknown_option_is_answered_with_the_likely_one() {
    for option in ["--formt", "-nmae"] {
        let output = lkb(&["build", option, "x", "m.yml"]);
        assert_eq!(output.status.code(), Some(2));
        let text = stderr(&output);
        assert!(text.contains("a similar argument exists: '--"), "{text}");
    }
}

#[test]
fn errors_are_plain_when_nobody_looks_at_a_terminal() {
    let output = lkb(&["run", "/nonexistent/machine"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("error: found nothing to boot: looked for /nonexistent/machine, "), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn a_cause_follows_its_error() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.raw"), b"").unwrap();
    std::fs::write(dir.path().join("state"), b"a file where a directory should be").unwrap();
    let [image, state] = ["m.raw", "state"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    let output = lkb(&["run", "-arch", "x86_64", "-state", &state, &image]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.starts_with("error: cannot make the state directory "), "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("caused by: "), "{text}");
}

#[test]
fn a_missing_qemu_names_its_package() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("m.raw");
    std::fs::write(&image, b"").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .args([Path::new("run"), Path::new("--arch"), Path::new("x86_64"), &image])
        .env("PATH", dir.path())
        .output()
        .unwrap();
    let text = stderr(&output);
    assert!(text.contains("install the Debian package qemu-system-x86"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn other_architectures_are_refused_by_name() {
    let text = stderr(&lkb(&["run", "-arch", "i386", "m"]));
    assert!(text.contains("\"i386\": x86_64, aarch64, s390x and riscv64 are possible"), "{text}");
}

#[test]
fn the_version_is_an_answer_on_standard_output() {
    let output = lkb(&["version", "-short"]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), env!("CARGO_PKG_VERSION"));
    assert!(output.stderr.is_empty());
}

#[test]
fn the_schema_is_json_on_standard_output() {
    let output = lkb(&["schema"]);
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!((output.stdout, true), (lkb(&["schema"]).stdout, output.stderr.is_empty()));
}

#[test]
fn manual_pages_are_written_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("share/man1");
    let output = lkb(&["man", pages.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    for path in String::from_utf8(output.stdout).unwrap().lines() {
        assert!(std::fs::read_to_string(path).unwrap().contains(".SH NAME"), "{path}");
    }
    std::fs::write(dir.path().join("file"), "").unwrap();
    let output = lkb(&["man", dir.path().join("file/man1").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: cannot create the directory "), "{}", stderr(&output));
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_and_one_that_nobody_reads_is_none() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
    let output = command.args(["completion", "bash"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("cannot write to standard output: No space left"),
        "{}",
        stderr(&output)
    );
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_lkb")).arg("schema").stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

#[test]
fn a_metadata_cd_is_written_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let iso = dir.path().join("data.iso");
    for text in ["one", "--two"] {
        let output = lkb(&["metadata", "create", iso.to_str().unwrap(), text]);
        assert!(output.status.success(), "{}", stderr(&output));
        let image = std::fs::read(&iso).unwrap();
        assert!(image.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}

#[test]
fn the_version_can_have_its_commit() {
    let output = lkb(&["version", "--short", "--commit"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(concat!(env!("CARGO_PKG_VERSION"), "\ncommit: ")), "{text}");
}

#[test]
fn a_directory_is_served_to_whoever_asks() {
    use std::io::{BufRead, BufReader, Read, Write};
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("kernel"), "bytes").unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .args(["serve", "--port", "127.0.0.1:0", "--directory", dir.path().to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let address = line.trim_end().split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    let ask = |request: &str| {
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let (get, head) = (ask("GET /kernel"), ask("HEAD /kernel"));
    assert!(get.starts_with("HTTP/1.1 200 OK\r\n") && get.ends_with("\r\n\r\nbytes"), "{get}");
    assert!(head.contains("Content-Length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask("GET /../kernel").starts_with("HTTP/1.1 404"));
    assert!(ask("PUT /kernel").starts_with("HTTP/1.1 405"));
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn programs_are_told_in_json_what_happens() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("m.yml"), "init:\n  - a\nservices:\n  - nme: x\n").unwrap();
    let output = lkb(&["--json", "build", dir.path().join("m.yml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<serde_json::Value> =
        stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let error = lines.iter().find(|line| line["line"] == 4).unwrap();
    assert_eq!(error["event"], "error");
    assert!(error["file"].as_str().unwrap().ends_with("m.yml") && error["column"].is_u64(), "{error}");
}

#[test]
fn how_much_is_said_is_counted_or_given() {
    for args in [&["-v", "version"][..], &["-vv", "version"], &["version", "-v"], &["-v=2", "version"]] {
        let output = lkb(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    }
    for args in [["-v=4", "version"], ["-qv", "version"]] {
        assert_eq!(lkb(&args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn the_caches_commands_have_linuxkits_options() {
    for (command, options) in [
        ("rm", &["--published-only"][..]),
        ("clean", &["--published-only"]),
        ("export", &["--outfile", "--format", "--platform", "--name"]),
        ("push", &["--remote-name", "--with-arch-tags", "--override"]),
        ("pull", &["--platform"]),
        ("import", &["--name"]),
        ("gc", &[]),
    ] {
        let output = lkb(&["cache", command, "--help"]);
        assert!(output.status.success(), "{command}");
        let help = String::from_utf8(output.stdout).unwrap();
        for option in options {
            assert!(help.contains(option), "{command} {option}: {help}");
        }
    }
    let output = lkb(&["cache", "export", "-outfile", "x", "-format", "squashfs", "y"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("[possible values: oci, docker, filesystem]"), "{}", stderr(&output));
}

#[test]
fn a_pipe_and_what_a_link_leads_to_are_written_and_stay_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (cache, yaml, pipe, link, tar) =
        (path("cache"), path("m.yml"), path("pipe"), path("link"), path("tar"));
    std::fs::write(&yaml, "files:\n  - {path: etc/a, contents: a}\n").unwrap();
    std::fs::write(&tar, "older").unwrap();
    std::os::unix::fs::symlink(&tar, &link).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let build = |out: &str| lkb(&["--cache", &cache, "build", "-o", out, &yaml]);

    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap()
    });
    let output = build(&pipe);
    assert!(output.status.success(), "{}", stderr(&output));
    let piped = reader.join().unwrap();
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo(), "a file is in its place");

    let output = build(&link);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(Path::new(&link).is_symlink(), "a file is in its place");
    assert!(!piped.is_empty() && std::fs::read(&tar).unwrap() == piped);
}

#[test]
fn an_earlier_tar_must_be_there_and_another_than_the_output() {
    let dir = tempfile::tempdir().unwrap();
    let [tar, yaml] = ["old.tar", "m.yml"].map(|name| dir.path().join(name).to_str().unwrap().to_owned());
    std::fs::write(&yaml, "init: []\n").unwrap();
    let run = |args: &[&str]| lkb(&[&["build", "--input-tar", &tar], args, &[&yaml]].concat());
    assert!(stderr(&run(&[])).contains("there is no file"), "{}", stderr(&run(&[])));
    std::fs::write(&tar, "").unwrap();
    assert!(stderr(&run(&["-o", &tar])).contains("are the same file"));
    assert_eq!(run(&["--pull"]).status.code(), Some(2));
    assert!(run(&["--dry-run"]).status.success());
}

#[test]
fn an_earlier_tar_must_say_what_it_was_made_of_and_the_result_is_the_same_as_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let yaml = |name: &str, file: &str| {
        std::fs::write(path(name), format!("files:\n  - {{path: {file}}}\n")).unwrap();
        path(name)
    };
    let with = yaml("with.yml", "etc/made-of.yml, metadata: yaml");
    let without = yaml("without.yml", "etc/a, contents: a");
    let elsewhere = yaml("elsewhere.yml", "etc/other.json, metadata: json");
    let (cache, old, new) = (path("cache"), path("old.tar"), path("new.tar"));
    let build = |args: &[&str]| lkb(&[&["--cache", &cache, "build"], args].concat());
    assert!(build(&["-o", &old, &with]).status.success());
    let output = build(&["-o", &new, "--input-tar", &old, &with]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(std::fs::read(&old).unwrap() == std::fs::read(&new).unwrap());
    for (yaml, says) in
        [(&without, "no `files` entry has `metadata:`"), (&elsewhere, "old.tar has no file etc/other.json")]
    {
        let output = build(&["-o", &new, "--input-tar", &old, yaml]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(says), "{}", stderr(&output));
    }
    std::fs::write(&old, "this is no archive").unwrap();
    let said = stderr(&build(&["-o", &new, "--input-tar", &old, &with]));
    assert!(said.contains("old.tar is not a proper tar archive"), "{said}");
}
