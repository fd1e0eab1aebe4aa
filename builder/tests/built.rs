//! `lkb diff` and `lkb inspect` of what was built, here and by other tools.

mod fixture;

use std::fs;
use std::path::Path;
use std::process::Command;

use fixture::{Fixture, docker_archive, failure, layout, success, tar};
use serde_json::Value;

/// A file that passes for a kernel (Linux, Documentation/arch/x86/boot.rst): its header, and nothing that runs.
fn kernel() -> Vec<u8> {
    let mut kernel = vec![7; 1 << 20];
    kernel[0x1F1..0x268].fill(0);
    kernel[..0x1F1].fill(0);
    kernel[0x1FE..0x200].copy_from_slice(&[0x55, 0xAA]);
    kernel[0x202..0x206].copy_from_slice(b"HdrS");
    kernel[0x206..0x208].copy_from_slice(&0x020F_u16.to_le_bytes());
    kernel[0x211] = 1;
    kernel[0x238..0x23C].copy_from_slice(&2047_u32.to_le_bytes());
    kernel[..2].copy_from_slice(b"MZ");
    kernel[0x3C] = 0x40;
    kernel[0x40..0x46].copy_from_slice(b"PE\0\0\x64\x86");
    kernel
}

const YAML: &str = "kernel:\n  image: example/linux:1\n  cmdline: quiet\ninit:\n  - example/init:1\nservices:\n  - name: second\n    \
                    image: example/tool:1\n    command: [/usr/bin/tool]\nfiles:\n  - {path: etc/a, contents: abc, mode: '0640'}\n  \
                    - {path: etc/b, symlink: a}\n";

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let squashfs: (&str, &[u8]) =
        ("lib/modules/6/modules.builtin", b"kernel/fs/squashfs/squashfs.ko\nkernel/fs/erofs/erofs.ko\n");
    fixture.import("example/linux:1", &[("kernel", &kernel()), ("kernel.tar", &tar(&[squashfs]))]);
    fixture
}

fn diff(fixture: &Fixture, one: &str, other: &str) -> Vec<String> {
    let out = fixture.lkb(&["diff", one, other]);
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(said, "", "{one} {other}");
    String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn run(program: &str, args: &[&str]) {
    let out = Command::new(program).args(args).output();
    let out = out.unwrap_or_else(|error| panic!("{program}, which `make deps` installs: {error}"));
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn build(fixture: &Fixture, yaml: &str, name: &str, args: &[&str]) {
    fixture.write("machine.yml", yaml);
    let args = [&["build", "--dir", "out", "--size", "64M", "--name", name], args, &["machine.yml"]].concat();
    success(&fixture.lkb(&args));
}

/// What is different in the root: what is beside it, and what is for a boot loader or for init's start alone, is not counted.
fn in_the_root(lines: Vec<String>) -> Vec<String> {
    let marks = ["/etc/lkb", "/boot"];
    let is_beside = |path: &str| !path.starts_with('/') || marks.iter().any(|mark| path.starts_with(mark));
    lines.into_iter().filter(|line| !is_beside(&line[2..])).collect()
}

#[test]
fn every_format_that_is_built_has_in_it_what_its_configuration_says() {
    let fixture = fixture();
    let initrd = ["--root", "initrd"];
    for (args, names) in [
        (
            &["--format", "raw-bios,qcow2-bios,raw-efi,qcow2-efi,raw-hybrid,uki"][..],
            &["m-bios.img", "m.qcow2", "m-efi.img", "m-efi.qcow2", "m-hybrid.img", "m.efi"][..],
        ),
        (
            &["--format", "iso-bios,iso-efi,iso-hybrid,iso-efi-initrd"],
            &["m.iso", "m-efi.iso", "m-hybrid.iso", "m-efi-initrd.iso"],
        ),
        (&["--format", "kernel+squashfs"], &["m-squashfs.img"]),
        (&["--format", "kernel+erofs"], &["m-erofs.img"]),
        (&["--format", "kernel+initrd", "--compress", "lz4"], &["m-initrd.img"]),
        (&["--format", "kernel+initrd", "--compress", "gzip"], &["m-initrd.img"]),
    ] {
        let more = if args[1].contains("raw-bios") { &initrd[..] } else { &[] };
        build(&fixture, YAML, "m", &[args, more].concat());
        for name in names {
            let path = format!("out/{name}");
            let lines = diff(&fixture, "machine.yml", &path);
            // Only what boots has a kernel.
            let boots = ["-squashfs.img", "-erofs.img", "-initrd.img"].iter().all(|end| !name.ends_with(end));
            let kernel = lines.iter().any(|line| line.contains(" /boot/kernel "));
            assert!(kernel != boots, "{name}: {lines:#?}");
            let lines = in_the_root(lines);
            assert!(lines.is_empty(), "{name}: {lines:#?}");
            assert_eq!(diff(&fixture, &path, &path), [""; 0], "{name}");
            let said = success(&fixture.lkb(&["inspect", "--json", &path]));
            let json: Value = serde_json::from_str(&said).unwrap();
            let items = json["items"].as_array().unwrap();
            let service = items
                .iter()
                .find(|item| item["name"] == "second")
                .unwrap_or_else(|| panic!("{name}: {said}"));
            assert!(service["bytes"].as_u64().unwrap() > 0, "{name}: {said}");
        }
    }
    assert_eq!(fixture.outputs().len(), 15, "{:?}", fixture.outputs());
}

#[test]
fn two_disks_are_compared_entry_by_entry_whatever_they_are_made_of() {
    let fixture = fixture();
    let other = YAML.replace("abc", "abd").replace("quiet", "debug");
    for (file_system, format) in [
        ("squashfs", "raw-efi"),
        ("erofs", "qcow2-efi"),
        ("initrd", "qcow2-bios"),
        ("squashfs", "qcow2-bios"),
    ] {
        let names = fixture.outputs();
        names.iter().for_each(|name| fs::remove_file(fixture.out().join(name)).unwrap());
        for (name, yaml) in [("a", YAML), ("b", &other)] {
            build(&fixture, yaml, name, &["--format", format, "--root", file_system]);
        }
        let names = fixture.outputs();
        let [a, b] = [&names[0], &names[1]].map(|name| format!("out/{name}"));
        let lines = diff(&fixture, &a, &b);
        assert_eq!(in_the_root(lines.clone()).len(), 1, "{format} {file_system}: {lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("~ /etc/a content sha256:")), "{lines:#?}");
        // The command line is in the program, or in what GRUB has of its own.
        let place = match (format, file_system) {
            ("qcow2-bios", "initrd") => "~ disk:/boot loader content",
            ("qcow2-bios", _) => "~ partition 1:/content content",
            _ => "~ /boot/cmdline content",
        };
        assert!(lines.iter().any(|line| line.starts_with(place)), "{lines:#?}");
        let both = diff(&fixture, "machine.yml", &b);
        assert!(both.iter().any(|line| line.starts_with("+ disk:/partition 1 part, kind ")), "{both:#?}");
    }
}

#[test]
fn a_disk_is_the_same_in_every_form_that_qemu_gives_it() {
    let fixture = fixture();
    build(&fixture, YAML, "m", &["--format", "raw-hybrid", "--root", "squashfs"]);
    let path = |name: &str| fixture.path(name).to_str().unwrap().to_owned();
    let raw = path("out/m-hybrid.img");
    for (name, options) in [
        ("plain", &["-o", "compat=0.10"][..]),
        ("small", &["-o", "cluster_size=512"]),
        ("deflate", &["-c"]),
        ("zstd", &["-c", "-o", "compression_type=zstd"]),
    ] {
        let converted = path(&format!("{name}.qcow2"));
        run("qemu-img", &[&["convert", "-O", "qcow2"], options, &[&raw, &converted]].concat());
        assert_eq!(diff(&fixture, &raw, &converted), [""; 0], "{name}");
    }
    let behind = path("behind.qcow2");
    run("qemu-img", &["create", "-q", "-f", "qcow2", "-F", "raw", "-b", &raw, &behind]);
    let said = failure(&fixture.lkb(&["inspect", &behind]));
    assert!(
        said.contains(
            "behind.qcow2 cannot be looked into: qcow2: it only has what is different from another"
        ),
        "{said}"
    );
}

/// A tree with every kind of entry that tar keeps and an unprivileged user can make.
fn tree(dir: &Path) {
    fs::create_dir_all(dir.join("a/deep/directory")).unwrap();
    fs::create_dir(dir.join("many")).unwrap();
    for number in 0..600 {
        fs::write(dir.join(format!("many/{number}-{}", "n".repeat(number % 200))), number.to_string())
            .unwrap();
    }
    fs::write(dir.join("a/text"), "text\n".repeat(100)).unwrap();
    fs::write(dir.join("a/empty"), "").unwrap();
    let noise: Vec<u8> = (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(dir.join("a/deep/directory/noise"), [&noise[..], &[0; 500_000], &noise[..1234]].concat())
        .unwrap();
    fs::write(dir.join("a/zeros"), vec![0; 1 << 20]).unwrap();
    std::os::unix::fs::symlink("../a/./text", dir.join("a/deep/link")).unwrap();
    std::os::unix::fs::symlink(format!("{}/end", "/long".repeat(80)), dir.join("long")).unwrap();
    fs::hard_link(dir.join("a/text"), dir.join("z")).unwrap();
    run("mkfifo", &[dir.join("pipe").to_str().unwrap()]);
    run("chmod", &["4755", dir.join("a/empty").to_str().unwrap()]);
}

#[test]
fn what_other_tools_write_is_read_as_it_was() {
    let fixture = Fixture::new();
    let path = |name: &str| fixture.path(name).to_str().unwrap().to_owned();
    let dir = path("tree");
    tree(Path::new(&dir));
    run("tar", &["-C", &dir, "--format=posix", "--sort=name", "-cf", &path("tree.tar"), "."]);
    let quiet = ["-quiet", "-noappend"];
    run("mksquashfs", &[&[&dir[..], &path("zstd.squashfs"), "-comp", "zstd"], &quiet[..]].concat());
    run(
        "mksquashfs",
        &[&[&dir[..], &path("gzip.squashfs"), "-comp", "gzip", "-b", "4096"], &quiet[..]].concat(),
    );
    run(
        "mksquashfs",
        &[&[&dir[..], &path("stored.squashfs"), "-noI", "-noD", "-noF", "-comp", "zstd"], &quiet[..]]
            .concat(),
    );
    run("mkfs.erofs", &["--quiet", &path("plain.erofs"), &dir]);
    run("mkfs.erofs", &["--quiet", "-Eforce-inode-compact", &path("compact.erofs"), &dir]);
    for kind in ["ext4", "ext2"] {
        run("mke2fs", &["-q", "-t", kind, "-d", &dir, &path(&format!("tree.{kind}")), "16M"]);
        // It has a directory of its own, for what is found without a name.
        run("debugfs", &["-w", "-R", "rmdir lost+found", &path(&format!("tree.{kind}"))]);
    }
    run(
        "xorriso",
        &[
            "-report_about",
            "SORRY",
            "-hardlinks",
            "on",
            "-as",
            "mkisofs",
            "-R",
            "-o",
            &path("tree.iso"),
            &dir,
        ],
    );
    for name in [
        "zstd.squashfs",
        "gzip.squashfs",
        "stored.squashfs",
        "plain.erofs",
        "compact.erofs",
        "tree.ext4",
        "tree.ext2",
        "tree.iso",
    ] {
        let lines = diff(&fixture, "tree.tar", name);
        assert!(lines.is_empty(), "{name}: {lines:#?}");
    }
    run("mksquashfs", &[&[&dir[..], &path("xz.squashfs"), "-comp", "xz"], &quiet[..]].concat());
    let said = failure(&fixture.lkb(&["inspect", "xz.squashfs"]));
    assert!(
        said.contains("xz.squashfs cannot be looked into: squashfs: it is packed with something else"),
        "{said}"
    );
}

/// An archive of files that have these attributes.
fn with_attributes(files: &[(&str, &[(&str, &str)])]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    for (name, attributes) in files {
        let attributes = attributes.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), *value));
        let attributes: Vec<(String, &str)> = attributes.collect();
        let records = attributes.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        builder.append_pax_extensions(records).unwrap();
        let mut header = ::tar::Header::new_ustar();
        header.set_size(1);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        builder.append_data(&mut header, name, &b"x"[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn attributes_are_read_from_all_file_systems_that_have_them() {
    let fixture = Fixture::new();
    let path = |name: &str| fixture.path(name).to_str().unwrap().to_owned();
    let long = "v".repeat(700);
    let same = ("user.same", "equal in all of them");
    let write = |last: (&str, &str)| {
        let archive =
            with_attributes(&[("0", &[same]), ("1", &[same, ("user.long", &long)]), ("2", &[last])]);
        fs::write(path("tree.tar"), archive).unwrap();
        let tree = path("tree");
        fs::create_dir_all(&tree).unwrap();
        run("tar", &["-C", &tree, "--xattrs", "--xattrs-include=*", "-xf", &path("tree.tar")]);
        run(
            "mksquashfs",
            &[&tree, &path("tree.squashfs"), "-quiet", "-noappend", "-comp", "zstd", "-all-root"],
        );
        // In the inode, and in a block of their own.
        for size in ["1024", "256"] {
            let image = path(&format!("{size}.ext4"));
            run("mke2fs", &["-q", "-F", "-t", "ext4", "-I", size, "-d", &tree, &image, "16M"]);
            run("debugfs", &["-w", "-R", "rmdir lost+found", &image]);
        }
        run("mkfs.erofs", &["--quiet", "--all-root", &path("own.erofs"), &tree, "-x", "100"]);
        run("mkfs.erofs", &["--quiet", "--all-root", &path("shared.erofs"), &tree, "-x", "1"]);
    };
    write(same);
    for name in ["tree.squashfs", "1024.ext4", "256.ext4", "own.erofs", "shared.erofs"] {
        assert_eq!(diff(&fixture, "tree.tar", name), [""; 0], "{name}");
    }
    fs::copy(path("tree.tar"), path("first.tar")).unwrap();
    write(("user.same", "another"));
    for name in ["tree.squashfs", "1024.ext4", "256.ext4", "own.erofs", "shared.erofs"] {
        let lines = diff(&fixture, "first.tar", name);
        assert_eq!(lines, ["~ /2 user.same equal in all of them → another"], "{name}");
    }
}

#[test]
fn fat_is_read_in_all_its_widths_with_short_and_long_names() {
    let fixture = Fixture::new();
    let path = |name: &str| fixture.path(name).to_str().unwrap().to_owned();
    fs::create_dir_all(path("tree/sub/deeper")).unwrap();
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (name, content) in [
        ("UPPER.TXT", &b"upper"[..]),
        ("lower.txt", b"lower"),
        ("a name that is long, with ümlaut and more than thirteen characters.text", &noise),
        ("sub/empty", b""),
        ("sub/deeper/file", b"f"),
    ] {
        fs::write(path(&format!("tree/{name}")), content).unwrap();
    }
    run(
        "tar",
        &[
            "-C",
            &path("tree"),
            "--mode=go=rX,u=rwX",
            "--owner=0",
            "--group=0",
            "-cf",
            &path("tree.tar"),
            "UPPER.TXT",
            "lower.txt",
            "a name that is long, with ümlaut and more than thirteen characters.text",
            "sub",
        ],
    );
    for (width, kib) in [("12", 2000), ("16", 20_000), ("32", 40_000)] {
        let image = path(&format!("{width}.fat"));
        run("mkfs.fat", &["-F", width, "-s", "1", "-C", &image, &kib.to_string()]);
        let files = [
            "UPPER.TXT",
            "lower.txt",
            "a name that is long, with ümlaut and more than thirteen characters.text",
            "sub",
        ];
        let files = files.map(|name| path(&format!("tree/{name}")));
        let out = Command::new("mcopy")
            .env("LC_ALL", "C.UTF-8")
            .args(["-s", "-i", &image])
            .args(&files)
            .arg("::")
            .output();
        let out = out.expect("mcopy (package mtools), which `make deps` installs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(diff(&fixture, "tree.tar", &image), [""; 0], "FAT{width}");
    }
}

#[test]
fn images_are_looked_into_by_name_in_archives_and_in_directories() {
    let fixture = Fixture::new();
    let layer = tar(&[("usr/bin/tool", b"tool")]);
    layout(&fixture.path("directory"), "example/other:1", &layer);
    fs::write(fixture.path("saved.tar"), docker_archive(Some("example/saved:1"), &layer)).unwrap();
    success(&fixture.lkb(&[
        "cache",
        "export",
        "example/tool:1",
        "--platform=linux/amd64",
        "--outfile=oci.tar",
    ]));
    success(&fixture.lkb(&[
        "cache",
        "export",
        "example/tool:1",
        "--platform=linux/amd64",
        "--format=filesystem",
        "--outfile=files.tar",
    ]));
    let amd64 = |args: &[&str]| fixture.lkb(&[args, &["--arch", "amd64"]].concat());
    for word in
        ["example/tool:1", "oci.tar", "saved.tar", "directory", "oci:directory", "docker-archive:saved.tar"]
    {
        let out = amd64(&["diff", "files.tar", word]);
        let lines = String::from_utf8(out.stdout).unwrap();
        assert!(
            lines.starts_with("+ image:/config.json file, ") && lines.lines().count() == 1,
            "{word}: {lines}"
        );
        let said = success(&amd64(&["inspect", word]));
        assert!(said.lines().any(|line| line.starts_with("image ")), "{word}: {said}");
    }
    let changed = tar(&[("usr/bin/tool", b"TOOL")]);
    fixture.import("example/tool:2", &[("usr/bin/tool", b"TOOL")]);
    fs::write(fixture.path("changed.tar"), docker_archive(None, &changed)).unwrap();
    for word in ["example/tool:2", "changed.tar"] {
        let out = amd64(&["diff", "example/tool:1", word]);
        let lines = String::from_utf8(out.stdout).unwrap();
        assert!(lines.starts_with("~ /usr/bin/tool content sha256:"), "{word}: {lines}");
    }
    let said = failure(&amd64(&["inspect", "example/missing:1"]));
    assert!(said.contains("cannot pull docker.io/example/missing:1"), "{said}");
    let said = failure(&amd64(&["inspect", "docker-archive:"]));
    assert!(said.contains("it is written `docker-archive:PATH[:NAME]`"), "{said}");
}

#[test]
fn what_is_cut_off_or_claims_too_much_is_an_error_that_says_where() {
    let fixture = fixture();
    build(&fixture, YAML, "m", &["--format", "raw-efi", "--root", "squashfs"]);
    let disk = fs::read(fixture.path("out/m-efi.img")).unwrap();
    let half = &disk[..disk.len() / 2];
    let mut table = disk.clone();
    table[1024 + 40] ^= 1;
    for (name, bytes, says) in [
        ("half.img", half, "half.img cannot be looked into: disk: it names bytes behind its end"),
        ("table.img", &table[..], "table.img cannot be looked into: disk: its GPT has another check sum"),
        (
            "short.squashfs",
            b"hsqs\0and no more",
            "short.squashfs cannot be looked into: squashfs: it names bytes behind",
        ),
    ] {
        fs::write(fixture.path(name), bytes).unwrap();
        let said = failure(&fixture.lkb(&["inspect", name]));
        assert!(said.contains(says), "{said}");
        let code = fixture.lkb(&["diff", "machine.yml", name]).status.code();
        assert_eq!(code, Some(2), "{name}");
    }
}
