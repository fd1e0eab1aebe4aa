//! Starts what was built: one module a back-end, over what they share.

pub mod aws;
pub mod azure;
pub mod disk;
pub mod gcp;
pub mod networking;
pub mod openstack;
pub mod publish;
pub mod qemu;
pub mod scaleway;
pub mod vbox;
pub mod vcenter;
pub mod vmware;
