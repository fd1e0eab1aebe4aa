//! The I/O port of VMware's hypervisor. The only `unsafe` of this crate.
//!
//! On any other machine a read of the port without the right to it ends the process, so nobody gets a [`VMware`] without
//! the processor having said whose guest it is.

#![allow(unsafe_code)]

use std::arch::asm;
use std::arch::x86_64::__cpuid;

use super::{Port, Registers};

/// `cpuid` leaf 1, `ecx`: there is a hypervisor.
const HYPERVISOR: u32 = 1 << 31;
/// `cpuid` leaf 0x40000000, `ebx`, `ecx`, `edx`: whose.
const VENDOR_LEAF: u32 = 0x4000_0000;
const VENDOR: [&[u8; 4]; 3] = [b"VMwa", b"reVM", b"ware"];

/// The port of a hypervisor that is VMware's.
#[derive(Debug)]
pub struct VMware(());

/// The port, if this machine has it.
#[must_use]
pub fn detect() -> Option<VMware> {
    if __cpuid(1).ecx & HYPERVISOR == 0 {
        return None;
    }
    let vendor = __cpuid(VENDOR_LEAF);
    let said = [vendor.ebx, vendor.ecx, vendor.edx].map(u32::to_le_bytes);
    said.iter().zip(VENDOR).all(|(said, wanted)| said == wanted).then_some(VMware(()))
}

impl Port for VMware {
    fn call(&mut self, registers: Registers) -> Registers {
        let mut out = registers;
        let mut rbx = u64::from(registers.ebx);
        // SAFETY: `VMware` is made by `detect` alone, so the hypervisor takes this read before the processor does, and
        // answers in these six registers without touching memory (the low-bandwidth port). LLVM keeps rbx for itself:
        // it is swapped in and out again.
        unsafe {
            asm!(
                "xchg {rbx}, rbx",
                "in eax, dx",
                "xchg {rbx}, rbx",
                rbx = inout(reg) rbx,
                inout("eax") out.eax,
                inout("ecx") out.ecx,
                inout("edx") out.edx,
                inout("esi") out.esi,
                inout("edi") out.edi,
                options(nostack),
            );
        }
        out.ebx = u32::try_from(rbx & u64::from(u32::MAX)).unwrap_or(0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_firmware_is_not_vmwares_has_no_port() {
        let vendor = std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
        assert_eq!(detect().is_some(), vendor.starts_with("VMware"), "{vendor}");
    }
}
