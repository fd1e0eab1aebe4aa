//! Brings what was built to where it runs: one module a cloud.

pub mod aws;
pub mod azure;
pub mod gcp;
pub mod openstack;
pub mod scaleway;
pub mod vcenter;
mod vhd;
