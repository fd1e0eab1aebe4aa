//! The packages that come from Debian: the examples of their READMEs, booted and looked at from outside.
//!
//! | module | what boots |
//! |---|---|
//! | `duties` | one machine with all that serves the machine itself, on a network without DHCP |
//! | `network` | interfaces with other names, links that are not there, what comes over the network, host keys that stay |

mod duties;
mod network;

use std::path::{Path, PathBuf};

use lk_tests::image::build_initrd_with;
use lk_tests::readme::example;
use lk_tests::root;
use lk_tests::vm::ssh_key;
use tempfile::TempDir;

/// Seconds from 1900 to the middle of 2035.
const YEAR_2035: u32 = 4_275_000_000;
/// And to the middle of 2029: OpenNTPD believes nobody beyond.
const YEAR_2029: u32 = 4_085_000_000;

/// What a machine is built from, and the key that gets in.
struct Machine {
    dir: TempDir,
    key: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (key, _) = ssh_key(dir.path());
        Self { dir, key }
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Builds `yaml` and then the examples of these packages' READMEs into one machine without containerd.
    fn build(&self, name: &str, packages: &[&str], yaml: &str) -> PathBuf {
        let mut sources: Vec<PathBuf> =
            ["kernel", "embedded"].map(|part| root().join(format!("tests/faults/{part}.yml"))).into();
        if !yaml.is_empty() {
            let own = self.dir().join("own.yml");
            std::fs::write(&own, yaml.replace("@pkg:..", &format!("@pkg:{}", root().display())))
                .expect("writing the YAML");
            sources.push(own);
        }
        sources.extend(packages.iter().map(|package| self.example(package)));
        build_initrd_with(name, &[], &sources.iter().map(PathBuf::as_path).collect::<Vec<_>>())
    }

    /// The example, with the key of the test in place of the user's.
    fn example(&self, package: &str) -> PathBuf {
        let path = example(package, self.dir());
        let text = std::fs::read_to_string(&path).expect("the example");
        let own = self.key.with_extension("pub").display().to_string();
        std::fs::write(&path, text.replace("~/.ssh/id_ed25519.pub", &own)).expect("writing the example");
        path
    }
}
