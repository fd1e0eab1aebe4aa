//! Debian's `docker-registry`, on a port of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::Agent;
use ureq::tls::TlsConfig;

use super::images::{INDEX, Image, digest};

/// Who may use a registry with a password.
pub const USER: &str = "anna";
pub const PASSWORD: &str = "hush-hush";

/// A registry that runs for as long as this lives.
pub struct Registry {
    process: Child,
    dir: tempfile::TempDir,
    port: u16,
    tls: bool,
    agent: Agent,
}

impl Registry {
    pub fn plain() -> Self {
        Self::start(false, false)
    }

    pub fn with_tls() -> Self {
        Self::start(true, false)
    }

    pub fn with_password() -> Self {
        Self::start(false, true)
    }

    /// Host and port.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The certificate of who has signed the registry's.
    pub fn authority(&self) -> String {
        self.dir.path().join("ca.pem").to_str().unwrap().to_owned()
    }

    /// Puts an image there under this tag.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) {
        for blob in image.blobs() {
            let started = self.agent.post(self.url(&format!("{repository}/blobs/uploads/")));
            let started = started.header("authorization", authorization()).send_empty().unwrap();
            assert_eq!(started.status(), 202);
            let location = started.headers()["location"].to_str().unwrap().to_owned();
            let sent = self.agent.put(format!("{location}&digest={}", digest(blob)));
            let sent = sent.header("authorization", authorization()).send(&blob[..]).unwrap();
            assert_eq!(sent.status(), 201);
        }
        self.push_manifest(repository, tag, image.kind, &image.manifest);
    }

    /// Puts images there, and an index of them under this tag.
    pub fn push_index(&self, repository: &str, tag: &str, images: &[&Image]) {
        for image in images {
            self.push(repository, image.arch, image);
        }
        self.push_manifest(repository, tag, INDEX, &super::images::index(images));
    }

    /// Puts a manifest there under this tag.
    pub fn push_manifest(&self, repository: &str, tag: &str, kind: &str, manifest: &[u8]) {
        let sent =
            self.agent.put(self.url(&format!("{repository}/manifests/{tag}"))).header("content-type", kind);
        let sent = sent.header("authorization", authorization()).send(manifest).unwrap();
        assert_eq!(sent.status(), 201);
    }

    /// What a tag means there.
    pub fn manifest(&self, repository: &str, tag: &str) -> Option<Vec<u8>> {
        let accept = [INDEX, super::images::MANIFEST, super::images::DOCKER_MANIFEST].join(", ");
        let asked =
            self.agent.get(self.url(&format!("{repository}/manifests/{tag}"))).header("accept", accept);
        let mut answer = asked.call().unwrap();
        (answer.status() == 200).then(|| answer.body_mut().read_to_vec().unwrap())
    }

    /// Whether a repository there has a blob.
    pub fn has_blob(&self, repository: &str, digest: &str) -> bool {
        self.agent.head(self.url(&format!("{repository}/blobs/{digest}"))).call().unwrap().status() == 200
    }

    /// The repositories that are there.
    pub fn repositories(&self) -> Vec<String> {
        let text = self.agent.get(self.url("_catalog")).call().unwrap().body_mut().read_to_vec().unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let names = answer["repositories"].as_array().cloned().unwrap_or_default();
        names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Loses a manifest, as a disk does: what names it stays.
    pub fn lose(&self, repository: &str, digest: &str) {
        let hex = digest.trim_start_matches("sha256:");
        let kept =
            format!("storage/docker/registry/v2/repositories/{repository}/_manifests/revisions/sha256/{hex}");
        fs::remove_dir_all(self.dir.path().join(kept)).unwrap();
    }

    fn url(&self, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}/v2/{path}", self.host())
    }

    fn start(tls: bool, password: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {dir}/storage}}}}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            dir = dir.path().display()
        );
        if tls {
            make_certificates(dir.path());
            config += &format!(
                "  tls: {{certificate: {dir}/cert.pem, key: {dir}/key.pem}}\n",
                dir = dir.path().display()
            );
        }
        if password {
            fs::write(
                dir.path().join("htpasswd"),
                run(Command::new("htpasswd").args(["-nbB", USER, PASSWORD])),
            )
            .unwrap();
            config +=
                &format!("auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}\n", dir.path().display());
        }
        let file = dir.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry, which `make deps` installs");
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .tls_config(
                TlsConfig::builder()
                    // The test is about how `lkb` gets images out.
                    .disable_verification(true)
                    .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .build(),
            )
            .build()
            .into();
        let registry = Self { process, dir, port, tls, agent };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn authorization() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

/// An authority, and a certificate that it has signed.
fn make_certificates(dir: &Path) {
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let openssl = |args: &[&str]| drop(run(Command::new("openssl").current_dir(dir).args(args)));
    openssl(
        &[
            &[
                "req",
                "-x509",
                "-days",
                "2",
                "-subj",
                "/CN=test authority",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
            ],
            &key[..],
        ]
        .concat(),
    );
    openssl(
        &[&["req", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "csr.pem"], &key[..]].concat(),
    );
    fs::write(dir.join("extensions"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    openssl(&[
        "x509",
        "-req",
        "-in",
        "csr.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "extensions",
        "-out",
        "cert.pem",
    ]);
}

pub fn run(command: &mut Command) -> Vec<u8> {
    let output =
        command.output().unwrap_or_else(|error| panic!("{command:?}, which `make deps` installs: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
