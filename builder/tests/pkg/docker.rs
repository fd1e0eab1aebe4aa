//! BuildKit makes of a package what buildah makes of it: in a Docker engine, in several, in one behind SSH, and in a
//! buildkitd. `make buildx` has what these tests need, and namespaces where no daemon is in anybody's way.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::login::Login;
use crate::registries::stderr;
use crate::workshop::{Entry, Workshop, answer, failure, success};

/// What a package's Dockerfile starts from, and only buildah has.
const BASE: &str = "localhost/acme/shell:1";

/// A daemon that runs for as long as this lives.
struct Daemon {
    process: Child,
    address: String,
    dir: tempfile::TempDir,
}

impl Daemon {
    /// A Docker engine.
    fn docker() -> Self {
        Self::start("dockerd", |dir, address| {
            let path = |name: &str| format!("{dir}/{name}");
            let paths =
                ["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")];
            let kept =
                ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--storage-driver=vfs"];
            [&paths[..], &kept, &["--host", address]].concat().into_iter().map(String::from).collect()
        })
    }

    /// A `buildkitd` without an engine.
    fn buildkit() -> Self {
        Self::start("buildkitd", |dir, address| {
            let kept = ["--containerd-worker=false", "--oci-worker-snapshotter=native"];
            [&kept[..], &["--root", &format!("{dir}/data"), "--addr", address]]
                .concat()
                .into_iter()
                .map(String::from)
                .collect()
        })
    }

    fn start(program: &str, args: impl FnOnce(&str, &str) -> Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("unix://{}/socket", dir.path().display());
        let process = Command::new(program)
            .args(args(&dir.path().display().to_string(), &address))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let daemon = Self { process, address, dir };
        let deadline = Instant::now() + Duration::from_secs(120);
        while std::os::unix::net::UnixStream::connect(daemon.dir.path().join("socket")).is_err() {
            let log = || std::fs::read_to_string(daemon.dir.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "{program} does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        daemon
    }

    /// What docker prints, asked of this engine.
    fn answer(&self, args: &[&str]) -> String {
        answer(Command::new("docker").args(["--host", &self.address]).args(args))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // dockerd ends its containerd only when it is asked to end.
        let pid = self.process.id().to_string();
        Command::new("sh").args(["-c", "kill $0", &pid]).status().unwrap();
        self.process.wait().unwrap();
    }
}

/// Packages that use what a Dockerfile has.
fn packages() -> Workshop {
    let workshop = Workshop::new();
    workshop.add_shell("shell");
    workshop.make_image(BASE, Some("shell/root"));
    workshop.write("base/build.yml", "image: base\norg: acme\n");
    workshop.write("base/Dockerfile", format!("FROM {BASE}\nCOPY build.yml /base\n"));
    workshop.write(
        "a/build.yml",
        "image: a\norg: acme\nextra-sources: [../common:shared]\nbuildArgs: [BASE=@pkg:../base, WORD=hello]\n\
         config: {net: host}\n",
    );
    let dockerfile = "\
ARG BASE
FROM ${BASE} AS build
ARG WORD
SHELL [\"/bin/bash\", \"-c\"]
RUN [[ -e /base ]] && echo $WORD > /made
FROM scratch
COPY --from=build /made /made
COPY --chown=12:34 --chmod=0750 shared/text /text
COPY tree/ /
ENV PATH=/bin A=\"1 2\"
USER 12:34
WORKDIR /etc
VOLUME /data
EXPOSE 80
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD [\"/made\"]
ENTRYPOINT [\"/made\"]
CMD [\"more\"]
LABEL own=label
";
    workshop.write("a/Dockerfile", dockerfile);
    workshop.write("a/tree/etc/file", "text\n");
    workshop.write("a/tree/var/lib/dpkg/status.d/some", "Package: some\nVersion: 1\n");
    workshop.sh("a/tree", "chmod 640 etc/file; ln -s file etc/link; ln etc/file etc/hard; mkdir etc/empty; chmod 1777 etc/empty");
    workshop.write("common/text", "shared\n");
    workshop.commit();
    workshop
}

/// What counts of an image: its files, its configuration, and the names of the software that it is stated to have.
#[derive(Debug, PartialEq)]
struct Made {
    files: Vec<Entry>,
    config: Vec<(&'static str, Value)>,
    software: Vec<Value>,
}

/// Builds the package `a`.
fn made(workshop: &Workshop, host: &str, args: &[&str]) -> Made {
    let args = [&["build", "--force"], args, &["a"]].concat();
    success(&workshop.command(&args).env("DOCKER_HOST", host).output().unwrap(), &args);
    let name = format!("docker.io/{}", workshop.works(&["show-tag", "a"]).trim_end());
    let config = workshop.config(&name, "amd64");
    let parts = [
        "Env",
        "Entrypoint",
        "Cmd",
        "User",
        "WorkingDir",
        "Volumes",
        "ExposedPorts",
        "StopSignal",
        "Healthcheck",
        "Labels",
    ];
    let index = workshop.cached(&name);
    let statement =
        index["manifests"].as_array().unwrap().iter().find(|image| image["platform"]["os"] == "unknown");
    let statement = workshop.blob(statement.unwrap()["digest"].as_str().unwrap());
    let statement = workshop.blob(statement["layers"][0]["digest"].as_str().unwrap());
    let packages = statement["predicate"]["packages"].as_array().unwrap();
    Made {
        files: workshop.entries(&name),
        config: parts.map(|part| (part, config["config"][part].clone())).into(),
        software: packages.iter().map(|package| package["name"].clone()).collect(),
    }
}

/// That programs in a build reach `host`, where this listens, only if they may; and what is said when one fails.
fn check_network(workshop: &Workshop, docker: &str, host: &str, args: &[&str]) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let reach = format!("echo reaching out; exec 3<>/dev/tcp/{host}/{port}");
    workshop.write(
        "a/Dockerfile",
        format!("ARG BASE\nFROM ${{BASE}}\nRUN [\"/bin/bash\", \"-c\", \"{reach}\"]\n"),
    );
    let run = |more: &[&str]| {
        let args = [&["build", "--force"], args, more, &["a"]].concat();
        workshop.command(&args).env("DOCKER_HOST", docker).output().unwrap()
    };
    let said = failure(&run(&[]), args);
    assert!(said.contains("reaching out") && said.contains(&format!("/dev/tcp/{host}")), "{said}");
    success(&run(&["--network"]), args);
    assert_eq!(workshop.litter(), [""; 0]);
}

#[test]
#[ignore = "needs dockerd and buildx, as root: make buildx"]
fn an_engine_makes_of_a_package_what_buildah_makes_of_it() {
    let engine = Daemon::docker();
    let workshop = packages();
    let by_buildah = made(&workshop, &engine.address, &[]);
    assert!(by_buildah.files.iter().any(|file| file.path == Path::new("made") && file.content == b"hello\n"));
    for args in [&["--docker"][..], &["--builders", "linux/amd64=default"]] {
        assert_eq!(made(&workshop, &engine.address, args), by_buildah, "{args:?}");
    }
    let images = engine.answer(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let name = workshop.works(&["show-tag", "a"]);
    let mut images: Vec<&str> = images.lines().collect();
    images.sort_unstable();
    assert_eq!(images, [name.trim_end(), &format!("{}-amd64", name.trim_end())], "what was lent is gone");

    let gateway =
        engine.answer(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]);
    check_network(&workshop, &engine.address, &gateway, &["--docker"]);
    let args = ["build", "--force", "--builders", "linux/amd64=absent", "a"];
    let output = workshop.command(&args).env("DOCKER_HOST", &engine.address).output().unwrap();
    assert!(!output.status.success() && stderr(&output).contains("called absent"), "{}", stderr(&output));
}

#[test]
#[ignore = "needs dockerd and buildx, as root: make buildx"]
fn each_platform_is_built_by_the_engine_that_is_named_for_it_here_or_behind_ssh() {
    let workshop = Workshop::new();
    workshop.write("a/build.yml", "image: a\norg: acme\n");
    workshop.write("a/Dockerfile", "FROM scratch\nARG TARGETARCH\nLABEL for=$TARGETARCH\nCOPY build.yml /\n");
    workshop.commit();
    let engines = [Daemon::docker(), Daemon::docker()];
    let [here, there] = &engines;
    let mut create = Command::new("docker");
    create.args(["context", "create", "here", "--docker", &format!("host={}", here.address)]);
    answer(create.env("DOCKER_CONFIG", workshop.home.path("docker")));
    let there = Login::start(&format!("DOCKER_HOST={}", there.address));
    let builders = format!("linux/amd64=here,linux/arm64={}", there.address());
    let args = ["build", "--builders", &builders, "a"];
    success(&workshop.command(&args).env("PATH", there.path()).output().unwrap(), &args);
    let name = format!("docker.io/{}", workshop.works(&["show-tag", "a"]).trim_end());
    for arch in ["amd64", "arm64"] {
        assert_eq!(workshop.config(&name, arch)["config"]["Labels"]["for"], arch);
    }
    for engine in &engines {
        let kept = engine.answer(&["system", "df", "--format", "{{.Type}}: {{.TotalCount}}"]);
        assert!(kept.contains("Build Cache: ") && !kept.contains("Build Cache: 0"), "{kept}");
        assert_eq!(engine.answer(&["images", "--quiet"]), "", "nothing is left but steps");
    }
}

#[test]
#[ignore = "needs a buildkitd, as root: BUILDKITD=FILE make buildx"]
fn a_buildkitd_makes_of_a_package_what_buildah_makes_of_it() {
    let daemon = Daemon::buildkit();
    let workshop = packages();
    let builder = format!("linux/amd64={}", daemon.address);
    let nobody = "unix:///nonexistent";
    let by_buildah = made(&workshop, nobody, &[]);
    let digest = || {
        assert_eq!(made(&workshop, nobody, &["--builders", &builder]), by_buildah);
        let name = format!("docker.io/{}", workshop.works(&["show-tag", "a"]).trim_end());
        workshop.cached(&name)["manifests"][0]["digest"].clone()
    };
    assert_eq!(digest(), digest(), "it is the same each time");
    // Its builds are where the daemon is.
    check_network(&workshop, nobody, "127.0.0.1", &["--builders", &builder]);
}
