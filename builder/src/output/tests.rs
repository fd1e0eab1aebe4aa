//! Builds: what is written, and that it is written whole, the same each time, or not at all.

mod archives;
mod checked;
mod disks;
pub(in crate::output) mod file_systems;
mod firecracker;
mod isos;

use std::fs;
use std::io::Read;
use std::path::Path;

use image_layout::initrd::{FIRST_MARK, LAST_MARK};

use super::*;
use crate::image::fixture::{Layer, Stored, add_image};
use crate::image::{Cache, EntryKind, entries};
use crate::tree::{Kind, Location, Node};

const NAME: &str = "machine";
/// Of the disks, so that tests read little.
const SIZE: u64 = 64 << 20;

/// All formats that one build of this machine can make: the others have file names of these, and `rpi3` is for arm64.
fn formats() -> Vec<&'static dyn Format> {
    let others = ["dynamic-vhd", "kernel+iso", "kernel+squashfs", "kernel+erofs", "rpi3"];
    FORMATS.iter().copied().filter(|format| !others.contains(&format.name())).collect()
}

fn sized(size: u64) -> Settings {
    Settings { size, compression: Some(Compression::Zstd), ..Settings::default() }
}

fn origin(location: Location) -> Arc<Origin> {
    Arc::new(Origin { location, source: format!("docker.io/test/{location}:1") })
}

/// An image's layer and things that the builder makes, with every kind of node.
fn machine(cache: &Cache) -> Machine {
    let layer = Layer::default()
        .dir("bin")
        .raw(::tar::EntryType::Regular, "bin/a", "", 0o4755, b"program")
        .hardlink("bin/b", "bin/a")
        .hardlink("bin/c", "bin/a")
        .symlink("bin/sh", "a")
        .raw(::tar::EntryType::Char, "dev/null", "", 0o666, b"")
        .raw(::tar::EntryType::Fifo, "dev/pipe", "", 0o600, b"")
        .pax(&[("SCHILY.xattr.security.capability", b"\x01\n\x02")])
        .file("bin/ping", "ping")
        .file("init", "INIT")
        .file(&format!("{}/long", "d".repeat(90)), &"content ".repeat(1000))
        .finish();
    let image = add_image(cache, "test/init:1", serde_json::json!({}), &[(layer, Stored::Gzip)]);
    let init = origin(Location::Init(0));
    let mut root = Tree::new();
    let file = cache.layer(&image, &image.layers[0]).unwrap();
    root.apply(&file, 0, file.len(), &init).unwrap();
    let service = origin(Location::Service(0));
    root.insert(b"containers/services/x/config.json", Node::file(&b"{}"[..], 0o644, &service)).unwrap();
    // An earlier item's file in a directory that a later item brought.
    let mut bin = root.get(b"bin").unwrap().clone();
    bin.origin = Arc::clone(&service);
    root.insert(b"bin", bin).unwrap();
    Machine {
        kernel: Some(Content::from(&super::bzimage::kernel_for_tests()[..])),
        cmdline: "console=ttyS0".into(),
        ucode: Some(Content::from(&b"ucode"[..])),
        boot: origin(Location::Kernel),
        root,
    }
}

fn build(machine: &Machine, cache: &Cache, dir: &Path) -> Result<Built, OutputError> {
    write(machine, cache, dir, NAME, sized(SIZE), &formats())
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

/// Mode, owner, number of names and content, by name.
type Unpacked = BTreeMap<String, (u32, u32, u32, Vec<u8>)>;

/// What a kernel would unpack.
fn unpack(initrd: &[u8]) -> Vec<Unpacked> {
    let mut archives = Vec::new();
    let mut rest = initrd;
    while let Some(start) = rest.iter().position(|&byte| byte != 0) {
        assert_eq!((initrd.len() - rest.len() + start) % 4, 0, "a segment is not aligned");
        rest = &rest[start..];
        let mut archive = Vec::new();
        let mut decoder = zstd::Decoder::with_buffer(rest).unwrap().single_frame();
        decoder.read_to_end(&mut archive).unwrap();
        rest = decoder.finish();
        archives.push(parse(&archive));
    }
    archives
}

fn parse(mut archive: &[u8]) -> Unpacked {
    let mut files = BTreeMap::new();
    loop {
        assert_eq!(&archive[..6], b"070701");
        let field = |n: usize| {
            u32::from_str_radix(std::str::from_utf8(&archive[6 + 8 * n..14 + 8 * n]).unwrap(), 16).unwrap()
        };
        let (mode, uid, links, size, name_size) = (field(1), field(2), field(4), field(6), field(11));
        let name = String::from_utf8(archive[110..110 + name_size as usize - 1].to_vec()).unwrap();
        let start = (110 + name_size as usize).next_multiple_of(4);
        let content = archive[start..start + size as usize].to_vec();
        archive = &archive[(start + size as usize).next_multiple_of(4)..];
        if name == "TRAILER!!!" {
            assert!(archive.is_empty());
            return files;
        }
        assert!(files.insert(name, (mode, uid, links, content)).is_none());
    }
}

#[test]
fn a_build_makes_the_files_of_its_formats_and_no_others() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    let built = build(&machine, &cache, out.path()).unwrap();
    let mut expected: Vec<String> = formats().iter().flat_map(|format| format.files(NAME)).collect();
    expected.sort();
    assert_eq!(names(out.path()), expected);
    assert_eq!(built.files.len(), expected.len());
    assert_eq!(fs::read(out.path().join("machine-kernel")).unwrap(), super::bzimage::kernel_for_tests());
    assert_eq!(fs::read(out.path().join("machine-cmdline")).unwrap(), b"console=ttyS0");
    assert_eq!(
        built.warnings,
        ["an initrd", "an ISO image"].map(|kind| {
            format!("{kind} cannot keep extended attributes: lost on /bin/ping (security.capability)")
        })
    );
}

#[test]
fn an_initrd_is_a_row_of_archives_that_has_all_of_the_tree() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    build(&machine, &cache, out.path()).unwrap();
    let initrd = fs::read(out.path().join("machine-initrd.img")).unwrap();
    assert_eq!(&initrd[..8], b"ucode\0\0\0");
    let archives = unpack(&initrd[8..]);
    assert_eq!(archives.len(), 3, "directories, init, generated");
    let files = |archive: &Unpacked| {
        let is_file = |mode: u32| mode & 0o170_000 != 0o040_000;
        archive
            .iter()
            .filter(|(_, (mode, ..))| is_file(*mode))
            .map(|(path, _)| path.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(files(&archives[0]), [FIRST_MARK]);
    assert_eq!(files(&archives[2]), ["containers/services/x/config.json", LAST_MARK]);
    let all: BTreeMap<_, _> = archives.into_iter().flatten().collect();
    assert_eq!(all[FIRST_MARK], (0o100_444, 0, 1, b"bytes=24576\n".to_vec()));
    assert_eq!(all.len(), machine.root.len() + ["etc", "etc/lkb", FIRST_MARK, LAST_MARK].len());
    assert_eq!(all["bin/a"], (0o104_755, 1, 3, b"program".to_vec()));
    assert_eq!(all["bin/b"], (0o104_755, 1, 3, Vec::new()));
    assert_eq!(all["bin/sh"], (0o120_777, 1, 1, b"a".to_vec()));
    assert_eq!(all["dev/null"].0, 0o020_666);
    assert_eq!(all["dev/pipe"].0, 0o010_600);
}

#[test]
fn the_marks_of_another_initrd_in_the_tree_are_left_out_and_the_last_mark_is_the_last_entry() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let mut machine = machine(&cache);
    for mark in [FIRST_MARK, LAST_MARK] {
        let stale = Node::file(&b"stale"[..], 0o644, &origin(Location::Init(0)));
        machine.root.insert(mark.as_bytes(), stale).unwrap();
    }
    machine.ucode = None;
    build(&machine, &cache, out.path()).unwrap();
    let initrd = fs::read(out.path().join("machine-initrd.img")).unwrap();
    let archives = unpack(&initrd);
    let marks: Vec<_> = archives.iter().flat_map(|archive| archive.get(LAST_MARK)).collect();
    assert_eq!(marks, [&(0o100_444, 0, 1, b"complete\n".to_vec())]);
    let mut last = Vec::new();
    let frame = zstd::Decoder::with_buffer(&initrd[last_frame(&initrd)..]).unwrap();
    frame.single_frame().read_to_end(&mut last).unwrap();
    let at = |name: &str| last.windows(name.len()).rposition(|found| found == name.as_bytes()).unwrap();
    assert!(at(LAST_MARK) > at("containers/services/x/config.json"));
}

/// Where the last segment begins.
fn last_frame(initrd: &[u8]) -> usize {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    initrd.windows(4).rposition(|found| found == MAGIC).unwrap()
}

#[test]
fn two_builds_of_the_same_are_the_same_whatever_the_cache_has() {
    let build_anew = || {
        let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cache = Cache::open(dir.path()).unwrap();
        let machine = machine(&cache);
        build(&machine, &cache, out.path()).unwrap();
        let read =
            |out: &Path| names(out).iter().map(|name| fs::read(out.join(name)).unwrap()).collect::<Vec<_>>();
        let cold = read(out.path());
        build(&machine, &cache, out.path()).unwrap();
        assert!(cold == read(out.path()), "a warm build differs");
        cold
    };
    assert!(build_anew() == build_anew());
}

#[test]
fn a_warm_build_compresses_only_what_changed_and_what_was_damaged() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let mut machine = machine(&cache);
    write(&machine, &cache, out.path(), NAME, sized(SIZE), &[&KernelInitrd]).unwrap();
    let initrd = fs::read(out.path().join("machine-initrd.img")).unwrap();
    let segments = dir.path().join("initrd");
    let before = names(&segments);
    assert_eq!(before.len(), 3);

    let changed = Node::file(&b"{\"new\": 1}"[..], 0o644, &origin(Location::Service(0)));
    machine.root.insert(b"containers/services/x/config.json", changed.clone()).unwrap();
    write(&machine, &cache, out.path(), NAME, sized(SIZE), &[&KernelInitrd]).unwrap();
    assert_eq!(names(&segments).len(), 4);

    let old = Node { kind: Kind::File(Content::from(&b"{}"[..])), ..changed };
    machine.root.insert(b"containers/services/x/config.json", old).unwrap();
    for name in &before {
        let mut bytes = fs::read(segments.join(name)).unwrap();
        bytes[20] ^= 1;
        fs::write(segments.join(name), bytes).unwrap();
    }
    write(&machine, &cache, out.path(), NAME, sized(SIZE), &[&KernelInitrd]).unwrap();
    assert!(fs::read(out.path().join("machine-initrd.img")).unwrap() == initrd);
}

/// Starts a file, and fails.
struct Failing;

impl Format for Failing {
    fn name(&self) -> &'static str {
        "failing"
    }

    fn files(&self, name: &str) -> Vec<String> {
        vec![name.to_owned()]
    }

    fn write(&self, job: &Job<'_>) -> Result<(), OutputError> {
        let mut out = job.create("half")?;
        out.write_all(b"half").unwrap();
        assert!(out.path().exists());
        let full = io::Error::from(io::ErrorKind::StorageFull);
        Err(OutputError::io("write", out.path())(full))
    }
}

#[test]
fn a_failed_build_leaves_nothing_behind_and_the_old_files_alone() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    fs::write(out.path().join("machine.tar"), b"old").unwrap();
    let error =
        write(&machine, &cache, out.path(), NAME, sized(0), &[&Tar, &KernelInitrd, &Failing]).unwrap_err();
    assert!(error.to_string().contains("half"), "{error}");
    assert_eq!(names(out.path()), ["machine.tar"]);
    assert_eq!(fs::read(out.path().join("machine.tar")).unwrap(), b"old");
}

#[test]
fn what_a_killed_build_left_is_replaced_and_a_running_one_is_not_disturbed() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    fs::write(out.path().join(".machine.tar.lkb-partial"), vec![1; 1 << 20]).unwrap();
    write(&machine, &cache, out.path(), NAME, sized(0), &[&Tar]).unwrap();
    assert_eq!(names(out.path()), ["machine.tar"]);

    let running = Job::new(&machine, &cache, out.path(), NAME, Settings::default());
    let _file = running.create("machine.tar").unwrap();
    let error = write(&machine, &cache, out.path(), NAME, sized(0), &[&Tar]).unwrap_err();
    assert!(matches!(error, OutputError::Busy(_)), "{error}");
    assert!(names(out.path()).contains(&".machine.tar.lkb-partial".to_owned()));
}

#[test]
fn a_machine_without_a_kernel_makes_only_a_tar() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = Machine { kernel: None, ..machine(&cache) };
    let error = write(&machine, &cache, out.path(), NAME, sized(0), &[&KernelInitrd]).unwrap_err();
    assert!(error.to_string().contains("names no kernel"), "{error}");
    write(&machine, &cache, out.path(), NAME, sized(0), &[&Tar]).unwrap();
}

#[test]
fn a_tar_has_the_yamls_order_parents_first_and_says_where_everything_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let machine = machine(&cache);
    let mut archive = Vec::new();
    Tar.stream(&machine, &mut archive).unwrap().unwrap();
    let found = entries(&archive[..], 0, archive.len() as u64).unwrap();
    let names: Vec<String> =
        found.iter().map(|entry| String::from_utf8(entry.path.clone()).unwrap()).collect();
    let long = "d".repeat(90);
    assert_eq!(
        names,
        [
            "boot/",
            "boot/cmdline",
            "boot/kernel",
            "boot/ucode.cpio",
            "bin/",
            "bin/a",
            "bin/b",
            "bin/c",
            "bin/ping",
            "bin/sh",
            &format!("{long}/"),
            &format!("{long}/long"),
            "dev/",
            "dev/null",
            "dev/pipe",
            "init",
            "containers/",
            "containers/services/",
            "containers/services/x/",
            "containers/services/x/config.json"
        ]
    );
    assert_eq!(found[6].kind, EntryKind::Hardlink(b"bin/a".to_vec()));
    assert_eq!((found[5].mode, found[5].uid, found[5].gid, found[5].mtime), (0o4755, 1, 2, 1000));
    assert_eq!(found[8].xattrs[&b"security.capability"[..]], b"\x01\n\x02");

    let mut read = ::tar::Archive::new(&archive[..]);
    for entry in read.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        if path == "bin/ping" {
            // Its attribute has a newline, which that reader does not understand.
            continue;
        }
        let records: BTreeMap<_, _> = entry
            .pax_extensions()
            .unwrap()
            .unwrap()
            .map(|record| {
                record.map(|r| (r.key().unwrap().to_owned(), r.value().unwrap().to_owned())).unwrap()
            })
            .collect();
        let location = match path.as_str() {
            path if path.starts_with("boot") => "kernel",
            path if path == "bin/" || path.starts_with("containers") => "services[0]",
            _ => "init[0]",
        };
        assert_eq!(records["LINUXKIT.location"], location, "{path}");
        assert_eq!(records["LINUXKIT.source"], format!("docker.io/test/{location}:1"), "{path}");
        let user = if entry.header().uid().unwrap() == 0 { "root" } else { "" };
        assert_eq!(entry.header().username().unwrap(), Some(user), "{path}");
    }
}

#[test]
fn a_file_that_an_archive_cannot_hold_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    fs::write(&path, b"").unwrap();
    let file =
        Arc::new(crate::image::VerifiedFile::open(&path, crate::image::Digest::of(b""), None).unwrap());
    let large = Content::Stretch { file, offset: 0, len: 1 << 32 };
    let mut machine = Machine { kernel: Some(Content::from(&b"k"[..])), ..Machine::default() };
    machine.root.insert(b"var/large", Node::file(large, 0o644, &origin(Location::Init(1)))).unwrap();
    let (cache, out) = (Cache::open(&dir.path().join("cache")).unwrap(), dir.path().join("out"));
    let error = write(&machine, &cache, &out, NAME, sized(0), &[&KernelInitrd]).unwrap_err().to_string();
    for part in ["/var/large", "init[1]", "4294967296 bytes"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert_eq!(names(&out), [""; 0]);
}
