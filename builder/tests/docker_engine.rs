//! `lkb build --docker`: images of a Docker engine, which answers here as its API documents (`ImageInspect`, `ImageGet`).

mod fixture;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;

use fixture::{Fixture, docker_archive, failure, success, tar};
use serde_json::json;

/// What the engine has by one name.
#[derive(Clone)]
struct Stored {
    name: &'static str,
    id: String,
    arch: &'static str,
    archive: Vec<u8>,
}

fn stored(name: &'static str, arch: &'static str, text: &str) -> Stored {
    let archive = docker_archive(Some(name), &tar(&[("etc/issue", text.as_bytes())]));
    Stored { name, id: format!("sha256:{text}"), arch, archive }
}

/// An engine that has these images; what it is asked is written down.
struct Engine {
    socket: PathBuf,
    images: Arc<Mutex<Vec<Stored>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Engine {
    fn new(dir: &Path, images: Vec<Stored>) -> Self {
        let socket = dir.join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (images, asked) = (Arc::new(Mutex::new(images)), Arc::new(Mutex::new(Vec::new())));
        let (shared, log) = (Arc::clone(&images), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever has asked leaves when he has seen enough: of a 404, the status.
                let _gone = answer(stream.unwrap(), &shared.lock().unwrap(), &log);
            }
        });
        Self { socket, images, asked }
    }

    fn build(&self, fixture: &Fixture, yaml: &str) -> Output {
        fixture.write("machine.yml", yaml);
        Command::new(env!("CARGO_BIN_EXE_lkb"))
            .current_dir(fixture.dir.path())
            .env("LINUXKIT_MIRROR", "http://127.0.0.1:1")
            .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
            .args(["--cache", "cache", "build", "--docker", "--arch", "amd64", "--format", "tar"])
            .args(["--dir", "out", "machine.yml"])
            .output()
            .unwrap()
    }

    /// How often an image was transferred.
    fn transfers(&self) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.ends_with("/get")).count()
    }
}

fn answer(mut stream: UnixStream, images: &[Stored], log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return Ok(()) };
    for _ in lines.take_while(|line| !line.is_empty()) {}
    let path = first.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(path.clone());
    let (name, what) = path.strip_prefix("/images/").unwrap().rsplit_once('/').unwrap();
    let found = images.iter().find(|image| name == format!("docker.io/{}", image.name));
    let (status, body) = match (found, what) {
        (Some(image), _) if image.id == "sha256:broken" => (500, b"{\"message\": \"disk is gone\"}".to_vec()),
        (Some(image), "json") => {
            let text =
                json!({"Id": image.id, "Architecture": image.arch, "Os": "linux", "RepoTags": [image.name]});
            (200, text.to_string().into_bytes())
        }
        (Some(image), "get") => (200, image.archive.clone()),
        _ => (404, format!("{{\"message\": \"No such image: {name}\"}}").into_bytes()),
    };
    // As the engine does it: the length of an archive is not known before its end.
    let head = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\nApi-Version: 1.41\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    for chunk in body.chunks(1000) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

fn issue(fixture: &Fixture) -> String {
    let file = std::fs::File::open(fixture.path("out/machine.tar")).unwrap();
    let mut archive = ::tar::Archive::new(file);
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with("etc/issue")).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
    text
}

#[test]
fn the_engines_images_come_before_those_of_the_cache() {
    let fixture = Fixture::new();
    let engine = Engine::new(fixture.dir.path(), vec![stored("example/init:1", "amd64", "engine")]);
    // The kernel and the tool are in the cache, and not in the engine.
    let yaml = "kernel: {image: 'example/kernel:1'}\ninit: ['example/init:1']\n\
                services: [{name: t, image: 'example/tool:1', command: [/x]}]\n";
    let out = engine.build(&fixture, yaml);
    success(&out);
    assert_eq!(issue(&fixture), "engine");
    assert_eq!(engine.transfers(), 1);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("taking docker.io/example/init:1 from the Docker engine"), "{said}");

    // The same image is not transferred again, another one by this name is.
    let again = engine.build(&fixture, yaml);
    success(&again);
    assert_eq!(engine.transfers(), 1);
    assert!(!String::from_utf8_lossy(&again.stderr).contains("taking"));
    *engine.images.lock().unwrap() = vec![stored("example/init:1", "amd64", "newer")];
    success(&engine.build(&fixture, yaml));
    assert_eq!((issue(&fixture).as_str(), engine.transfers()), ("newer", 2));

    // Without --docker, the name means what the cache has.
    success(&fixture.build(yaml, "tar"));
    assert_eq!(issue(&fixture), "hello\n");
    let listed = success(&fixture.lkb(&["cache", "ls"]));
    assert_eq!(listed.lines().count(), 4, "what the engine had before has no name any more: {listed}");
}

#[test]
fn an_image_for_another_architecture_is_left_with_the_engine() {
    let fixture = Fixture::new();
    let engine = Engine::new(fixture.dir.path(), vec![stored("example/init:1", "arm64", "engine")]);
    success(&engine.build(&fixture, "init: ['example/init:1']\n"));
    assert_eq!((issue(&fixture).as_str(), engine.transfers()), ("hello\n", 0));
}

#[test]
fn an_engine_that_does_not_help_is_named() {
    let fixture = Fixture::new();
    let mut lies = stored("example/lies:1", "amd64", "lies");
    lies.archive.truncate(3000);
    let engine = Engine::new(fixture.dir.path(), vec![stored("example/broken:1", "amd64", "broken"), lies]);
    for (image, said) in [
        ("example/broken:1", "does not give docker.io/example/broken:1: HTTP 500: disk is gone"),
        (
            "example/lies:1",
            "the Docker engine gives docker.io/example/lies:1, but: cannot import docker-engine:",
        ),
    ] {
        let text = failure(&engine.build(&fixture, &format!("init: ['{image}']\n")));
        assert!(text.contains("machine.yml:1:8: ") && text.contains(said), "{text}");
    }
    std::fs::remove_file(&engine.socket).unwrap();
    let text = failure(&engine.build(&fixture, "init: ['example/init:1']\n"));
    assert!(text.contains("cannot ask the Docker engine at ") && text.contains("DOCKER_HOST"), "{text}");
}
