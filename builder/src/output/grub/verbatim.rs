//! Lets a command line through that GRUB would quote anew.
//!
//! GRUB's `grub_create_loader_cmdline` (`grub-core/lib/cmdline.c`, in the module `linux`) writes a backslash before
//! each quote and backslash. The kernel does not know backslashes: `a="b c"` would arrive as two words with stray
//! quotes, and `\` doubled. For command lines with such characters the function's body in our copy of the module is
//! replaced by one that joins the words with blanks and leaves them alone. All others get GRUB as it was shipped.

use thiserror::Error;

use super::elf::{Elf, ElfError};

/// The module that is changed.
pub const MODULE: &str = "linux";
const FUNCTION: &str = "grub_create_loader_cmdline";

/// `int f(int argc /* eax */, char **argv /* edx */, char *buffer /* ecx */, size_t size /* stack */, …)`; returns 0.
/// GRUB is built with `-mregparm=3 -mrtd`: the callee takes its stack arguments away, so `ret N` must follow.
///
/// To look at it: `objdump -D -b binary -m i386` over these bytes.
#[rustfmt::skip]
const JOIN: [u8; 54] = [
    0x56,                   //       push esi
    0x57,                   //       push edi
    0x53,                   //       push ebx
    0x89, 0xCF,             //       mov edi, ecx       ; buffer
    0x8B, 0x5C, 0x24, 0x10, //       mov ebx, [esp+16]  ; bytes left in it
    0x89, 0xC1,             //       mov ecx, eax       ; words left
    0xE3, 0x21,             // word: jecxz done
    0x8B, 0x32,             //       mov esi, [edx]
    0x83, 0xC2, 0x04,       //       add edx, 4
    0xAC,                   // copy: lodsb
    0x84, 0xC0,             //       test al, al
    0x74, 0x09,             //       jz end
    0x83, 0xFB, 0x01,       //       cmp ebx, 1         ; keep room for the NUL
    0x76, 0x12,             //       jbe done
    0xAA,                   //       stosb
    0x4B,                   //       dec ebx
    0xEB, 0xF2,             //       jmp copy
    0x49,                   // end:  dec ecx
    0x74, 0x0B,             //       jz done
    0x83, 0xFB, 0x01,       //       cmp ebx, 1
    0x76, 0x06,             //       jbe done
    0xB0, 0x20,             //       mov al, ' '
    0xAA,                   //       stosb
    0x4B,                   //       dec ebx
    0xEB, 0xDD,             //       jmp word
    0xC6, 0x07, 0x00,       // done: mov byte [edi], 0
    0x31, 0xC0,             //       xor eax, eax
    0x5B,                   //       pop ebx
    0x5F,                   //       pop edi
    0x5E,                   //       pop esi
];
/// `ret imm16`.
const RET: u8 = 0xC2;

/// Why GRUB's quoting cannot be switched off.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VerbatimError {
    /// The module is damaged.
    #[error("GRUB's {MODULE}.mod is damaged")]
    Elf(#[from] ElfError),
    /// Another GRUB than those that this was written for.
    #[error(
        "it has quotes, backslashes or double blanks, which this release of GRUB would change \
         ({MODULE}.mod: {0}): write the command line without them, or use the GRUB of Debian 12"
    )]
    Unknown(&'static str),
}

/// Replaces the function in a copy of `linux.mod`.
pub fn apply(module: &mut [u8]) -> Result<(), VerbatimError> {
    let elf = Elf::parse(module)?;
    let function =
        elf.definition(FUNCTION)?.ok_or(VerbatimError::Unknown("no grub_create_loader_cmdline"))?;
    let ret = match module.get(function.file.clone()) {
        Some([.., RET, low, high]) if *high == 0 && matches!(*low, 4 | 8) => [RET, *low, *high],
        _ => return Err(VerbatimError::Unknown("grub_create_loader_cmdline has another calling convention")),
    };
    let len = JOIN.len() + ret.len();
    if function.file.len() < len {
        return Err(VerbatimError::Unknown("grub_create_loader_cmdline is shorter than its replacement"));
    }
    // A relocation further down changes bytes that nothing executes any more.
    let replaced = function.value.saturating_sub(3)..function.value + len;
    if elf.relocated(function.section)?.iter().any(|at| replaced.contains(at)) {
        return Err(VerbatimError::Unknown("grub_create_loader_cmdline is relocated"));
    }
    let start = function.file.start;
    module[start..start + JOIN.len()].copy_from_slice(&JOIN);
    module[start + JOIN.len()..start + len].copy_from_slice(&ret);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn linux_mod() -> Vec<u8> {
        std::fs::read(Path::new(super::super::DEFAULT_DIR).join("linux.mod")).unwrap()
    }

    #[test]
    fn nothing_but_the_function_is_changed() {
        let before = linux_mod();
        let mut after = before.clone();
        apply(&mut after).unwrap();
        let range = Elf::parse(&before).unwrap().definition(FUNCTION).unwrap().unwrap().file;
        assert_eq!(after[range.start..range.start + JOIN.len()], JOIN);
        assert_eq!(before[..range.start], after[..range.start]);
        assert_eq!(before[range.end..], after[range.end..]);
    }

    #[test]
    fn a_module_without_the_function_is_refused() {
        let mut module = linux_mod();
        let at = module.windows(FUNCTION.len()).position(|w| w == FUNCTION.as_bytes()).unwrap();
        module[at] = b'G';
        assert!(matches!(apply(&mut module), Err(VerbatimError::Unknown(_))));
    }

    #[test]
    fn another_calling_convention_is_refused() {
        let mut module = linux_mod();
        let range = Elf::parse(&module).unwrap().definition(FUNCTION).unwrap().unwrap().file;
        module[range.end - 3] = 0xC3;
        assert!(matches!(apply(&mut module), Err(VerbatimError::Unknown(_))));
    }
}
