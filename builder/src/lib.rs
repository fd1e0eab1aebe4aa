//! `lkb`: builds, runs and ships bootable images from one YAML file.
//!
//! | module | duty | imports |
//! |---|---|---|
//! | `http` | connections, requests, bounded answers, when to ask again | – |
//! | [`config`] | the YAML: types, validation with line and column, merging | – |
//! | [`image`] | references, the cache (an OCI layout), whatever images come from, verification | http |
//! | [`tree`] | a root filesystem as a value | image |
//! | [`stage`] | of a root filesystem, the initrd that finds it on a disk | tree |
//! | [`spec`] | image config + label + YAML → `config.json` and `runtime.json` | config |
//! | [`trust`] | which images must be signed, and whether they are | config, image |
//! | [`sbom`] | which packages images hold, as SPDX | image, tree |
//! | [`build`] | config + images → a [`output::Machine`] | all above, output |
//! | [`contents`] | what is in something that was built, one reader a format | image, tree, output |
//! | [`diff`] | what is different between two root filesystems | contents, tree |
//! | [`inventory`] | what is in a machine, by where it came from | config, tree, output, contents |
//! | [`output`] | a machine → files, one module a format | tree, stage, bounded, crc32c |
//! | [`aws`] | Amazon's interfaces | http, utc |
//! | [`azure`] | Azure's interfaces | http, utc |
//! | [`gcp`] | Google Cloud's interfaces | http, event, crc32c |
//! | [`openstack`] | OpenStack's interfaces | http |
//! | [`scaleway`] | Scaleway's interfaces | http |
//! | [`vcenter`] | vCenter's interfaces | http |
//! | [`push`] | brings what was built to where it runs | aws, azure, gcp, openstack, scaleway, vcenter, event |
//! | [`run`] | starts what was built | output (the metadata CD), size, bounded, aws, azure, gcp, openstack, scaleway, vcenter, push |
//! | [`serve`] | a directory over HTTP | – |
//! | [`size`] | sizes as people write them | – |
//! | [`pkg`] | `build.yml`, content hash, Dockerfile drivers | config, image, tree, sbom, output (archives of images), utc |
//! | [`event`] | what long work says while it goes on | – |
//! | `bounded` | files of which no more is read than can be of use | – |
//! | `crc32c` | a checksum of formats and protocols | – |
//! | `utc` | moments as people and protocols write them | – |
//! | [`cli`] | the command line | all |

pub mod aws;
pub mod azure;
mod bounded;
pub mod build;
pub mod cli;
pub mod config;
pub mod contents;
mod crc32c;
pub mod diff;
pub mod event;
pub mod gcp;
mod http;
pub mod image;
pub mod inventory;
pub mod openstack;
pub mod output;
pub mod pkg;
pub mod push;
pub mod run;
pub mod sbom;
pub mod scaleway;
pub mod serve;
pub mod size;
pub mod spec;
pub mod stage;
pub mod tree;
pub mod trust;
mod utc;
pub mod vcenter;
