use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;

use super::*;

/// Runs a tool of `tools/deps`.
fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output();
    let out = out.unwrap_or_else(|error| panic!("{program} (see tools/deps): {error}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn look(path: &Path) -> Option<Content> {
    let file = File::open(path).unwrap();
    let mut head = Vec::new();
    (&file).take(HEAD as u64).read_to_end(&mut head).unwrap();
    identify(&head, &mut |offset, length| {
        let mut bytes = vec![0; length];
        let count = file.read_at(&mut bytes, offset).unwrap();
        bytes.truncate(count);
        bytes
    })
}

/// What blkid says, as the same value.
fn blkid(path: &Path) -> (String, Option<String>, Option<String>) {
    let text = run("blkid", &["-p", "-o", "export", path.to_str().unwrap()]);
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.replace('\\', ""))
    };
    (value("TYPE").unwrap_or_default(), value("LABEL"), value("UUID"))
}

const UUID: &str = "0b6e7a92-9b1c-4d0f-8f0e-00112233aabb";

/// Every file system that is known, made by its own tool in `image`, with files from `tree`.
fn made(image: &str, tree: &str) -> Vec<(&'static str, Vec<Vec<String>>)> {
    let line = |text: &str| -> Vec<String> {
        text.replace("IMAGE", image)
            .replace("TREE", tree)
            .replace("UUID", UUID)
            .split(' ')
            .map(str::to_owned)
            .collect()
    };
    let sized = |size: &str, text: &str| vec![line(&format!("truncate -s {size} IMAGE")), line(text)];
    vec![
        ("ext2", sized("4M", "mkfs.ext2 -q -L data -U UUID IMAGE")),
        ("ext3", sized("8M", "mkfs.ext3 -q -L sixteen-letters- -U UUID IMAGE")),
        ("ext4", sized("8M", "mkfs.ext4 -q -d TREE -U UUID IMAGE")),
        ("jbd", sized("8M", "mkfs.ext4 -q -O journal_dev -L log -U UUID IMAGE")),
        ("squashfs", vec![line("mksquashfs TREE IMAGE -quiet -noappend")]),
        ("erofs", vec![line("mkfs.erofs -U UUID IMAGE TREE")]),
        ("xfs", sized("300M", "mkfs.xfs -q -f -L root -m uuid=UUID IMAGE")),
        ("btrfs", sized("128M", "mkfs.btrfs -q -L pool -U UUID IMAGE")),
        ("vfat", sized("2M", "mkfs.vfat -F 12 -n FLOPPY -i 1234abcd IMAGE")),
        ("vfat", sized("32M", "mkfs.vfat -F 16 -i 1234abcd IMAGE")),
        ("vfat", sized("64M", "mkfs.vfat -F 32 -n EFI -i 1234abcd IMAGE")),
        ("iso9660", vec![line("xorriso -as mkisofs -quiet -V CONFIG-2 -J -r -o IMAGE TREE")]),
        ("swap", sized("1M", "mkswap -q -L swap0 -U UUID IMAGE")),
    ]
}

/// An image of each; kept for the property test to damage.
fn images() -> Vec<(&'static str, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    std::fs::create_dir_all(tree.join("sbin")).unwrap();
    std::fs::write(tree.join("sbin/init"), "x").unwrap();
    let image = dir.path().join("image");
    let made = made(image.to_str().unwrap(), tree.to_str().unwrap());
    let head = |kind: &'static str, commands: &Vec<Vec<String>>| {
        for command in commands {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            run(words[0], &words[1..]);
        }
        let found = look(&image).unwrap_or_else(|| panic!("{kind} is not seen"));
        assert_eq!((found.kind.to_owned(), found.label, found.uuid), blkid(&image), "{kind}");
        assert_eq!(found.kind, kind);
        let mut bytes = Vec::new();
        File::open(&image).unwrap().take(HEAD as u64).read_to_end(&mut bytes).unwrap();
        std::fs::remove_file(&image).unwrap();
        (kind, bytes)
    };
    made.iter().map(|(kind, commands)| head(kind, commands)).collect()
}

#[test]
fn every_file_system_is_seen_as_blkid_sees_it_and_any_damage_to_it_is_no_panic() {
    let images = images();
    assert_eq!(images.len(), 13);
    let damaged =
        (0..images.len(), any::<prop::sample::Index>(), 0..HEAD, prop::collection::vec(any::<u8>(), 1..64));
    let mut runner = proptest::test_runner::TestRunner::default();
    let outcome = runner.run(&damaged, |(which, place, cut, noise)| {
        let mut bytes = images[which].1.clone();
        // Most fields are in the first bytes of the superblocks.
        let starts = [0, 1024, 32 * 1024, 64 * 1024];
        let at = starts[place.index(4)] + usize::from(noise[0]) * 4;
        for (byte, new) in bytes.iter_mut().skip(at).zip(&noise) {
            *byte = *new;
        }
        for head in [&bytes[..], &bytes[..cut.min(bytes.len())]] {
            // A file system as large as it claims to be, full of noise.
            std::hint::black_box(identify(head, &mut |_, length| {
                noise.iter().copied().cycle().take(length).collect()
            }));
            std::hint::black_box(identify(head, &mut |_, _| Vec::new()));
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn luks_headers_are_told_by_version() {
    let header = |version: u8| {
        let mut head = vec![0; HEAD];
        head[..8].copy_from_slice(&[b'L', b'U', b'K', b'S', 0xba, 0xbe, 0, version]);
        head[24..30].copy_from_slice(b"secret");
        head[168..168 + UUID.len()].copy_from_slice(UUID.as_bytes());
        identify(&head, &mut |_, _| Vec::new())
    };
    let content = |label: Option<&str>| {
        Some(Content { kind: "crypto_LUKS", label: label.map(str::to_owned), uuid: Some(UUID.into()) })
    };
    assert_eq!(header(1), content(None));
    assert_eq!(header(2), content(Some("secret")));
    assert_eq!(header(3), None);
}

#[test]
fn nothing_is_seen_in_an_empty_device_or_a_boot_sector_without_file_system() {
    for length in [0, 1, 512, 1023, 1024, 4096, HEAD] {
        assert_eq!(identify(&vec![0; length], &mut |_, _| Vec::new()), None, "{length}");
        assert_eq!(identify(&vec![0xff; length], &mut |_, _| Vec::new()), None, "{length}");
    }
    let mut boot = vec![0; 512];
    boot[0] = 0xeb;
    boot[510..].copy_from_slice(&[0x55, 0xaa]);
    assert_eq!(identify(&boot, &mut |_, _| Vec::new()), None);
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(start in prop::collection::vec(any::<u8>(), 0..2048), at in 0..HEAD) {
        let mut head = vec![0; at];
        head.extend(start);
        std::hint::black_box(identify(&head, &mut |_, length| vec![0x08; length]));
    }
}
