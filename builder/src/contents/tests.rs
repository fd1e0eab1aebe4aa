//! Images that are damaged in any way: they are an error or a listing, never a panic, and never more than they can be.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::bytes::Bytes;
use super::explore::Explored;
use super::{Listing, What};
use crate::output::gpt::{self, Guid};
use crate::tree::Content;

/// Most bytes of a file that are read: what is damaged may say that a file has gibibytes of zeros.
const READ: u64 = 1 << 20;

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output();
    let out = out.unwrap_or_else(|error| panic!("{program}, which `make deps` installs: {error}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A small image of each format, made of one directory.
static SEEDS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let tree = path("tree");
    fs::create_dir_all(path("tree/boot/sub")).unwrap();
    fs::write(path("tree/boot/initrd.img"), cpio()).unwrap();
    fs::write(path("tree/boot/program.efi"), program()).unwrap();
    fs::write(path("tree/init"), "x".repeat(9000)).unwrap();
    fs::hard_link(path("tree/init"), path("tree/boot/sub/a name that is longer than others")).unwrap();
    std::os::unix::fs::symlink("init", path("tree/boot/link")).unwrap();
    run("mksquashfs", &[&tree, &path("zstd"), "-quiet", "-comp", "zstd"]);
    run("mksquashfs", &[&tree, &path("gzip"), "-quiet", "-comp", "gzip", "-b", "4096"]);
    run("mkfs.erofs", &["--quiet", &path("erofs"), &tree]);
    run("mke2fs", &["-q", "-t", "ext4", "-d", &tree, &path("ext4"), "1M"]);
    run("mke2fs", &["-q", "-t", "ext2", "-d", &tree, &path("ext2"), "1M"]);
    run(
        "xorriso",
        &["-report_about", "SORRY", "-hardlinks", "on", "-as", "mkisofs", "-R", "-o", &path("iso"), &tree],
    );
    run("tar", &["-C", &tree, "-cf", &path("tar"), "."]);
    let fat = fat(Path::new(&tree));
    fs::write(path("disk"), disk(&fat)).unwrap();
    run("qemu-img", &["convert", "-O", "qcow2", "-o", "cluster_size=4096", &path("disk"), &path("qcow2")]);
    run("qemu-img", &["convert", "-c", "-O", "qcow2", &path("disk"), &path("packed")]);
    let names = ["ext4", "ext2", "zstd", "gzip", "erofs", "iso", "tar", "disk", "qcow2", "packed"];
    let mut seeds: Vec<_> = names.into_iter().map(|name| (name, fs::read(path(name)).unwrap())).collect();
    seeds.extend([("fat", fat), ("cpio", cpio()), ("program", program())]);
    seeds
});

/// An archive of a directory, a file with two names and a link.
fn cpio() -> Vec<u8> {
    let mut archive = Vec::new();
    for (inode, mode, links, name, content) in [
        (1, 0o40755, 2, "etc", ""),
        (2, 0o100_644, 2, "etc/a", ""),
        (2, 0o100_644, 2, "etc/b", "content"),
        (3, 0o120_777, 1, "etc/c", "a"),
        (0, 0, 1, "TRAILER!!!", ""),
    ] {
        let numbers =
            [inode, mode, 0, 0, links, 0, content.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        archive.extend(b"070701");
        numbers.iter().for_each(|number| archive.extend(format!("{number:08x}").bytes()));
        for text in [format!("{name}\0"), content.to_owned()] {
            archive.extend(text.bytes());
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
    }
    archive
}

/// An EFI program with a kernel, a command line and an initrd in it.
fn program() -> Vec<u8> {
    let mut program = vec![0; 1024];
    program[..2].copy_from_slice(b"MZ");
    program[60] = 64;
    program[64..68].copy_from_slice(b"PE\0\0");
    program[70] = 3;
    let initrd = cpio();
    let contents = [(&b".linux\0\0"[..], &b"kernel"[..]), (b".cmdline", b"quiet"), (b".initrd\0", &initrd)];
    for (index, (name, content)) in contents.into_iter().enumerate() {
        let (at, start) = (88 + index * 40, program.len() as u32);
        program[at..at + 8].copy_from_slice(name);
        let numbers = [content.len() as u32, 0, content.len().next_multiple_of(512) as u32, start];
        for (number, to) in numbers.iter().zip(program[at + 8..].chunks_exact_mut(4)) {
            to.copy_from_slice(&number.to_le_bytes());
        }
        program.extend(content);
        program.resize(program.len().next_multiple_of(512), 0);
    }
    program
}

/// A FAT with the files of a directory's `boot`; what writes it here knows no long names.
fn fat(tree: &Path) -> Vec<u8> {
    use std::io::Write;
    let mut image = std::io::Cursor::new(vec![0; 4 << 20]);
    fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new()).unwrap();
    {
        let volume = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
        volume.root_dir().create_dir("EFI").unwrap();
        for name in ["initrd.img", "program.efi"] {
            let content = fs::read(tree.join("boot").join(name)).unwrap();
            volume.root_dir().create_file(name).unwrap().write_all(&content).unwrap();
        }
    }
    image.into_inner()
}

/// A disk with a GPT and this in its partition.
fn disk(content: &[u8]) -> Vec<u8> {
    let mut disk = std::io::Cursor::new(vec![0; content.len() + (2 << 20)]);
    let (kind, id, sectors) = (gpt::EFI_SYSTEM, Guid::of(1, 2, 3, 4), content.len() as u64 / 512);
    let partition = gpt::Partition { kind, id, first: 2048, sectors, name: "EFI System" };
    let len = disk.get_ref().len() as u64;
    gpt::write(&mut disk, len, id, &[partition]).unwrap();
    let mut disk = disk.into_inner();
    disk[1 << 20..(1 << 20) + content.len()].copy_from_slice(content);
    disk
}

fn bytes(image: Vec<u8>) -> Bytes {
    let len = image.len() as u64;
    Bytes::of(Content::from(image), len)
}

/// Reads what is in an image, as far as it can be read.
fn listed(image: Vec<u8>) -> Option<usize> {
    let image = bytes(image);
    // A part of a disk may be nobody's.
    let explored = Explored::of(&image).ok()??;
    for volume in &explored.volumes {
        for (found, _) in &volume.files {
            if let What::File(content) = &found.what {
                // An error is as good as bytes.
                content.start(READ).ok();
            }
        }
    }
    let listing = Listing::of_bytes("damaged", &image).ok()?;
    Some(listing.entries().count())
}

#[test]
fn every_seed_is_read_and_has_in_it_what_went_in() {
    for (name, image) in SEEDS.iter() {
        let listing = Listing::of_bytes(name, &bytes(image.clone())).unwrap();
        let spots: Vec<String> = listing.entries().map(|(spot, _)| spot.to_string()).collect();
        let wanted: &[&str] = match *name {
            "disk" | "qcow2" | "packed" => {
                &["/etc/b", "/boot/kernel", "/boot/cmdline", "disk:/partition 1", "partition 1:/PROGRAM.EFI"]
            }
            "fat" => &["/etc/b", "/boot/kernel", "/boot/cmdline", "FAT:/EFI"],
            "iso" => {
                &["/init", "/boot/sub/a name that is longer than others", "initrd:/etc/b", "/boot/kernel"]
            }
            "cpio" => &["/etc/a", "/etc/b", "/etc/c"],
            "program" => &["/boot/kernel", "/boot/cmdline", "/etc/c"],
            _ => &["/init", "/boot/sub/a name that is longer than others", "/boot/program.efi", "/boot/link"],
        };
        for spot in wanted {
            assert!(spots.iter().any(|known| known == spot), "{name} has no {spot}: {spots:#?}");
        }
    }
}

proptest! {
    #[test]
    fn damaged_images_are_an_error_or_a_listing(
        seed in 0..13_usize,
        // Most of what is read is near the start of an image, or of something in it.
        damage in prop::collection::vec((prop_oneof![0..4096_usize, 0..usize::MAX], prop_oneof![Just(0_u8), Just(0xFF), any::<u8>()]), 1..12),
        blocks in prop::collection::vec(0..usize::MAX, 0..3),
        cut in prop::option::weighted(0.2, 0..usize::MAX),
    ) {
        let mut image = SEEDS[seed].1.clone();
        let len = image.len();
        // File systems begin at mebibytes, and have their tables at the end.
        let ends = [0, 1 << 20, len.saturating_sub(4096)];
        for (number, (at, byte)) in damage.into_iter().enumerate() {
            let at = if at < 4096 { ends[number % 3] + at } else { at };
            image[at % len] = byte;
        }
        for at in blocks {
            // A header in the place of another one.
            let (from, to) = (at % len / 512 * 512, at / 7 % len / 512 * 512);
            let part = image[from..len.min(from + 512)].to_vec();
            let end = len.min(to + part.len());
            image[to..end].copy_from_slice(&part[..end - to]);
        }
        if let Some(cut) = cut {
            image.truncate(cut % len);
        }
        listed(image);
    }
}
