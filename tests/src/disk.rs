//! Data disks for machines, and a look at them from outside.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the first partition of a data disk begins, in bytes.
pub const PARTITION: u64 = 1 << 20;

/// A raw disk image in a test's directory.
#[derive(Debug, Clone)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// A blank disk of `mib` MiB.
    ///
    /// # Panics
    /// When it can't be written.
    #[must_use]
    pub fn blank(dir: &Path, mib: u64) -> Self {
        let path = dir.join("data.raw");
        let file = File::create(&path).unwrap_or_else(|e| panic!("making {}: {e}", path.display()));
        file.set_len(mib << 20).expect("giving the disk its size");
        Self { path }
    }

    /// Writes a DOS partition table with one Linux partition from [`PARTITION`] to the end.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn partition(&self) {
        use std::os::unix::fs::FileExt;
        const SECTOR: u64 = 512;
        let file = File::options().write(true).open(&self.path).expect("opening the disk");
        let sectors = file.metadata().expect("the disk's size").len() / SECTOR;
        let sector = |n: u64| u32::try_from(n).expect("a small disk").to_le_bytes();
        // status, CHS, type 0x83, CHS, first sector, number of sectors
        let mut entry = [0, 0, 0, 0, 0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        entry[8..12].copy_from_slice(&sector(PARTITION / SECTOR));
        entry[12..].copy_from_slice(&sector(sectors - PARTITION / SECTOR));
        file.write_all_at(&entry, 446).expect("writing the table");
        file.write_all_at(&[0x55, 0xaa], 510).expect("writing the table");
    }

    /// A disk of `mib` MiB with a partition table of this kind (`dos`, `gpt`) and one partition over all of it, which has a file
    /// system of this type, as the host makes it, whose label is its type.
    ///
    /// # Panics
    /// When it can't be made.
    #[must_use]
    pub fn holding(dir: &Path, table: &str, fs: &str, mib: u64) -> Self {
        let (path, inside) = (dir.join(format!("{fs}.raw")), dir.join(format!("{fs}.part")));
        // The last MiB is the table's as well.
        for (file, mib) in [(&path, mib), (&inside, mib - 2)] {
            let file = File::create(file).unwrap_or_else(|e| panic!("making {}: {e}", file.display()));
            file.set_len(mib << 20).expect("giving the disk its size");
        }
        let script = format!(
            "printf 'label: {table}\nstart=1MiB, size={size}MiB, type=linux\n' | sfdisk --quiet {disk} \
             && mkfs.{fs} -q -L {fs} {part} && dd if={part} of={disk} bs=1M seek=1 conv=notrunc,sparse status=none && rm {part}",
            size = mib - 2,
            disk = path.display(),
            part = inside.display(),
        );
        let out = Command::new("sh").args(["-euc", &script]).output().expect("running sh");
        assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
        Self { path }
    }

    /// Makes it a disk of `mib` MiB, whose end is blank.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn enlarge(&self, mib: u64) {
        let image = File::options().write(true).open(&self.path).expect("opening the disk");
        image.set_len(mib << 20).expect("enlarging the disk");
    }

    /// What its partition table has, as sfdisk(8) dumps it.
    ///
    /// # Panics
    /// When it has none, or a spoilt one.
    #[must_use]
    pub fn table(&self) -> String {
        let out = Command::new("sfdisk").arg("--dump").arg(&self.path).output().expect("running sfdisk");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && errors.is_empty(), "sfdisk: {errors}");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// The image file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of `--disk` for it.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("{},format=raw", self.path.display())
    }

    /// A hash of every byte.
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let out = Command::new("sha256sum").arg(&self.path).output().expect("running sha256sum");
        String::from_utf8_lossy(&out.stdout).split_whitespace().next().expect("a hash").to_string()
    }

    /// What a file holds, of the ext4 file system in the first partition. Empty when it is not there.
    ///
    /// # Panics
    /// When `debugfs` can't be started.
    #[must_use]
    pub fn file(&self, path: &str) -> Vec<u8> {
        let file_system = format!("{}?offset={PARTITION}", self.path.display());
        let out = Command::new("debugfs").args(["-R", &format!("cat {path}"), &file_system]).output();
        out.expect("running debugfs (package e2fsprogs)").stdout
    }

    /// Whether the text is on it, wherever.
    ///
    /// # Panics
    /// When the disk can't be read.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        let status = Command::new("grep").args(["-q", "-a", "-F", "-e", text]).arg(&self.path).status();
        let code = status.expect("running grep").code();
        assert!(matches!(code, Some(0 | 1)), "grep {}: {code:?}", self.path.display());
        code == Some(0)
    }

    /// Whether it begins with a LUKS header (LUKS2 On-Disk Format Specification, 2.1).
    ///
    /// # Panics
    /// When it can't be read.
    #[must_use]
    pub fn is_luks(&self) -> bool {
        let mut magic = [0; 6];
        File::open(&self.path).expect("opening the disk").read_exact(&mut magic).expect("reading its header");
        magic == *b"LUKS\xba\xbe"
    }

    /// Checks the ext4 file system in the first partition: clean, and without a fault.
    ///
    /// # Panics
    /// When it is neither.
    pub fn assert_clean(&self) {
        let file_system = format!("{}?offset={PARTITION}", self.path.display());
        let out = Command::new("e2fsck").args(["-fn", &file_system]).output().expect("running e2fsck");
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success(), "e2fsck found faults: {text}{}", String::from_utf8_lossy(&out.stderr));
        assert!(!self.needs_recovery(), "the journal still holds something: it was not unmounted");
        assert_eq!(self.state() & 1, 1, "the file system is not marked clean: it was not unmounted");
    }

    /// ext4 superblock, `s_state` (kernel documentation, filesystems/ext4, "Super Block").
    fn state(&self) -> u16 {
        u16::from_le_bytes(self.superblock(0x3a))
    }

    /// ext4 superblock, `s_feature_incompat`, bit 2: the journal must be replayed.
    fn needs_recovery(&self) -> bool {
        u32::from_le_bytes(self.superblock(0x60)) & 4 != 0
    }

    fn superblock<const N: usize>(&self, at: u64) -> [u8; N] {
        use std::os::unix::fs::FileExt;
        let mut bytes = [0; N];
        let file = File::open(&self.path).expect("opening the disk");
        file.read_exact_at(&mut bytes, PARTITION + 1024 + at).expect("reading the superblock");
        bytes
    }
}

/// Whether two files hold the same bytes.
///
/// # Panics
/// When one can't be read.
#[must_use]
pub fn same_bytes(a: &Path, b: &Path) -> bool {
    let read = |p: &Path| {
        let mut bytes = Vec::new();
        File::open(p)
            .and_then(|mut f| f.read_to_end(&mut bytes))
            .unwrap_or_else(|e| panic!("{}: {e}", p.display()));
        bytes
    };
    read(a) == read(b)
}
