//! Real images, booted in qemu. One binary, so that as many machines as there is room for run at any time.
//!
//! | module | what it is about |
//! |---|---|
//! | `attached` | TAP interfaces, USB, directories of the host |
//! | `checked_roots` | roots that are checked block by block |
//! | `data_disk` | a disk for data: blank, full, somebody else's |
//! | `debian` | the packages that come from Debian |
//! | `detached` | `lkb run --detach`, `lkb stop`, the metadata CD |
//! | `engines` | containerd 1.7, and Go's shim with runc |
//! | `examples` | the other examples boot, and the first without containerd |
//! | `expect` | `lkb run --expect` |
//! | `faults` | what goes wrong is made to go wrong |
//! | `formats` | every format boots |
//! | `hardened` | containers that get no more than they ask for |
//! | `image` | what the image is: small, sound, reproducible |
//! | `ldap` | the LDAP appliance, and what the cloud makes of it |
//! | `metadata` | the metadata agent's package, with a CD and without a network |
//! | `own_kernel` | our own kernel, and roots that it mounts without an initrd |
//! | `packages` | the packages for small duties |
//! | `power` | going down and coming up |
//! | `roots` | roots on disks |
//! | `showcase` | every other example boots, and does what it is for |
//! | `together` | examples that share a machine |
//! | `user_data` | user-data that is not what it should be |

mod attached;
mod checked_roots;
mod data_disk;
mod debian;
mod detached;
mod engines;
mod examples;
mod expect;
mod faults;
mod formats;
mod hardened;
mod image;
mod ldap;
mod metadata;
mod own_kernel;
mod packages;
mod power;
mod roots;
mod showcase;
mod together;
mod user_data;
