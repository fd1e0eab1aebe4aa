//! What is booted: the example, built once for all tests with the `lkb` that a user has.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::{own_kernel, root};

/// Where the suite keeps what it builds, and the consoles of failed tests.
#[must_use]
pub fn out_dir() -> PathBuf {
    let dir = root().join("target/suite");
    std::fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("making {}: {e}", dir.display()));
    dir
}

/// The `lkb` under test: `make` builds it, `LKB` names another.
#[must_use]
pub fn lkb() -> PathBuf {
    std::env::var_os("LKB").map_or_else(|| root().join("target/release/lkb"), PathBuf::from)
}

/// Runs `lkb` and returns what it printed. What it builds has the kernel of [`own_kernel::chosen`], if there is one.
///
/// # Panics
/// When it can't be started: run `make` first.
pub fn run_lkb(args: &[&str]) -> Output {
    let lkb = lkb();
    let kernel = (args.first() == Some(&"build")).then(own_kernel::chosen).flatten();
    Command::new(&lkb)
        .current_dir(root())
        .args(args)
        .args(kernel)
        .output()
        .unwrap_or_else(|e| panic!("{}: {e}: run `make` first", lkb.display()))
}

/// Builds kernel and initrd of a configuration; returns what `lkb run` is given.
///
/// # Panics
/// When the build fails.
#[must_use]
pub fn build_initrd(name: &str, yaml: &Path) -> PathBuf {
    build_initrd_with(name, &[], &[yaml])
}

/// The same with more options, of several configurations.
///
/// The kernel does not test its timer: on a busy host it misses ticks, takes the timer for broken, and panics.
///
/// # Panics
/// When the build fails.
#[must_use]
pub fn build_initrd_with(name: &str, options: &[&str], yaml: &[&Path]) -> PathBuf {
    let dir = out_dir();
    let dir_text = dir.to_str().expect("a UTF-8 path");
    let mut args = vec!["build", "--format", "kernel+initrd", "--name", name, "--dir", dir_text];
    args.extend(options);
    args.extend(yaml.iter().map(|yaml| yaml.to_str().expect("a UTF-8 path")));
    let out = run_lkb(&args);
    assert!(out.status.success(), "lkb {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    let cmdline = dir.join(format!("{name}-cmdline"));
    let text = std::fs::read_to_string(&cmdline).unwrap_or_else(|e| panic!("{}: {e}", cmdline.display()));
    std::fs::write(&cmdline, format!("{} no_timer_check\n", text.trim_end()))
        .expect("writing the command line");
    dir.join(name)
}

/// Builds the example into `dir` and returns the disk image.
///
/// # Panics
/// When the build fails.
#[must_use]
pub fn build_example(dir: &Path) -> PathBuf {
    let dir_text = dir.to_str().expect("a UTF-8 path");
    let args =
        ["build", "--format", "qcow2-bios", "--name", "lkb-ldap", "--dir", dir_text, "examples/ldap.yml"];
    let out = run_lkb(&args);
    assert!(out.status.success(), "lkb {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    dir.join("lkb-ldap.qcow2")
}

/// The example's disk image, the same file for every test of a process.
///
/// # Panics
/// When the build fails.
#[must_use]
pub fn ldap() -> &'static Path {
    static IMAGE: OnceLock<PathBuf> = OnceLock::new();
    IMAGE.get_or_init(|| build_example(&out_dir()))
}
