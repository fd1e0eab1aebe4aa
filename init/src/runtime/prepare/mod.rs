//! What `runtime.json` asks for around a container: planned as values, carried out by a thin layer.

mod apply;
mod attributes;
mod host;
mod options;
mod plan;
mod record;

pub use apply::{apply, release};
pub use attributes::{Change, are_attributes, attributes, change};
pub use host::{Host, Kernel};
pub use options::{parse as mount_options, sort as sort_options};
pub use plan::{Call, PlanError, Step, mount_points, plan};
pub use record::Records;
