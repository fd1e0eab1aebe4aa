//! The kernel, its modules and the processor's microcode, out of the kernel image.

use crate::config::Kernel;
use crate::output::Machine;
use crate::tree::{Content, Location, Tree, clean};

use super::images::Images;
use super::{BuildError, origin};

/// A machine with a kernel and its modules, and nothing else yet.
pub(super) fn machine(kernel: &Kernel, images: &Images<'_>) -> Result<Machine, BuildError> {
    let image = images.get(&kernel.image);
    let origin = origin(Location::Kernel, image);
    let tree = images.unpack(image, &origin)?;
    let find = |path: &str, what: &'static str, remedy: &'static str| {
        let relative = path.trim_start_matches('/');
        // A path that is none in a tree is not in this one.
        let found = clean(relative.as_bytes()).ok().and_then(|path| tree.file(&path)).cloned();
        found.ok_or_else(|| BuildError::Kernel {
            spot: kernel.image.spot.clone(),
            image: image.reference.to_string(),
            what,
            path: relative.to_owned(),
            remedy,
        })
    };
    let binary = find(&kernel.binary, "kernel", "name it with `binary`")?;
    let ucode =
        kernel.ucode.as_deref().map(|path| find(path, "microcode", "leave out `ucode`")).transpose()?;
    let mut root = Tree::new();
    if let Some(path) = &kernel.tar {
        let archive = find(path, "kernel tar", "name it with `tar`, or write `tar: none`")?;
        // Only what the builder makes is in memory, and it makes no kernel images.
        if let Content::Stretch { file, offset, len } = archive {
            root.apply(&file, offset, len, &origin).map_err(|source| BuildError::Modules {
                image: image.reference.to_string(),
                path: path.clone(),
                source: source.into(),
            })?;
        }
    }
    Ok(Machine { kernel: Some(binary), cmdline: kernel.cmdline.clone(), ucode, boot: origin, root })
}
