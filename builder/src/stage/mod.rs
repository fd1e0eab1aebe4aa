//! The first stage of a boot in two: of a machine's root filesystem, what a small initrd needs to find that root on a disk.
//!
//! That is init, the modules of disks and file systems with all that these need, and depmod's files for them. Everything
//! else stays on the disk. What init does with it: `init/src/stage`.

mod modules;

use std::sync::Arc;

use modules::module_names;
pub use modules::{Index, Selection, select};

use crate::tree::{Content, Kind, Node, Origin, Tree, TreeError, TreePath, display, join};

/// File systems that a root may be, and what CDs and checked disks need.
pub const FILE_SYSTEMS: [&str; 6] = ["ext4", "squashfs", "erofs", "isofs", "sr_mod", "dm_verity"];

/// What checks a root block by block; kernels differ in what they call SHA-256.
pub const VERITY: [&str; 3] = ["dm_verity", "sha256", "sha256_generic"];

/// Controllers, buses and drives that machines boot from. Those that a kernel has built in, or does not have, are not missed.
pub const DISKS: [&str; 20] = [
    // Controllers
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_scsi",
    "nvme",
    "ahci",
    "ata_piix",
    "ata_generic",
    "hv_storvsc",
    "xen_blkfront",
    "vmw_pvscsi",
    "mptspi",
    "mptsas",
    "megaraid_sas",
    "mpt3sas",
    "xhci_pci",
    "usb_storage",
    "sdhci_pci",
    "mmc_block",
    // Drives
    "sd_mod",
];

/// Largest file of depmod's, in bytes; a distribution kernel's largest has 2 MB.
const MAX_TEXT: u64 = 32 << 20;
/// Where init is in every image of it, the first that is there.
const INIT: [&[u8]; 2] = [b"init", b"sbin/init"];

/// Why there can be no first stage.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The machine has no init of ours.
    #[error("the machine has no /init, which finds the root; add the init package to `init:`")]
    NoInit,
    /// A file that depmod or the kernel package promised is missing.
    #[error("{0} is named in modules.dep and missing in the machine; the kernel's image is not whole")]
    NoModule(String),
    /// The kernel checks no roots.
    #[error(
        "the kernel has no dm-verity, neither built in nor among its modules; leave out --verity, or take another kernel"
    )]
    NoVerity,
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Its path in the machine.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The tree does not hold together.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Whether the kernel mounts a root of this file system from any disk by itself: it has the file system and drivers of disks
/// built in, and none of [`DISKS`] is a module. A tree without an index of what is built in says nothing, so it does not.
///
/// # Errors
/// When an index cannot be read.
pub fn is_built_in(full: &Tree, file_system: &str) -> Result<bool, StageError> {
    let mut found = false;
    for release in releases(full)? {
        let builtin = module_names(&text(full, &release, "modules.builtin")?);
        let loadable = module_names(&text(full, &release, "modules.dep")?);
        let has_disks = ["virtio_blk", "sd_mod", "nvme"].iter().any(|name| builtin.contains(*name));
        found =
            has_disks && builtin.contains(file_system) && !DISKS.iter().any(|name| loadable.contains(*name));
        if !found {
            return Ok(false);
        }
    }
    Ok(found)
}

/// Looks that the kernel can check a root block by block.
///
/// # Errors
/// When dm-verity is neither built in nor a module, or an index cannot be read.
pub fn has_verity(full: &Tree) -> Result<(), StageError> {
    for release in releases(full)? {
        for index in ["modules.builtin", "modules.dep"] {
            if module_names(&text(full, &release, index)?).contains(VERITY[0]) {
                return Ok(());
            }
        }
    }
    Err(StageError::NoVerity)
}

/// The root filesystem that finds `full` on a disk: init, with these modules. The command line must get a `root=`.
///
/// # Errors
/// When `full` has no init, or lacks modules that its own index promises.
pub fn first_stage(full: &Tree, wanted: &[&str]) -> Result<Tree, StageError> {
    let mut root = Tree::new();
    let init = INIT.iter().find_map(|path| Some((path, full.file(path)?)));
    let (path, init) = init.ok_or(StageError::NoInit)?;
    let origin = full.get(path).map_or_else(Arc::default, |node| Arc::clone(&node.origin));
    root.insert(b"init", Node::file(init.clone(), 0o755, &origin))?;
    // Kernels ask for modules by this name, for checksums that file systems need.
    root.insert(b"sbin/modprobe", Node::symlink(b"/init", &origin))?;
    for directory in [&b"dev"[..], b"proc", b"sys", b"run"] {
        root.ensure_directory(directory, &origin)?;
    }
    for release in releases(full)? {
        add_modules(full, &release, wanted, &mut root)?;
    }
    Ok(root)
}

/// The module directories, one for each kernel; `lib` may be a link.
fn releases(root: &Tree) -> Result<Vec<TreePath>, StageError> {
    let modules = root.resolve(b"lib/modules")?;
    let inside = |path: &TreePath| path.get(modules.len() + 1..).is_some_and(|name| !name.contains(&b'/'));
    let below = root.below(&modules).filter(|(path, node)| node.is_directory() && inside(path));
    Ok(below.map(|(path, _)| path.clone()).collect())
}

fn add_modules(full: &Tree, release: &[u8], wanted: &[&str], root: &mut Tree) -> Result<(), StageError> {
    let text = |name: &str| text(full, release, name);
    let (dependencies, aliases, soft, builtin) =
        (text("modules.dep")?, text("modules.alias")?, text("modules.softdep")?, text("modules.builtin")?);
    let index = Index { dependencies: &dependencies, aliases: &aliases, soft: &soft };
    let selection = select(&index, wanted);
    // `lib/modules`, whatever the machine's own path to it is.
    let name = release.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let target = join(b"lib/modules", name);
    for file in &selection.files {
        let path = join(release, file.as_bytes());
        let resolved = full.resolve(&path)?;
        let node = full.get(&resolved).ok_or_else(|| StageError::NoModule(display(&path)))?;
        let content = full.file(&resolved).cloned();
        let content = content.ok_or_else(|| StageError::NoModule(display(&path)))?;
        let node = Node { kind: Kind::File(content), ..node.clone() };
        root.insert(&join(&target, file.as_bytes()), node)?;
    }
    let origin =
        full.get(release).map_or_else(|| Arc::new(Origin::default()), |node| Arc::clone(&node.origin));
    let indices = [
        ("modules.dep", selection.dependencies),
        ("modules.alias", selection.aliases),
        ("modules.softdep", soft),
        ("modules.builtin", builtin),
    ];
    for (name, text) in indices {
        root.insert(&join(&target, name.as_bytes()), Node::file(text.into_bytes(), 0o644, &origin))?;
    }
    Ok(())
}

/// One of depmod's files, empty when it is not there.
fn text(full: &Tree, release: &[u8], name: &str) -> Result<String, StageError> {
    match full.file(&join(release, name.as_bytes())) {
        Some(content) => read(content, release, name),
        None => Ok(String::new()),
    }
}

fn read(content: &Content, release: &[u8], name: &str) -> Result<String, StageError> {
    let bytes = content
        .read_all(MAX_TEXT)
        .map_err(|source| StageError::Read { path: format!("{}/{name}", display(release)), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Tree {
        let origin = Arc::new(Origin::default());
        let mut root = Tree::new();
        root.insert(b"lib", Node::symlink(b"usr/lib", &origin)).unwrap();
        for (path, text) in files {
            root.insert(path.as_bytes(), Node::file(text.as_bytes().to_vec(), 0o644, &origin)).unwrap();
        }
        root
    }

    fn text(tree: &Tree, path: &str) -> String {
        String::from_utf8(tree.file(path.as_bytes()).unwrap().read_all(1000).unwrap()).unwrap()
    }

    #[test]
    fn the_first_stage_has_init_and_the_modules_of_disks_and_nothing_else() {
        let full = machine(&[
            ("init", "INIT"),
            ("containers/services/x/config.json", "{}"),
            ("lib/modules/6.1/modules.dep", "k/virtio_blk.ko: k/virtio.ko\nk/virtio.ko:\nk/sound.ko:\n"),
            ("lib/modules/6.1/modules.alias", "alias virtio:d2* virtio_blk\nalias pci:s* sound\n"),
            ("lib/modules/6.1/modules.builtin", "k/ext4.ko\n"),
            ("lib/modules/6.1/k/virtio_blk.ko", "B"),
            ("lib/modules/6.1/k/virtio.ko", "V"),
            ("lib/modules/6.1/k/sound.ko", "S"),
        ]);
        let first = first_stage(&full, &DISKS).unwrap();
        let files: Vec<String> =
            first.iter().filter(|(_, node)| !node.is_directory()).map(|(path, _)| display(path)).collect();
        assert_eq!(
            files,
            [
                "/init",
                "/lib/modules/6.1/k/virtio.ko",
                "/lib/modules/6.1/k/virtio_blk.ko",
                "/lib/modules/6.1/modules.alias",
                "/lib/modules/6.1/modules.builtin",
                "/lib/modules/6.1/modules.dep",
                "/lib/modules/6.1/modules.softdep",
                "/sbin/modprobe",
            ]
        );
        assert_eq!(text(&first, "lib/modules/6.1/modules.alias"), "alias virtio:d2* virtio_blk\n");
        assert_eq!(text(&first, "init"), "INIT");
    }

    #[test]
    fn a_kernel_with_disks_and_the_file_system_built_in_needs_no_first_stage() {
        let with = |builtin: &str, modules: &str| {
            let full = machine(&[
                ("lib/modules/6.1/modules.builtin", builtin),
                ("lib/modules/6.1/modules.dep", modules),
            ]);
            is_built_in(&full, "squashfs").unwrap()
        };
        let all = "kernel/fs/squashfs/squashfs.ko\nkernel/drivers/block/virtio_blk.ko\n";
        assert!(with(all, "kernel/sound/sound.ko: kernel/lib/x.ko\n"));
        assert!(!with(all, "kernel/drivers/nvme/host/nvme.ko.xz:\n"), "a disk's driver is a module");
        assert!(!with("kernel/drivers/block/virtio_blk.ko\n", "kernel/fs/squashfs/squashfs.ko:\n"));
        assert!(!with("kernel/fs/squashfs/squashfs.ko\n", ""), "no disks");
        assert!(!is_built_in(&machine(&[("init", "")]), "squashfs").unwrap(), "nothing is known");
    }

    #[test]
    fn a_kernel_checks_roots_with_a_module_or_by_itself_or_not_at_all() {
        let with =
            |index: &str, text: &str| has_verity(&machine(&[(&format!("lib/modules/6.1/{index}"), text)]));
        assert!(
            with("modules.dep", "kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n")
                .is_ok()
        );
        assert!(with("modules.builtin", "kernel/drivers/md/dm-verity.ko\n").is_ok());
        assert!(matches!(with("modules.dep", "kernel/drivers/md/dm-crypt.ko:\n"), Err(StageError::NoVerity)));
    }

    #[test]
    fn a_machine_without_init_or_with_half_its_modules_is_refused() {
        assert!(matches!(first_stage(&machine(&[]), &DISKS), Err(StageError::NoInit)));
        let half = machine(&[("init", ""), ("lib/modules/6.1/modules.dep", "k/nvme.ko:\n")]);
        let error = first_stage(&half, &DISKS).unwrap_err().to_string();
        assert!(error.contains("lib/modules/6.1/k/nvme.ko"), "{error}");
    }
}
