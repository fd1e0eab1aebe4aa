//! Machines whose root is on a disk: a small initrd with init and the modules of disks, and the rest as a file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lkb::config::{self, PackageResolver, Source};
use lkb::image::Cache;
use lkb::output::{self, Format, KernelInitrd, Machine, Settings};
use lkb::stage;

use crate::image::run_lkb;
use crate::{own_kernel, root};

/// The file system's UUID, of those that have one.
pub const UUID: &str = "4c6b6200-0000-4000-8000-726f6f740001";
/// The file system's label, of those that have one.
pub const LABEL: &str = "lkb root";

/// How the root lies on its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext4 on the whole disk.
    Ext4,
    /// EROFS on the whole disk.
    Erofs,
    /// ISO 9660 with Rock Ridge, on the whole disk.
    Iso,
}

/// A machine in two parts.
#[derive(Debug)]
pub struct Split {
    /// What `lkb run` is given.
    pub prefix: PathBuf,
    /// The disk with the root.
    pub disk: PathBuf,
    /// Bytes of the initrd.
    pub initrd_size: u64,
}

impl Split {
    /// The value of `--disk` for the root.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("{},format=raw", self.disk.display())
    }
}

/// Builds `yaml`, which lies in the source tree, with its root on a disk that the command line calls `name`.
///
/// # Panics
/// When something cannot be built.
#[must_use]
pub fn split(yaml: &str, dir: &Path, kind: Kind, cmdline: &str) -> Split {
    let tree = tree(yaml, dir);
    let disk = dir.join(format!("{kind:?}.raw"));
    make(kind, &tree, &disk);
    let name = format!("{kind:?}-stage");
    first_stage(yaml, dir, &name, cmdline);
    let initrd_size = fs::metadata(dir.join(format!("{name}-initrd.img"))).expect("the initrd").len();
    Split { prefix: dir.join(name), disk, initrd_size }
}

/// The files of the machine that `yaml` describes, as they will be on the disk: unpacked once in `dir`.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn tree(yaml: &str, dir: &Path) -> PathBuf {
    let tree = dir.join("tree");
    if !tree.exists() {
        unpack(yaml, dir, &tree);
    }
    tree
}

fn unpack(yaml: &str, dir: &Path, tree: &Path) {
    let out = run_lkb(&["build", "--format", "tar", "--name", "root", "--dir", text(dir), yaml]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    fs::create_dir(tree).expect("a directory for the root");
    let archive = dir.join("root.tar");
    run(
        "tar",
        &[
            "--extract",
            "--file",
            text(&archive),
            "--directory",
            text(tree),
            "--exclude=boot/*",
            "--same-owner",
        ],
    );
    fs::remove_file(archive).expect("the archive goes");
}

/// Makes a disk of the files in `tree`.
///
/// # Panics
/// When a program of `tools/deps` fails.
pub fn make(kind: Kind, tree: &Path, disk: &Path) {
    let (tree, image) = (text(tree), text(disk));
    match kind {
        Kind::Ext4 => {
            run("truncate", &["-s", "400M", image]);
            run("mkfs.ext4", &["-q", "-L", LABEL, "-U", UUID, "-d", tree, image]);
        }
        Kind::Erofs => run("mkfs.erofs", &["--quiet", "-U", UUID, image, tree]),
        Kind::Iso => run("xorriso", &["-as", "mkisofs", "-quiet", "-R", "-V", LABEL, "-o", image, tree]),
    }
}

/// The kernel, and the initrd that finds the root.
fn first_stage(yaml: &str, dir: &Path, name: &str, cmdline: &str) {
    let path = root().join(yaml);
    let text = fs::read_to_string(&path).expect("the YAML");
    let source = Source { name: yaml.into(), text, dir: path.parent().map(Path::to_path_buf) };
    let resolver = lkb::pkg::Resolver::default();
    let kernel = own_kernel::chosen().map(|path| Source {
        name: "kernel.yml".into(),
        text: fs::read_to_string(path).expect("the choice of a kernel"),
        dir: None,
    });
    let sources: Vec<Source> = std::iter::once(source).chain(kernel).collect();
    let loaded = config::load(&sources, &resolver as &dyn PackageResolver).expect("a sound configuration");
    let cache = Cache::open(&Cache::default_dir().expect("the cache")).expect("the cache");
    let machine = lkb::build::assemble(&loaded.config, &cache, "amd64", &lkb::build::Options::default())
        .expect("the machine");
    let modules = [&stage::DISKS[..], &stage::FILE_SYSTEMS].concat();
    let root = stage::first_stage(&machine.root, &modules).expect("the first stage");
    let first = Machine { root, cmdline: format!("{} {cmdline}", machine.cmdline), ..machine };
    let formats: [&dyn Format; 1] = [&KernelInitrd];
    output::write(&first, &cache, dir, name, Settings::default(), &formats)
        .expect("writing kernel and initrd");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Runs a program of `tools/deps`.
fn run(program: &str, args: &[&str]) {
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let out = Command::new(program).args(args).env("PATH", path).output();
    let out = out.unwrap_or_else(|error| panic!("running {program} (see tools/deps): {error}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}
