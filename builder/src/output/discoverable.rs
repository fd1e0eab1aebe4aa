//! The types by which tools know partitions with a root filesystem and with its hash tree, one for each architecture.
//!
//! Source: the UAPI Group's "Discoverable Partitions Specification".

use std::io::{self, Read};

use super::bzimage::{HEADER_LEN, Header};
use super::efi;
use super::gpt::{self, Guid};
use crate::tree::Content;

/// The types of both partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types {
    pub(super) root: Guid,
    pub(super) tree: Guid,
}

const X86_64: Types = Types {
    root: Guid::of(0x4F68_BCE3, 0xE8CD, 0x4DB1, 0x96E7_FBCA_F984_B709),
    tree: Guid::of(0x2C73_57ED, 0xEBD2, 0x46D9, 0xAEC1_23D4_37EC_2BF5),
};
const ARM64: Types = Types {
    root: Guid::of(0xB921_B045, 0x1DF0, 0x41C3, 0xAF44_4C6F_280D_3FAE),
    tree: Guid::of(0xDF33_00CE, 0xD69F, 0x4C92, 0x978C_9BFB_0F38_D820),
};
const RISCV64: Types = Types {
    root: Guid::of(0x72EC_70A6, 0xCF74, 0x40E6, 0xBD49_4BDA_08E8_F224),
    tree: Guid::of(0xB6ED_5582, 0x440B, 0x4209, 0xB8DA_5FF7_C419_EA3D),
};
/// Of a kernel that does not say what it is for.
const UNKNOWN: Types = Types { root: gpt::LINUX, tree: gpt::LINUX };

/// The types for a kernel's architecture.
///
/// # Errors
/// When the kernel cannot be read.
pub(super) fn types_for(kernel: Option<&Content>) -> io::Result<Types> {
    let Some(kernel) = kernel else { return Ok(UNKNOWN) };
    let mut start = Vec::new();
    kernel.reader().take(efi::LOOKED_AT).read_to_end(&mut start)?;
    Ok(types(&start))
}

fn types(start: &[u8]) -> Types {
    if Header::parse(start.get(..HEADER_LEN).unwrap_or_default()).is_ok() {
        return X86_64;
    }
    match efi::machine(start) {
        Ok(efi::ARM64) => ARM64,
        Ok(efi::RISCV64) => RISCV64,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::output::bzimage;
    use crate::output::efi::program_for_tests;

    #[test]
    fn the_types_are_those_of_the_kernels_architecture_and_tools_know_them() {
        let known = Command::new("sfdisk").args(["--label", "gpt", "--list-types"]).output();
        let known = String::from_utf8(known.expect("running sfdisk").stdout).unwrap();
        let arm64 = program_for_tests(efi::ARM64, 1);
        let riscv64 = program_for_tests(efi::RISCV64, 1);
        for (kernel, name) in
            [(bzimage::header_for_tests(), "x86-64"), (arm64, "ARM-64"), (riscv64, "RISC-V-64")]
        {
            let types = types(&kernel);
            for (id, what) in [(types.root, "Linux root"), (types.tree, "Linux root verity")] {
                let line = format!("{what} ({name})");
                let id = id.to_string().to_uppercase();
                assert!(
                    known.lines().any(|known| known.contains(&id) && known.contains(&line)),
                    "{id} {line}"
                );
            }
        }
        assert_eq!(types(b"something"), UNKNOWN);
    }
}
