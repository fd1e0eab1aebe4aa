//! `lkb validate` as people and editors meet it.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

const GOOD: &str = "kernel: {image: k}\nservices:\n  - {name: s, image: i}\n";

/// A directory with these files.
fn files(files: &[(&str, &[u8])]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    dir
}

fn validate(dir: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lkb"));
    // There is no cache, and none is made.
    command.args(["--cache", "/nonexistent/cache", "validate"]).args(args).current_dir(dir.path());
    command.stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The problems in JSON, and the exit status.
fn problems(dir: &TempDir, args: &[&str]) -> (Vec<Value>, Option<i32>) {
    let output = validate(dir, &[&["--json"], args].concat());
    let problems = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (problems, output.status.code())
}

#[test]
fn a_good_configuration_is_ok_and_needs_no_cache() {
    let dir = files(&[("a.yml", GOOD.as_bytes())]);
    let output = validate(&dir, &["a.yml"]);
    assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), "a.yml: ok\n"));
    let quiet = validate(&dir, &["-q", "a.yml"]);
    assert_eq!((quiet.status.code(), said(&quiet).as_str()), (Some(0), ""));
    assert_eq!(problems(&dir, &["a.yml"]), (Vec::new(), Some(0)));
}

#[test]
fn a_configuration_with_three_mistakes_names_all_three() {
    let text = GOOD.replace("services", "servces") + "init: x\nfiles: [{path: x, mode: 0644, contents: a}]\n";
    let dir = files(&[("a.yml", text.as_bytes())]);
    let output = validate(&dir, &["a.yml"]);
    let lines: Vec<String> =
        said(&output).lines().filter(|line| line.starts_with("a.yml")).map(str::to_owned).collect();
    assert_eq!(
        lines,
        [
            "a.yml:2:1: error: unknown key `servces`; did you mean `services`?",
            "a.yml:4:7: error: init: expected a list, found `x`",
            "a.yml:5:25: error: files[0].mode: expected a string, found 0644; put it in quotes",
        ]
    );
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "3 errors\n");
    let (found, code) = problems(&dir, &["a.yml"]);
    assert_eq!((found.len(), code), (3, Some(1)));
    let first = json!({
        "file": "a.yml", "line": 2, "column": 1, "severity": "error",
        "message": "unknown key `servces`", "help": "did you mean `services`?",
    });
    assert_eq!(found[0], first);
    assert_eq!(found[1].get("help"), None);
}

#[test]
fn a_warning_is_said_and_succeeds() {
    let dir = files(&[("a.yml", format!("{GOOD}trust: {{key: [a.pem]}}\n").as_bytes())]);
    let output = validate(&dir, &["a.yml"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).starts_with("a.yml:4:14: warning: trust.key has no effect"));
    assert!(said(&output).ends_with("a.yml: ok\n"));
    let (found, code) = problems(&dir, &["a.yml"]);
    assert_eq!((found[0]["severity"].as_str(), code), (Some("warning"), Some(0)));
    assert_eq!(said(&validate(&dir, &["-q", "a.yml"])), "");
}

#[test]
fn a_warning_is_said_beside_an_error() {
    let dir = files(&[("a.yml", b"trust: {key: [x]}\ninit: x\n")]);
    let severities: Vec<Value> =
        problems(&dir, &["a.yml"]).0.iter().map(|problem| problem["severity"].clone()).collect();
    assert_eq!(severities, ["warning", "error"]);
}

#[test]
fn several_files_are_merged_as_a_build_merges_them() {
    let dir = files(&[
        ("a.yml", GOOD.as_bytes()),
        ("b.yml", b"onboot:\n  - {name: o, image: i, binds: ['data:/data']}\n"),
        ("c.yml", b"volumes: [{name: data}]\n"),
    ]);
    assert_eq!(problems(&dir, &["b.yml"]).1, Some(1));
    let output = validate(&dir, &["a.yml", "b.yml", "c.yml"]);
    assert_eq!(said(&output), "a.yml: ok\nb.yml: ok\nc.yml: ok\n");
    let (found, _) = problems(&dir, &["a.yml", "a.yml", "c.yml"]);
    assert_eq!(found[0]["message"], "duplicate service name: s");
    assert_eq!(found[0]["help"], "first at a.yml:3:12");
}

#[test]
fn packages_must_be_there_and_need_not_be_fit_to_be_built() {
    let dir = files(&[
        ("m/a.yml", b"init: ['@pkg:../pkg/init', '@pkg:../pkg', '@pkg:../pgk/init']\n"),
        ("pkg/init/build.yml", b"not a manifest"),
    ]);
    let messages: Vec<String> =
        problems(&dir, &["m/a.yml"]).0.iter().map(|p| p["message"].to_string()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("it has no build.yml"), "{messages:?}");
    assert!(messages[1].contains("there is no such directory"), "{messages:?}");
}

#[test]
fn standard_input_is_a_file_like_any_other() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lkb"))
        .args(["validate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"int: []\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).starts_with("-:1:1: error: unknown key `int`; did you mean `init`?"));
}

#[test]
fn what_cannot_be_read_is_a_problem_too() {
    let dir = files(&[
        ("latin1.yml", b"init: [x]\n# caf\xe9\n"),
        ("image.yml", &[0; 4096]),
        ("large.yml", &vec![b'#'; 20 << 20]),
        ("long.yml", &vec![b'#'; 2 << 20]),
        ("deep.yml", format!("init: {}", "[".repeat(100_000)).as_bytes()),
        ("empty.yml", b""),
        ("dir/a.yml", b""),
    ]);
    for (file, line, column, message) in [
        ("latin1.yml", 2, 6, "the byte 0xe9"),
        ("image.yml", 1, 1, "the byte 0x00"),
        ("large.yml", 1, 1, "more than 16 MiB"),
        ("long.yml", 1, 1, "2097152 bytes long"),
        ("deep.yml", 1, 0, ""),
        ("empty.yml", 1, 1, "the file is empty"),
        ("dir", 1, 1, "it is a directory"),
        ("missing.yml", 1, 1, "No such file"),
    ] {
        let (found, code) = problems(&dir, &[file]);
        assert_eq!((found.len(), code), (1, Some(1)), "{found:?}");
        assert_eq!((&found[0]["file"], &found[0]["line"]), (&file.into(), &line.into()), "{found:?}");
        assert!(column == 0 || found[0]["column"] == column, "{found:?}");
        assert!(found[0]["message"].as_str().unwrap().contains(message), "{found:?}");
        assert!(said(&validate(&dir, &[file])).len() < 1000);
    }
}

#[test]
fn what_a_service_could_do_without_is_advice() {
    let service = |lines: &str| format!("services:\n  - name: s\n    image: i\n{lines}");
    for (lines, advice) in [
        ("    capabilities: [all]\n", "`all` capabilities: name those that it needs"),
        ("    capabilities.add: [CAP_KILL, CAP_SYS_ADMIN]\n", "CAP_SYS_ADMIN, which mounts anything"),
        ("    binds: ['/:/host']\n", "the bind of /: it changes every file of the machine; `ro` only reads"),
        ("    binds.add: ['/dev/:/dev:ro']\n", "the bind of /dev: it reads every device"),
        ("    pid: host\n", "`pid: host`: it sees and signals every process"),
        ("    net: root\n", "`net: root`: it listens wherever the machine does"),
        ("    seccomp: unconfined\n", "`seccomp: unconfined`: it makes any system call"),
        ("    noNewPrivileges: false\n", "`noNewPrivileges: false`: set-uid programs work"),
        ("    readonly: false\n", "`readonly: false`: it writes to its root filesystem"),
        ("    devices: [{path: all, type: b}]\n", "`path: all` of its devices: name those that it uses"),
        ("    pid: host\n", "a writable root filesystem: `readonly: true`, unless its label says so"),
        ("    pid: host\n", "memory without end: `resources: {memory: {limit: BYTES}}`"),
    ] {
        let dir = files(&[("a.yml", service(lines).as_bytes())]);
        let output = validate(&dir, &["a.yml"]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.starts_with("a.yml:2:11: advice: s may be able to do without\n"), "{said}");
        assert!(
            said.contains(&format!("  - {advice}\n")) && said.ends_with("a.yml: ok\n"),
            "{advice}: {said}"
        );
    }
    let modest = "    readonly: true\n    capabilities: [CAP_KILL]\n    binds: ['/var/x:/x']\n";
    for quiet in [&["a.yml"][..], &["-q", "a.yml"]] {
        let dir = files(&[(
            "a.yml",
            service(if quiet.len() == 1 { modest } else { "    pid: host\n" }).as_bytes(),
        )]);
        let output = validate(&dir, quiet);
        assert!(!said(&output).contains("advice"), "{}", said(&output));
    }
}
