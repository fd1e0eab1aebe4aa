//! What is different between the architectures that QEMU can be.

use std::path::Path;

use super::boot::Candidate;

/// An architecture that machines can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
    /// IBM Z.
    S390x,
    /// 64-bit RISC-V.
    Riscv64,
}

/// Where virtio devices are plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// PCI.
    Pci,
    /// The channels of IBM Z.
    Ccw,
}

impl Bus {
    /// What the names of QEMU's devices for it end in.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Pci => "pci",
            Self::Ccw => "ccw",
        }
    }
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::X86_64, Self::Aarch64, Self::S390x, Self::Riscv64];

    /// The architecture of this name, as `uname -m` or Go spells it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = match name {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            name => name,
        };
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// Its name, as `uname -m` and QEMU spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
            Self::S390x => "s390x",
            Self::Riscv64 => "riscv64",
        }
    }

    /// Whether this host has it.
    #[must_use]
    pub fn is_hosts(self) -> bool {
        self.name() == std::env::consts::ARCH
    }

    /// Its QEMU, and the Debian package that has it.
    pub fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::X86_64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm"),
            Self::S390x => ("qemu-system-s390x", "qemu-system-misc"),
            Self::Riscv64 => ("qemu-system-riscv64", "qemu-system-misc"),
        }
    }

    /// `-machine`. A `pc` has its CD drive on PIIX IDE, which distribution kernels for clouds still know when they have
    /// given up AHCI.
    pub fn machine(self) -> &'static str {
        match self {
            Self::X86_64 => "pc",
            Self::Aarch64 => "virt,gic-version=max",
            Self::S390x => "s390-ccw-virtio",
            Self::Riscv64 => "virt",
        }
    }

    /// Where its virtio devices are plugged in.
    pub fn bus(self) -> Bus {
        if self == Self::S390x { Bus::Ccw } else { Bus::Pci }
    }

    /// Whether nothing but EFI firmware can boot this: only x86 has a BIOS, and IBM Z a loader of its own.
    pub fn boots_by_efi_alone(self, candidate: &Candidate) -> bool {
        matches!(self, Self::Aarch64 | Self::Riscv64)
            && !matches!(candidate, Candidate::Kernel { .. } | Candidate::Root { .. })
    }

    /// Where distributions put EFI firmware, and the variable store that it begins with: Debian and Ubuntu, Fedora,
    /// Arch Linux. IBM Z has none.
    pub fn firmware(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::X86_64 => &[
                ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
                ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
                ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
                ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
            ],
            Self::Aarch64 => &[
                ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
                (
                    "/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw",
                    "/usr/share/edk2/aarch64/vars-template-pflash.raw",
                ),
                ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
            ],
            Self::Riscv64 => &[
                (
                    "/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd",
                    "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd",
                ),
                ("/usr/share/edk2/riscv/RISCV_VIRT_CODE.fd", "/usr/share/edk2/riscv/RISCV_VIRT_VARS.fd"),
            ],
            Self::S390x => &[],
        }
    }

    /// The Debian package with that firmware.
    pub fn firmware_package(self) -> &'static str {
        match self {
            Self::X86_64 => "ovmf",
            Self::Aarch64 => "qemu-efi-aarch64",
            Self::S390x | Self::Riscv64 => "qemu-efi-riscv64",
        }
    }

    /// Whether KVM works here for machines of this architecture.
    ///
    /// On x86 a device that opens is not enough: without hardware virtualisation behind it (`kvm_pvm`, as some nested
    /// hosts have) machines hang in their firmware. Elsewhere the device is only there with the hardware.
    pub fn kvm_usable(self, exists: &dyn Fn(&Path) -> bool, opens: &dyn Fn(&Path) -> bool) -> bool {
        let hardware = || {
            let modules = ["/sys/module/kvm_intel", "/sys/module/kvm_amd"];
            self != Self::X86_64 || modules.iter().any(|module| exists(Path::new(module)))
        };
        self.is_hosts() && hardware() && opens(Path::new("/dev/kvm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_has_the_names_of_uname_and_of_go() {
        for (name, arch) in [
            ("x86_64", Some(Arch::X86_64)),
            ("amd64", Some(Arch::X86_64)),
            ("aarch64", Some(Arch::Aarch64)),
            ("arm64", Some(Arch::Aarch64)),
            ("s390x", Some(Arch::S390x)),
            ("riscv64", Some(Arch::Riscv64)),
            ("i386", None),
            ("", None),
        ] {
            assert_eq!(Arch::named(name), arch, "{name}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn kvm_is_usable_where_hardware_is_behind_it() {
        for (arch, there, opens, usable) in [
            (Arch::X86_64, "/sys/module/kvm_intel", true, true),
            (Arch::X86_64, "/sys/module/kvm_amd", true, true),
            (Arch::X86_64, "/sys/module/kvm_amd", false, false),
            (Arch::X86_64, "/sys/module/kvm_pvm", true, false),
            (Arch::Aarch64, "/sys/module/kvm_intel", true, false),
        ] {
            let exists = |path: &Path| path == Path::new(there);
            assert_eq!(arch.kvm_usable(&exists, &|_| opens), usable, "{arch:?} {there} {opens}");
        }
    }

    #[test]
    fn firmware_is_needed_where_there_is_no_bios() {
        let disk = Candidate::Disk("m.img".into());
        let kernel = Candidate::Kernel { kernel: "k".into(), initrd: "i".into(), cmdline: None };
        let needs = |candidate| Arch::ALL.map(|arch| arch.boots_by_efi_alone(candidate));
        assert_eq!(needs(&disk), [false, true, false, true]);
        assert_eq!(needs(&kernel), [false; 4]);
    }
}
