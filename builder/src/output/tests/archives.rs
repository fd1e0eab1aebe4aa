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
