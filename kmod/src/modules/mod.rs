//! What `depmod` knows about a kernel's modules: `/lib/modules/RELEASE/modules.*` (modules.dep(5), depmod.d(5)).
//!
//! Everything here is pure: text in, the list of files to load out.

mod alias;
mod builtin;
mod config;
mod dependencies;
mod devname;
mod glob;
mod plan;

pub use alias::Aliases;
pub use builtin::Builtin;
pub use config::Config;
pub use dependencies::{Dependencies, module_name};
pub use devname::{StaticNode, static_nodes};
pub use plan::{Database, Step, Texts};
