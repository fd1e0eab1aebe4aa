//! From the kernel's first instruction in user space to a machine that can run containers.

mod cgroups;
mod checked_root;
mod clock;
pub(super) mod console;
pub(super) mod devices;
pub(super) mod disk_root;
pub(super) mod filesystems;
mod initramfs;
mod issue;
pub(super) mod root;
pub(super) mod seal;
pub(super) mod settings;
mod table;
