//! Config + images → a machine.
//!
//! ```text
//! /                                  kernel.tar, init images in order, files
//! /containers/volumes/NAME/          lower/ tmp/ merged/
//! /containers/{onboot,onshutdown}/NNN-NAME/, /containers/services/NAME/
//!                                    config.json runtime.json lower/ tmp/ rootfs/, or rootfs/ alone when read-only
//! ```

mod bill;
mod bundles;
mod earlier;
mod engine;
mod error;
mod fetch;
mod files;
mod furnish;
mod images;
mod kernel;
mod local;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::config::{Config, ImageUse, Volume, VolumeFormat};
use crate::image::{Cache, Image};
use crate::output::Machine;
use crate::sbom;
use crate::spec::Profile;
use crate::tree::{Kind, Location, Node, Origin, Tree, TreeError};
use crate::trust::Policy;

use bundles::Bundles;
pub use earlier::{EarlierError, check_earlier};
pub use engine::take_from_engine;
pub use error::{BuildError, FileFault, MissingImage, UnpulledImage};
pub use fetch::{When, fetch};
use furnish::Role;
use images::Images;
pub use local::take_local;

/// Where Alpine's package manager keeps what is installed. Every image brings its own, and the machine has all.
const APK_INSTALLED: &[u8] = b"lib/apk/db/installed";
/// Largest list of packages, in bytes.
const MAX_APK: u64 = 64 << 20;

/// What is asked of a build beside what its configuration says.
#[derive(Debug, Default)]
pub struct Options {
    /// Which images must be signed, and by whose key.
    pub trust: Policy,
    /// What containers are given that neither YAML nor labels speak of.
    pub profile: Profile,
    /// The bill of materials, if there is to be one.
    pub sbom: Option<sbom::Options>,
}

/// Lays out the machine. Every image is looked up and verified, its signature where it must have one, before anything
/// else happens.
///
/// `arch` is in Go's words: `amd64`, `arm64`. Sources of files are relative to the working directory.
///
/// # Errors
/// When an image is missing, damaged, malformed or not signed as it must be, a container's configuration does not hold together, or two
/// parts of the machine need the same path.
pub fn assemble(
    config: &Config,
    cache: &Cache,
    arch: &str,
    options: &Options,
) -> Result<Machine, BuildError> {
    let images = Images::find(config, cache, arch, &options.trust)?;
    let mut machine = match &config.kernel {
        Some(kernel) => kernel::machine(kernel, &images)?,
        None => Machine::default(),
    };
    let root = &mut machine.root;
    unpack_init(root, &config.init, &images)?;
    for (index, volume) in config.volumes.iter().enumerate() {
        let origin = volume_origin(index, volume, &images);
        lay_out_volume(root, volume, &images, &origin).map_err(|error| match error {
            Laying::Tree(source) => BuildError::Tree { origin: origin.to_string(), source },
            Laying::Build(error) => error,
        })?;
    }
    let mut bundles = Bundles::new(config, &images, options.profile);
    for (index, container) in config.onboot.iter().enumerate() {
        let dir = format!("{}/{}", image_layout::ONBOOT, image_layout::one_shot_name(index, &container.name));
        bundles.add(root, container, &dir, Location::Onboot(index))?;
    }
    for (index, container) in config.onshutdown.iter().enumerate() {
        let dir =
            format!("{}/{}", image_layout::ONSHUTDOWN, image_layout::one_shot_name(index, &container.name));
        bundles.add(root, container, &dir, Location::Onshutdown(index))?;
    }
    for (index, container) in config.services.iter().enumerate() {
        let dir = format!("{}/{}", image_layout::SERVICES, container.name);
        bundles.add(root, container, &dir, Location::Service(index))?;
    }
    files::add_all(root, config)?;
    if let Some(options) = &options.sbom {
        bill::add(root, config, &images, options)?;
    }
    Ok(machine)
}

fn unpack_init(root: &mut Tree, uses: &[ImageUse], images: &Images<'_>) -> Result<(), BuildError> {
    let mut installed: Vec<Vec<u8>> = Vec::new();
    let mut last = None;
    for (index, image_use) in uses.iter().enumerate() {
        let image = images.get(image_use);
        let origin = origin(Location::Init(index), image);
        let mut tree = images.unpack(image, &origin)?;
        furnish::strip(&mut tree);
        if let Some(list) = tree.file(APK_INSTALLED) {
            installed.push(list.read_all(MAX_APK).map_err(|source| BuildError::Read {
                image: image.reference.to_string(),
                path: "/lib/apk/db/installed".into(),
                source,
            })?);
        }
        let failed = |source| BuildError::Tree { origin: origin.to_string(), source };
        root.merge(tree).map_err(failed)?;
        last = Some(origin);
    }
    let Some(origin) = last else { return Ok(()) };
    let failed = |source| BuildError::Tree { origin: origin.to_string(), source };
    furnish::furnish(root, Role::Machine, &origin).map_err(failed)?;
    if installed.len() > 1 {
        let mut node = Node::file(installed.concat(), 0o644, &origin);
        node.mtime = 0;
        root.insert(APK_INSTALLED, node).map_err(failed)?;
    }
    Ok(())
}

fn volume_origin(index: usize, volume: &Volume, images: &Images<'_>) -> Arc<Origin> {
    let location = Location::Volume(index);
    match &volume.image {
        Some(image) => origin(location, images.get(image)),
        None => Arc::new(Origin { location, source: "linuxkit.volumes".into() }),
    }
}

/// A failure that may still need to be told whose it is.
enum Laying {
    Tree(TreeError),
    Build(BuildError),
}

impl From<TreeError> for Laying {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

impl From<BuildError> for Laying {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

fn lay_out_volume(
    root: &mut Tree,
    volume: &Volume,
    images: &Images<'_>,
    origin: &Arc<Origin>,
) -> Result<(), Laying> {
    let part = |part: &str| format!("{}/{}/{part}", image_layout::VOLUMES, volume.name).into_bytes();
    let lower = match (&volume.image, volume.format) {
        (None, _) => Tree::new(),
        (Some(image), VolumeFormat::Filesystem) => {
            let mut tree = images.unpack(images.get(image), origin)?;
            furnish::strip(&mut tree);
            furnish::furnish(&mut tree, Role::Volume, origin)?;
            tree
        }
        (Some(image), VolumeFormat::Oci) => images.layout(image, &volume.platforms, origin)?,
    };
    root.graft(&part(image_layout::LOWER), lower, origin)?;
    root.ensure_directory(&part(image_layout::TMP), origin)?;
    root.ensure_directory(&part(image_layout::MERGED), origin)?;
    Ok(())
}

fn origin(location: Location, image: &Image) -> Arc<Origin> {
    Arc::new(Origin { location, source: image.reference.to_string() })
}

/// Whether putting a node here would lose a directory with something in it.
fn would_lose(root: &Tree, path: &[u8], node: &Node) -> bool {
    node.kind != Kind::Directory
        && root.get(path).is_some_and(Node::is_directory)
        && root.below(path).next().is_some()
}
