//! A git repository with packages, a cache, and a storage for buildah, all of a test's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::registries::{Home, stderr};

/// A file of an image, and what it says about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub path: PathBuf,
    kind: u8,
    mode: u32,
    owner: (u64, u64),
    link: Option<PathBuf>,
    pub content: Vec<u8>,
}

/// Where a test makes packages.
pub struct Workshop {
    pub home: Home,
}

impl Workshop {
    /// One with an empty repository.
    pub fn new() -> Self {
        let home = Home::new();
        std::fs::create_dir(home.path("src")).unwrap();
        let storage = home.path("storage");
        let config = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/graph\"\nrunroot = \"{0}/run\"\n",
            storage.display()
        );
        std::fs::write(home.path("storage.conf"), config).unwrap();
        let this = Self { home };
        this.git(&["init", "-q", "-b", "main"]);
        this
    }

    /// A path in the repository.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path("src").join(name)
    }

    /// Writes a file of the repository.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs git in the repository.
    pub fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.arg("-C")
            .arg(self.path(""))
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
            .args(args);
        answer(&mut git)
    }

    /// Commits everything.
    pub fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", "change"]);
    }

    /// What a shell prints that is run in a directory of the repository.
    pub fn sh(&self, dir: &str, script: &str) -> String {
        answer(Command::new("sh").current_dir(self.path(dir)).args(["-euc", script]))
    }

    /// `lkb pkg` in the repository.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(&[&["pkg"], args].concat());
        command.current_dir(self.path("")).env("CONTAINERS_STORAGE_CONF", self.home.path("storage.conf"));
        for name in ["LINUXKIT_BUILDERS", "LINUXKIT_PKG_ORG", "DOCKER_HOST", "DOCKER_CONTEXT"] {
            command.env_remove(name);
        }
        command
    }

    /// What `lkb pkg` prints on standard output when it works.
    pub fn works(&self, args: &[&str]) -> String {
        success(&self.command(args).output().unwrap(), args)
    }

    /// What it says when it fails.
    pub fn fails(&self, args: &[&str]) -> String {
        failure(&self.command(args).output().unwrap(), args)
    }

    /// A document of the cache.
    pub fn blob(&self, digest: &str) -> Value {
        let path = self.home.path("cache/blobs/sha256").join(digest.trim_start_matches("sha256:"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// What the cache has by a name: its index, or its manifest.
    pub fn cached(&self, name: &str) -> Value {
        let text = std::fs::read(self.home.path("cache/index.json")).unwrap();
        let index: Value = serde_json::from_slice(&text).unwrap();
        let entries = index["manifests"].as_array().unwrap();
        let named = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
        let entry = entries.iter().find(named).unwrap_or_else(|| panic!("no {name} in {index}"));
        self.blob(entry["digest"].as_str().unwrap())
    }

    /// The configuration of the image for an architecture that the cache has by a name.
    pub fn config(&self, name: &str, arch: &str) -> Value {
        let index = self.cached(name);
        let images = index["manifests"].as_array().unwrap();
        let image = images.iter().find(|image| image["platform"]["architecture"] == arch);
        let manifest = self.blob(image.unwrap()["digest"].as_str().unwrap());
        self.blob(manifest["config"]["digest"].as_str().unwrap())
    }

    /// The files of an image, as `lkb cache export` writes them: name and content.
    pub fn files(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let entries = self.entries(name).into_iter();
        entries.map(|entry| (entry.path.display().to_string(), entry.content)).collect()
    }

    /// The same, with all that it says about them but times.
    pub fn entries(&self, name: &str) -> Vec<Entry> {
        let args = ["cache", "export", "--format", "filesystem", "--outfile", "-", name];
        let output = self.home.command(&args).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let mut archive = tar::Archive::new(output.stdout.as_slice());
        let mut files = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            let header = entry.header();
            files.push(Entry {
                path: entry.path().unwrap().into_owned(),
                kind: header.entry_type().as_byte(),
                mode: header.mode().unwrap(),
                owner: (header.uid().unwrap(), header.gid().unwrap()),
                link: entry.link_name().unwrap().map(|link| link.into_owned()),
                content,
            });
        }
        files.sort();
        files
    }

    /// Makes an image in buildah's storage, which has what is in a directory of the repository.
    pub fn make_image(&self, name: &str, dir: Option<&str>) {
        let buildah = |args: &[&str]| {
            let mut buildah = Command::new("buildah");
            buildah.args(["--storage-driver", "vfs"]).args(args).current_dir(self.path(""));
            // It would miss the file of logins that is not there.
            buildah.env_remove("DOCKER_CONFIG");
            answer(buildah.env("CONTAINERS_STORAGE_CONF", self.home.path("storage.conf")))
        };
        let container = buildah(&["from", "scratch"]);
        if let Some(dir) = dir {
            buildah(&["copy", "--quiet", &container, dir, "/"]);
        }
        buildah(&["config", "--env", "PATH=/usr/bin:/bin", &container]);
        buildah(&["commit", "--quiet", "--rm", &container, name]);
    }

    /// Copies the shell of this machine into a package, with the libraries that it needs, so that a Dockerfile from nothing
    /// can `RUN` something.
    pub fn add_shell(&self, dir: &str) {
        let script =
            "for f in /bin/bash $(ldd /bin/bash | grep -o '/[^ ]*'); do cp -L --parents $f root/; done";
        std::fs::create_dir_all(self.path(dir).join("root")).unwrap();
        self.sh(dir, script);
    }

    /// What lies about in the cache that is no image.
    pub fn litter(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.home.path("cache")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("tmp-pkg")).collect()
    }
}

pub fn success(output: &Output, args: &[&str]) -> String {
    assert!(output.status.success(), "{args:?}: {}", stderr(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn failure(output: &Output, args: &[&str]) -> String {
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", stderr(output));
    stderr(output)
}

/// What a command prints, without the newline at the end.
pub fn answer(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A directory with links to all programs that are on the path, but for these.
pub fn path_without(dir: &Path, missing: &[&str]) -> PathBuf {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for from in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let link = bin.join(&name);
            if !missing.iter().any(|missing| name == *missing) && link.symlink_metadata().is_err() {
                std::os::unix::fs::symlink(entry.path(), link).unwrap();
            }
        }
    }
    bin
}
