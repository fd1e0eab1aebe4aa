//! Image config + label + YAML → OCI runtime `config.json` and `runtime.json`.
//!
//! For each field the YAML comes before the label `org.mobyproject.config`, and that before the image's own
//! configuration, which only has a say in command, environment, working directory, user, stop signal and health
//! check. What none of them speak of, the [`Profile`] gives. Without one, the output is LinuxKit's, but for what it loses on the way: fields by the case of their keys, `.add` lists
//! of labels and beside full lists, volumes in `mounts`, the image's USER, STOPSIGNAL and HEALTHCHECK.

mod error;
mod ids;
mod isolation;
mod layers;
mod limits;
mod mounts;
mod oci;
mod profile;
mod runtime;
mod seccomp;
mod supervision;
#[cfg(test)]
mod tests;
mod user;

use image_layout::Runtime;
use oci_spec::image::ImageConfiguration;
use serde::Serialize;

use crate::config::{Container, LABEL, Overrides, Volume};
use crate::image::Healthcheck;
use layers::Layers;

pub use error::{Fault, SpecError};
pub use ids::Ids;
pub use profile::Profile;

/// The word for the filter that is in [`seccomp`]; the other one is for none.
const SECCOMP_DEFAULT: &str = "default";

/// What is needed of a container's image.
#[derive(Debug, Clone, Copy)]
pub struct ImageInfo<'a> {
    /// Its configuration, which holds its label.
    pub config: &'a ImageConfiguration,
    /// Its HEALTHCHECK.
    pub healthcheck: Option<&'a Healthcheck>,
    /// Its `/etc/passwd`, for a USER by name.
    pub passwd: Option<&'a str>,
    /// Its `/etc/group`, for a USER with a group by name and for supplementary groups.
    pub group: Option<&'a str>,
}

/// Where in the YAML a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Run to its end at boot.
    Onboot,
    /// Run to its end at shutdown.
    Onshutdown,
    /// Kept running.
    Services,
}

/// What lies beside a container's root filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// `config.json`, indented by four spaces.
    pub config_json: String,
    /// What YAML and label ask of init; [`Bundle::runtime_json`] adds what the root filesystem needs.
    pub runtime: Runtime,
    /// Whether the root filesystem is read-only: the image's files are then in `rootfs`, not in `lower`.
    pub readonly: bool,
}

/// Makes the bundle of a container.
///
/// # Errors
/// When the label is invalid, there is no command, or something refers to a volume, container or account that
/// does not exist.
pub fn bundle(
    container: &Container,
    image: &ImageInfo<'_>,
    ids: &Ids,
    volumes: &[Volume],
    section: Section,
    profile: Profile,
) -> Result<Bundle, SpecError> {
    make(container, image, ids, volumes, section, profile).map_err(|fault| SpecError {
        spot: container.spot.clone(),
        name: container.name.clone(),
        image: container.image.reference.clone(),
        fault,
    })
}

fn make(
    container: &Container,
    image: &ImageInfo<'_>,
    ids: &Ids,
    volumes: &[Volume],
    section: Section,
    profile: Profile,
) -> Result<Bundle, Fault> {
    let label = match image.config.get_config_annotation(LABEL).filter(|text| !text.is_empty()) {
        Some(text) => Overrides::from_label(text).map_err(Fault::Label)?,
        None => Overrides::default(),
    };
    let layers = Layers { yaml: &container.overrides, label: &label, profile };
    let readonly = layers.pick(|o| o.readonly.as_ref()).is_some_and(|readonly| *readonly);
    let (devices, resources) = limits::devices_and_resources(layers)?;
    let process = process(layers, image, ids)?;
    let seccomp = match layers.pick_text(|o| o.seccomp.as_ref()) {
        Some(SECCOMP_DEFAULT) => {
            let arch = image.config.architecture().to_string();
            let filter = seccomp::filter(&arch, &process.capabilities.bounding);
            Some(filter.ok_or(Fault::NoFilter(arch))?)
        }
        _ => None,
    };
    let spec = oci::Spec {
        oci_version: oci::VERSION,
        process,
        root: oci::Root { path: image_layout::ROOTFS, readonly },
        hostname: layers.pick_text(|o| o.hostname.as_ref()).unwrap_or_default().to_owned(),
        mounts: mounts::mounts(layers, readonly, volumes)?,
        annotations: layers.pick(|o| o.annotations.as_ref()).cloned().unwrap_or_default(),
        linux: oci::Linux {
            uid_mappings: layers.list(|o| o.uid_mappings.as_ref()).to_vec(),
            gid_mappings: layers.list(|o| o.gid_mappings.as_ref()).to_vec(),
            sysctl: layers.pick(|o| o.sysctl.as_ref()).cloned().unwrap_or_default(),
            resources,
            cgroups_path: layers.pick(|o| o.cgroups_path.as_ref()).cloned().unwrap_or_default(),
            namespaces: isolation::namespaces(layers),
            devices,
            seccomp,
            rootfs_propagation: layers.pick(|o| o.rootfs_propagation.as_ref()).cloned().unwrap_or_default(),
            masked_paths: layers.list(|o| o.masked_paths.as_ref()).to_vec(),
            readonly_paths: layers.list(|o| o.readonly_paths.as_ref()).to_vec(),
        },
    };
    let mut runtime = runtime::runtime(layers);
    supervision::supervision(&mut runtime, layers, image, section)?;
    Ok(Bundle { config_json: json(&spec)?, runtime, readonly })
}

fn process(layers: Layers<'_>, image: &ImageInfo<'_>, ids: &Ids) -> Result<oci::Process, Fault> {
    let config = image.config.config().as_ref();
    let command = || {
        let entrypoint = config.and_then(|c| c.entrypoint().as_ref()).into_iter().flatten();
        let cmd = config.and_then(|c| c.cmd().as_ref()).into_iter().flatten();
        entrypoint.chain(cmd).cloned().collect::<Vec<String>>()
    };
    let args = layers.pick(|o| o.command.as_ref()).cloned().unwrap_or_else(command);
    if args.is_empty() {
        return Err(Fault::NoCommand);
    }
    let env = layers.pick(|o| o.env.as_ref()).or_else(|| config.and_then(|c| c.env().as_ref()));
    let working_dir = || config.and_then(|c| c.working_dir().as_deref()).filter(|dir| !dir.is_empty());
    let image_user = config.and_then(|c| c.user().as_deref()).unwrap_or_default();
    let accounts = user::Accounts { passwd: image.passwd, group: image.group };
    Ok(oci::Process {
        user: user::user(&layers, image_user, accounts, ids)?,
        args,
        env: env.cloned().unwrap_or_default(),
        cwd: layers.pick_text(|o| o.cwd.as_ref()).or_else(working_dir).unwrap_or("/").to_owned(),
        capabilities: isolation::capabilities(layers)?,
        rlimits: limits::rlimits(layers)?,
        no_new_privileges: layers.pick(|o| o.no_new_privileges.as_ref()).is_some_and(|on| *on),
        oom_score_adj: layers.pick(|o| o.oom_score_adj.as_ref()).copied(),
    })
}

/// JSON indented by four spaces, without a newline at the end.
fn json(value: &impl Serialize) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| Fault::Json(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Fault::Json(error.to_string()))
}
