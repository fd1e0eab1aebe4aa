//! Optical drives, whatever the medium in them is called.

use std::path::Path;

use super::{Volume, VolumeError, device};

/// What the nodes of optical drives begin with.
const PREFIX: &str = "sr";

/// The volumes in all optical drives, by the drives' names. A drive without a readable one is left out.
///
/// # Errors
/// [`VolumeError::List`].
pub fn drives_below(sys: &Path, dev: &Path) -> Result<Vec<Volume>, VolumeError> {
    let devices = device::list(sys)
        .map_err(|cause| VolumeError::List { directory: sys.display().to_string(), cause })?;
    let mut volumes = Vec::new();
    for device in devices.iter().filter(|device| device.node.starts_with(PREFIX)) {
        let node = dev.join(&device.node).display().to_string();
        // An audio disc and a scratched one hold no metadata.
        if let Ok(Some(image)) = device.open(dev)
            && let Ok(Some(volume)) = Volume::open(&node, image)
        {
            volumes.push(volume);
        }
    }
    Ok(volumes)
}
