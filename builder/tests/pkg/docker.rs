//! BuildKit makes of a package what buildah makes of it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::registries::stderr;
use crate::workshop::{Workshop, failure, success};

/// A Docker engine that runs for as long as this lives.
struct Engine {
    process: Child,
    host: String,
    dir: tempfile::TempDir,
}

impl Engine {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let host = format!("unix://{}", path("docker.sock"));
        let process = Command::new("dockerd")
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["--host", &host])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(path("log")).unwrap())
            .spawn()
            .expect("dockerd, of Debian's package docker.io");
        let engine = Self { process, host, dir };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !engine.docker(&["version"]).success() {
            let log = || std::fs::read_to_string(engine.dir.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "dockerd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
        engine
    }

    fn docker(&self, args: &[&str]) -> std::process::ExitStatus {
        let mut docker = Command::new("docker");
        docker.args(["--host", &self.host]).args(args).stdout(Stdio::null()).stderr(Stdio::null());
        docker.status().unwrap()
    }

    /// `lkb pkg` with this engine.
    fn command(&self, workshop: &Workshop, args: &[&str]) -> Command {
        let mut command = workshop.command(args);
        command.env("DOCKER_HOST", &self.host);
        command
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends its containerd only when it is asked to end.
        Command::new("kill").arg(self.process.id().to_string()).status().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
#[ignore = "needs dockerd, and as root: apt-get install docker.io"]
fn both_drivers_make_the_same_image() {
    let engine = Engine::start();
    let workshop = Workshop::new();
    workshop.write("base/build.yml", "image: base\norg: acme\n");
    workshop.write("base/Dockerfile", "FROM scratch\nCOPY root/ /\n");
    workshop.add_shell("base");
    workshop.write(
        "a/build.yml",
        "image: a\norg: acme\nextra-sources: [../common:shared]\nbuildArgs: [BASE=@pkg:../base, WORD=hello]\n\
         config: {net: host}\n",
    );
    let dockerfile = "\
ARG BASE
FROM ${BASE} AS build
ARG WORD
RUN [\"/bin/bash\", \"-c\", \"echo $WORD > /made\"]
FROM scratch
COPY --from=build /made /made
COPY shared/text /text
ENV PATH=/bin A=1
ENTRYPOINT [\"/made\"]
";
    workshop.write("a/Dockerfile", dockerfile);
    workshop.write("common/text", "shared\n");
    workshop.commit();
    let name = format!("docker.io/{}", workshop.works(&["show-tag", "a"]).trim_end());
    let made = |args: &[&str]| {
        let args = [&["build", "--force"], args, &["a"]].concat();
        success(&engine.command(&workshop, &args).output().unwrap(), &args);
        let config = workshop.config(&name, "amd64");
        (
            workshop.files(&name),
            config["config"].clone(),
            config["architecture"].clone(),
            workshop.cached(&name),
        )
    };
    let by_buildah = made(&[]);
    assert!(by_buildah.0.iter().any(|(path, content)| path == "made" && content == b"hello\n"));
    for args in [&["--docker"][..], &["--builders", "linux/amd64=default"]] {
        let by_docker = made(args);
        assert_eq!((&by_docker.0, &by_docker.2), (&by_buildah.0, &by_buildah.2), "{args:?}");
        for part in ["Env", "Entrypoint", "Labels"] {
            assert_eq!(by_docker.1[part], by_buildah.1[part], "{args:?}: {part}");
        }
        assert_eq!(by_docker.3["manifests"].as_array().unwrap().len(), 2, "the statement goes with it");
    }
    assert!(
        engine.docker(&["image", "inspect", name.trim_start_matches("docker.io/")]).success(),
        "it is in the engine"
    );

    // Nothing reaches out, and what has failed is shown.
    workshop.write(
        "a/Dockerfile",
        "ARG BASE\nFROM ${BASE}\nRUN [\"/bin/bash\", \"-c\", \"echo reaching out; exec 3<>/dev/tcp/127.0.0.1/1\"]\n",
    );
    let args = ["build", "--docker", "a"];
    let said = failure(&engine.command(&workshop, &args).output().unwrap(), &args);
    assert!(said.contains("reaching out") && said.contains("/dev/tcp/127.0.0.1"), "{said}");
    let args = ["build", "--builders", "linux/amd64=absent", "a"];
    let output = engine.command(&workshop, &args).output().unwrap();
    assert!(stderr(&output).contains("absent") || stderr(&output).contains("buildx"), "{}", stderr(&output));
    assert!(!output.status.success());
}
