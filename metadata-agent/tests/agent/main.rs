//! The whole agent, against services that behave and services that do not, and on machines with disks.
//!
//! | module | |
//! | --- | --- |
//! | `openstack` | what is written, and what becomes of each fault, with OpenStack as the example |
//! | `clouds` | every provider with a service, each through the same table of faults |
//! | `disks` | config drives, NoCloud, discs |
//! | `choice` | several providers side by side, firmware and command line |
//! | `link` | a network of its own: OpenStack over IPv6 alone, and a link that comes late |
//! | `fake_cloud` | the service |
//! | `machine` | the machine |

mod choice;
mod clouds;
mod disks;
mod fake_cloud;
mod link;
mod machine;
mod openstack;
