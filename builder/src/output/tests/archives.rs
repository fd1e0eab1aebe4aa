//! Archives of whole builds.

use super::*;

#[test]
fn a_tar_of_kernel_and_initrd_has_what_the_two_files_have() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    write(&machine(&cache), &cache, out.path(), NAME, sized(SIZE), &[&KernelInitrd, &TarKernelInitrd])
        .unwrap();
    let mut archive = ::tar::Archive::new(fs::File::open(out.path().join("machine-initrd.tar")).unwrap());
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let header = entry.header();
        assert_eq!(header.mode().unwrap(), 0o644, "{name}");
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0), "{name}");
        assert_eq!(header.mtime().unwrap(), crate::tree::GENERATED_MTIME, "{name}");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(content == fs::read(out.path().join(format!("machine-{name}"))).unwrap(), "{name}");
        found.push(name);
    }
    assert_eq!(found, ["kernel", "initrd.img", "cmdline"]);
}

/// The archives of an initrd, unpacked by programs that others wrote.
fn archive(initrd: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => initrd.to_vec(),
        Compression::Gzip => {
            let mut archive = Vec::new();
            flate2::bufread::GzDecoder::new(initrd).read_to_end(&mut archive).unwrap();
            archive
        }
        Compression::Zstd | Compression::Zstd19 => {
            let mut archive = Vec::new();
            zstd::Decoder::new(initrd).unwrap().single_frame().read_to_end(&mut archive).unwrap();
            archive
        }
        Compression::Lz4 => unreachable!("no library of ours reads it; the machines' tests boot it"),
    }
}

#[test]
fn an_initrd_is_compressed_as_it_is_asked_for_and_the_cache_keeps_them_apart() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = Machine { ucode: None, ..machine(&cache) };
    let mut sizes = Vec::new();
    for (compression, magic) in [
        (Compression::None, &b"070701"[..]),
        (Compression::Gzip, &[0x1F, 0x8B]),
        (Compression::Zstd, &[0x28, 0xB5, 0x2F, 0xFD]),
        (Compression::Zstd19, &[0x28, 0xB5, 0x2F, 0xFD]),
        (Compression::Lz4, &[0x02, 0x21, 0x4C, 0x18]),
    ] {
        // Once made, and once from the cache.
        let [made, kept] = [(); 2].map(|()| {
            let settings = Settings { compression: Some(compression), ..sized(0) };
            write(&machine, &cache, out.path(), NAME, settings, &[&KernelInitrd]).unwrap();
            fs::read(out.path().join("machine-initrd.img")).unwrap()
        });
        assert!(made == kept && made.starts_with(magic), "{compression:?}");
        if compression != Compression::Lz4 {
            let first = archive(&made, compression);
            let end = first.windows(10).position(|name| name == b"TRAILER!!!").unwrap();
            assert!(first[..end].windows(8).any(|name| name == b"dddddddd"), "{compression:?}");
        }
        sizes.push(made.len());
    }
    assert!(sizes[1..].iter().all(|size| *size < sizes[0]), "{sizes:?}");
}

#[test]
fn a_kernel_that_says_nothing_gets_gzip() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let machine = Machine { ucode: None, ..machine(&cache) };
    let settings = Settings { compression: None, ..sized(0) };
    write(&machine, &cache, out.path(), NAME, settings, &[&KernelInitrd]).unwrap();
    assert_eq!(fs::read(out.path().join("machine-initrd.img")).unwrap()[..2], [0x1F, 0x8B]);
}
