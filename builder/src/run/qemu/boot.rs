//! What `lkb run PATH` stands for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What a machine can be booted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A disk image.
    Disk,
    /// A CD image.
    Iso,
    /// `PATH-kernel` and `PATH-initrd.img`.
    Kernel,
    /// `PATH-kernel` and `PATH-squashfs.img`.
    Squashfs,
}

/// The files that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// A disk image.
    Disk(PathBuf),
    /// A CD image.
    Iso(PathBuf),
    /// An EFI program.
    Program(PathBuf),
    /// A kernel, its initrd, and its command line if there is one.
    Kernel {
        /// `PATH-kernel`.
        kernel: PathBuf,
        /// `PATH-initrd.img`.
        initrd: PathBuf,
        /// `PATH-cmdline`, which a build writes only when it has one.
        cmdline: Option<PathBuf>,
    },
    /// A kernel beside a root filesystem, which is on a disk of its own, or left by an older build.
    Root {
        /// `PATH-kernel`.
        kernel: PathBuf,
        /// `PATH-squashfs.img`, `PATH-erofs.img` or `PATH.iso`.
        root: PathBuf,
        /// `PATH-initrd.img`, which finds the root for a kernel without drivers.
        initrd: Option<PathBuf>,
        /// `PATH-cmdline`, if there is one.
        cmdline: Option<PathBuf>,
    },
}

impl Candidate {
    /// Whether it boots by EFI firmware: the names that `lkb build` gives to such say so.
    pub fn is_efi(&self) -> bool {
        let (Self::Disk(path) | Self::Iso(path) | Self::Program(path)) = self else { return false };
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        ["-efi.img", "-efi.qcow2", "-efi.iso", "-efi-initrd.iso", ".efi"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
    }
}

/// Why there is nothing to boot.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotFound {
    /// A configuration instead of what is built from it.
    #[error("{} is a configuration: build it first with `lkb build {}`", .0.display(), .0.display())]
    Configuration(PathBuf),
    /// None of these files is there.
    #[error("found nothing to boot: looked for {}", list(.0))]
    Nothing(Vec<PathBuf>),
    /// There is a kernel without the rest.
    #[error("{} is missing beside {}: build format {format} again", missing.display(), kernel.display())]
    Half {
        /// The kernel that is there.
        kernel: PathBuf,
        /// What is not.
        missing: PathBuf,
        /// The format that both belong to.
        format: &'static str,
    },
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Finds out what to boot. Looked for, in this order: the file `path` itself, a CD image if it ends in `.iso`, an EFI program
/// if in `.efi`, else a disk image; `path-kernel`, with what lies beside it; the disk images that a build with the name `path` writes; its CD images.
///
/// # Errors
/// When nothing is there, or not what `mode` demands.
pub fn detect(
    path: &Path,
    mode: Option<Mode>,
    is_file: &dyn Fn(&Path) -> bool,
) -> Result<Candidate, NotFound> {
    let wanted = |kind| mode.is_none_or(|mode| mode == kind);
    let kernel = suffixed(path, "-kernel");
    let mut tried = Vec::new();

    if !matches!(mode, Some(Mode::Kernel | Mode::Squashfs)) {
        if is_file(path) {
            let named = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
            return match (mode, named) {
                (None, "yml" | "yaml") => Err(NotFound::Configuration(path.to_owned())),
                (Some(Mode::Iso), _) | (None, "iso") => Ok(Candidate::Iso(path.to_owned())),
                (None, "efi") => Ok(Candidate::Program(path.to_owned())),
                _ => Ok(Candidate::Disk(path.to_owned())),
            };
        }
        tried.push(path.to_owned());
    }
    if wanted(Mode::Kernel) || wanted(Mode::Squashfs) {
        if is_file(&kernel) {
            return beside_kernel(path, kernel, mode, is_file);
        }
        tried.push(kernel);
    }
    let disks =
        [".qcow2", "-bios.img", ".raw", "-hybrid.img", "-efi.qcow2", "-efi.img", ".vmdk", ".vhd", ".vhdx"]
            .map(|suffix| (Mode::Disk, suffix));
    let cds = [".iso", "-hybrid.iso", "-efi.iso", "-efi-initrd.iso"].map(|suffix| (Mode::Iso, suffix));
    for (kind, suffix) in disks.into_iter().chain(cds).filter(|(kind, _)| wanted(*kind)) {
        let found = suffixed(path, suffix);
        if is_file(&found) {
            return Ok(if kind == Mode::Iso { Candidate::Iso(found) } else { Candidate::Disk(found) });
        }
        tried.push(found);
    }
    Err(NotFound::Nothing(tried))
}

/// What a kernel is booted with. As LinuxKit does it, a root on a disk is preferred.
fn beside_kernel(
    path: &Path,
    kernel: PathBuf,
    mode: Option<Mode>,
    is_file: &dyn Fn(&Path) -> bool,
) -> Result<Candidate, NotFound> {
    let [initrd, squashfs, erofs, iso, cmdline] =
        ["-initrd.img", "-squashfs.img", "-erofs.img", ".iso", "-cmdline"]
            .map(|suffix| Some(suffixed(path, suffix)).filter(|file| is_file(file)));
    let root = match mode {
        Some(Mode::Kernel) => None,
        Some(Mode::Squashfs) => squashfs,
        // Only an initrd finds a root that is a CD image.
        _ => squashfs.or(erofs).or(iso.filter(|_| initrd.is_some())),
    };
    if let Some(root) = root {
        return Ok(Candidate::Root { kernel, root, initrd, cmdline });
    }
    if mode == Some(Mode::Squashfs) {
        let missing = suffixed(path, "-squashfs.img");
        return Err(NotFound::Half { kernel, missing, format: "kernel+squashfs" });
    }
    let Some(initrd) = initrd else {
        let missing = suffixed(path, "-initrd.img");
        return Err(NotFound::Half { kernel, missing, format: "kernel+initrd" });
    };
    Ok(Candidate::Kernel { kernel, initrd, cmdline })
}

/// Where a machine keeps its state when nothing else is said: `PREFIX-state`, the prefix being the path without the
/// extension of an image.
pub fn default_state(path: &Path) -> PathBuf {
    let image = path.extension().is_some_and(|extension| {
        ["qcow2", "img", "raw", "iso", "efi", "vmdk", "vhd", "vhdx"].iter().any(|known| extension == *known)
    });
    suffixed(&if image { path.with_extension("") } else { path.to_owned() }, "-state")
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect_among(path: &str, mode: Option<Mode>, files: &[&str]) -> Result<Candidate, NotFound> {
        detect(Path::new(path), mode, &|path| files.iter().any(|file| Path::new(file) == path))
    }

    fn disk(path: &str) -> Candidate {
        Candidate::Disk(path.into())
    }

    fn kernel(prefix: &str, cmdline: bool) -> Candidate {
        Candidate::Kernel {
            kernel: format!("{prefix}-kernel").into(),
            initrd: format!("{prefix}-initrd.img").into(),
            cmdline: cmdline.then(|| format!("{prefix}-cmdline").into()),
        }
    }

    fn root(prefix: &str, kind: &str, initrd: bool) -> Candidate {
        Candidate::Root {
            kernel: format!("{prefix}-kernel").into(),
            root: format!("{prefix}{kind}").into(),
            initrd: initrd.then(|| format!("{prefix}-initrd.img").into()),
            cmdline: None,
        }
    }

    #[test]
    fn what_is_there_decides_what_is_booted() {
        let built = ["d/m-kernel", "d/m-initrd.img", "d/m-cmdline", "d/m.qcow2"];
        for (path, mode, files, expected) in [
            ("m.qcow2", None, &["m.qcow2"][..], disk("m.qcow2")),
            ("m-bios.img", None, &["m-bios.img"], disk("m-bios.img")),
            ("m.raw", None, &["m.raw"], disk("m.raw")),
            ("image", None, &["image", "image-kernel"], disk("image")),
            ("m.iso", None, &["m.iso"], Candidate::Iso("m.iso".into())),
            ("odd", Some(Mode::Iso), &["odd"], Candidate::Iso("odd".into())),
            ("d/m", None, &built, kernel("d/m", true)),
            ("d/m", None, &built[..2], kernel("d/m", false)),
            ("d/m", Some(Mode::Disk), &built, disk("d/m.qcow2")),
            ("d/m", None, &built[3..], disk("d/m.qcow2")),
            ("m", None, &["m-bios.img"], disk("m-bios.img")),
            ("m", None, &["m-efi.img", "m-bios.img"], disk("m-bios.img")),
            ("m", None, &["m-efi.img", "m.efi"], disk("m-efi.img")),
            ("m.efi", None, &["m.efi"], Candidate::Program("m.efi".into())),
            ("m", None, &["m.iso"], Candidate::Iso("m.iso".into())),
            ("m", None, &["m-kernel", "m-squashfs.img"], root("m", "-squashfs.img", false)),
            ("m", None, &["m-kernel", "m-squashfs.img", "m-initrd.img"], root("m", "-squashfs.img", true)),
            (
                "m",
                Some(Mode::Squashfs),
                &["m", "m-kernel", "m-squashfs.img"],
                root("m", "-squashfs.img", false),
            ),
            ("m", None, &["m-kernel", "m-initrd.img", "m.iso"], root("m", ".iso", true)),
            ("m", None, &["m-kernel", "m-erofs.img"], root("m", "-erofs.img", false)),
            ("m", Some(Mode::Kernel), &["m-kernel", "m-squashfs.img", "m-initrd.img"], kernel("m", false)),
            ("m", Some(Mode::Iso), &["m-bios.img", "m-efi.iso"], Candidate::Iso("m-efi.iso".into())),
            (
                "m.qcow2",
                Some(Mode::Kernel),
                &["m.qcow2", "m.qcow2-kernel", "m.qcow2-initrd.img"],
                kernel("m.qcow2", false),
            ),
        ] {
            assert_eq!(detect_among(path, mode, files), Ok(expected), "{path} {mode:?} {files:?}");
        }
    }

    #[test]
    fn images_for_efi_are_known_by_their_names() {
        for (candidate, efi) in [
            (disk("d/m-efi.img"), true),
            (disk("m-efi.qcow2"), true),
            (Candidate::Program("m.efi".into()), true),
            (Candidate::Iso("m-efi.iso".into()), true),
            (Candidate::Iso("m-efi-initrd.iso".into()), true),
            (Candidate::Iso("m-hybrid.iso".into()), false),
            (disk("m.qcow2"), false),
            (disk("m-bios.img"), false),
            (kernel("m-efi.img", true), false),
        ] {
            assert_eq!(candidate.is_efi(), efi, "{candidate:?}");
        }
    }

    #[test]
    fn what_cannot_be_booted_says_why() {
        for (path, mode, files, message) in [
            (
                "m",
                None,
                &[][..],
                "looked for m, m-kernel, m.qcow2, m-bios.img, m.raw, m-hybrid.img, m-efi.qcow2, m-efi.img, m.vmdk, m.vhd, m.vhdx, m.iso, \
                 m-hybrid.iso, m-efi.iso, m-efi-initrd.iso",
            ),
            ("m", Some(Mode::Kernel), &["m"], "looked for m-kernel"),
            ("m.yml", None, &["m.yml"], "lkb build m.yml"),
            ("m", None, &["m-kernel"], "m-initrd.img is missing beside m-kernel"),
            ("m", None, &["m-kernel", "m.iso"], "m-initrd.img is missing beside m-kernel"),
            (
                "m",
                Some(Mode::Squashfs),
                &["m-kernel", "m-initrd.img"],
                "m-squashfs.img is missing beside m-kernel",
            ),
            ("m", Some(Mode::Squashfs), &["m"], "looked for m-kernel"),
        ] {
            let error = detect_among(path, mode, files).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn the_state_lies_beside_the_image() {
        for (path, state) in [
            ("out/demo", "out/demo-state"),
            ("out/demo.qcow2", "out/demo-state"),
            ("v1.2", "v1.2-state"),
            ("demo-bios.img", "demo-bios-state"),
        ] {
            assert_eq!(default_state(Path::new(path)), Path::new(state));
        }
    }
}
