//! From a bundle's configuration to the one that libcontainer is given, and to what is left for us to do.
//!
//! Pure: what must be known of the machine comes in as [`Machine`]. `README.md` beside this directory has the table of who
//! does which field.

mod late;
mod mounts;
mod refuse;

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use oci_spec::runtime::{Capabilities, LinuxCapabilities, LinuxNamespace, LinuxNamespaceType, Process, Spec};

use super::RuntimeError;
use super::bound_dev;
use super::devices::{self, Rule};

/// What must be known of the machine.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    /// Whether a path exists on the host.
    pub exists: &'a dyn Fn(&Path) -> bool,
    /// The home directory of a user in the container.
    pub home: &'a dyn Fn(u32) -> Option<String>,
    /// Whether cgroups are of version 2.
    pub unified: bool,
}

impl std::fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("unified", &self.unified).finish_non_exhaustive()
    }
}

/// A configuration, divided.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// What libcontainer is given.
    pub spec: Spec,
    /// What is done in the container's mount namespace once libcontainer has made it.
    pub inside: Inside,
    /// Which devices may be used; `None` where libcontainer does that.
    pub devices: Option<Vec<Rule>>,
    /// Whether the configuration itself refuses devices.
    pub must_restrict: bool,
    /// Whether its network namespace is new, so that its loopback is down.
    pub new_network: bool,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Changes in the container's mount namespace.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inside {
    /// File systems of the kernel's own.
    pub file_systems: Vec<image_layout::Mount>,
    /// Bind mounts over libcontainer's `/dev`.
    pub dev: Vec<image_layout::Mount>,
    /// Mount points and how mounts propagate there, in order.
    pub propagation: Vec<(PathBuf, Vec<MsFlags>)>,
    /// The flags of `/dev`, when it is read-only.
    pub read_only_dev: Option<MsFlags>,
}

impl Inside {
    /// Whether there is nothing to change.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Divides `spec` of container `id`, whose bundle is at `bundle`.
pub fn derive(
    mut spec: Spec,
    id: &str,
    bundle: &Path,
    machine: Machine<'_>,
) -> Result<Derived, RuntimeError> {
    refuse::unsupported(&spec)?;
    let mut warnings = Vec::new();
    let mut linux = spec.linux().clone().unwrap_or_default();
    if spec.linux().is_none() {
        // oci-spec's default is a whole example; nothing means nothing.
        linux = oci_spec::runtime::LinuxBuilder::default()
            .namespaces(Vec::new())
            .masked_paths(Vec::new())
            .readonly_paths(Vec::new())
            .build()
            .map_err(|error| RuntimeError::Unsupported(error.to_string()))?;
    }
    if linux.cgroups_path().as_ref().is_none_or(|path| path.as_os_str().is_empty()) {
        linux.set_cgroups_path(Some(Path::new("/").join(id)));
    }
    linux.set_namespaces(Some(namespaces(linux.namespaces().clone().unwrap_or_default())));
    if let Some(propagation) = linux.rootfs_propagation() {
        linux.set_rootfs_propagation(propagation_name(propagation)?);
    }
    let new_network = linux
        .namespaces()
        .iter()
        .flatten()
        .any(|ns| ns.typ() == LinuxNamespaceType::Network && ns.path().is_none());
    let configured = linux.resources().as_ref().and_then(|resources| resources.devices().clone());
    let configured = configured.unwrap_or_default();
    let must_restrict = machine.unified && configured.iter().any(|rule| !rule.allow());
    let devices = if machine.unified { Some(devices::rules(&configured)?) } else { None };
    if machine.unified {
        warnings.extend(refuse::without_version_1(&linux));
    }
    let shared_root = linux.rootfs_propagation().as_deref() == Some("shared");
    spec.set_linux(Some(linux));

    if let Some(process) = spec.process_mut() {
        normalise_process(process, machine);
    }
    mounts::resolve_sources(&mut spec, bundle, machine, &mut warnings)?;
    let dev = bound_dev::take(&mut spec);
    let inside = Inside {
        dev,
        propagation: mounts::propagation(&spec, shared_root),
        read_only_dev: mounts::read_only_dev(&spec),
        file_systems: late::take(&mut spec, machine),
    };
    Ok(Derived { spec, inside, devices, must_restrict, new_network, warnings })
}

/// Puts into a process what runc would take for granted, and libcontainer would not.
pub fn normalise_process(process: &mut Process, machine: Machine<'_>) {
    process.set_capabilities(Some(whole(process.capabilities().as_ref())));
    if process.no_new_privileges() == Some(false) {
        // libcontainer takes an answer for a yes when it decides when to load a seccomp filter.
        process.set_no_new_privileges(None);
    }
    if process.oom_score_adj().is_none() {
        // Not that of whoever creates the container.
        process.set_oom_score_adj(Some(0));
    }
    let uid = process.user().uid();
    let env = process.env_mut().get_or_insert_default();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        // libcontainer would ask the C library, which in a static binary loads modules from the container.
        let home = (machine.home)(uid).unwrap_or_else(|| "/".to_owned());
        env.push(format!("HOME={home}"));
    }
}

/// All five sets: one that is missing is empty, where libcontainer would leave it as it is.
fn whole(given: Option<&LinuxCapabilities>) -> LinuxCapabilities {
    let set =
        |get: fn(&LinuxCapabilities) -> &Option<Capabilities>| given.and_then(|given| get(given).clone());
    let mut whole = LinuxCapabilities::default();
    whole
        .set_bounding(Some(set(LinuxCapabilities::bounding).unwrap_or_default()))
        .set_effective(Some(set(LinuxCapabilities::effective).unwrap_or_default()))
        .set_permitted(Some(set(LinuxCapabilities::permitted).unwrap_or_default()))
        .set_inheritable(Some(set(LinuxCapabilities::inheritable).unwrap_or_default()))
        .set_ambient(Some(set(LinuxCapabilities::ambient).unwrap_or_default()));
    whole
}

/// An empty path is none.
fn namespaces(namespaces: Vec<LinuxNamespace>) -> Vec<LinuxNamespace> {
    let mut namespaces = namespaces;
    for namespace in &mut namespaces {
        if namespace.path().as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            namespace.set_path(None);
        }
    }
    namespaces
}

/// runc takes both spellings; libcontainer the short ones, which it applies to all mounts anyway.
fn propagation_name(name: &str) -> Result<Option<String>, RuntimeError> {
    Ok(match name {
        "" => None,
        "shared" | "rshared" => Some("shared".to_owned()),
        "slave" | "rslave" => Some("slave".to_owned()),
        "private" | "rprivate" => Some("private".to_owned()),
        "unbindable" | "runbindable" => Some("unbindable".to_owned()),
        other => {
            return Err(RuntimeError::Unsupported(format!(
                "linux.rootfsPropagation cannot be {other:?}: it must be shared, slave, private or unbindable"
            )));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Spec {
        serde_json::from_str(text).unwrap()
    }

    fn machine() -> Machine<'static> {
        Machine {
            exists: &|path| !path.starts_with("/missing"),
            home: &|uid| (uid == 5).then(|| "/home/five".to_owned()),
            unified: true,
        }
    }

    fn derived(text: &str) -> Derived {
        derive(spec(text), "a", Path::new("/c/a"), machine()).unwrap()
    }

    fn refused(text: &str) -> String {
        derive(spec(text), "a", Path::new("/c/a"), machine()).unwrap_err().to_string()
    }

    /// What LinuxKit's builder writes when nothing is asked for.
    const PLAIN: &str = r#"{"ociVersion":"1.2.1","root":{"path":"rootfs"},
        "process":{"user":{"uid":0,"gid":0},"args":["/a"],"cwd":"/","capabilities":{}},
        "linux":{"resources":{},"namespaces":[{"type":"network","path":""},{"type":"mount"}]}}"#;

    #[test]
    fn capabilities_that_are_not_given_are_none() {
        for text in [PLAIN, &PLAIN.replace(r#","capabilities":{}"#, "")] {
            let derived = derived(text);
            let capabilities = derived.spec.process().as_ref().unwrap().capabilities().clone().unwrap();
            for set in [
                capabilities.bounding(),
                capabilities.effective(),
                capabilities.permitted(),
                capabilities.inheritable(),
                capabilities.ambient(),
            ] {
                assert_eq!(set, &Some(Capabilities::default()), "{text}");
            }
        }
    }

    #[test]
    fn ambient_capabilities_are_kept() {
        let text = PLAIN.replace(
            r#""capabilities":{}"#,
            r#""capabilities":{"ambient":["CAP_NET_RAW"],"permitted":["CAP_NET_RAW","CAP_KILL"]}"#,
        );
        let derived = derived(&text);
        let capabilities = derived.spec.process().as_ref().unwrap().capabilities().clone().unwrap();
        assert_eq!(capabilities.ambient().as_ref().unwrap().len(), 1);
        assert_eq!(capabilities.permitted().as_ref().unwrap().len(), 2);
        assert!(capabilities.effective().as_ref().unwrap().is_empty());
    }

    #[test]
    fn a_container_has_a_cgroup_of_its_own_name_when_none_is_asked_for() {
        let linux = |text: &str| derived(text).spec.linux().clone().unwrap();
        assert_eq!(linux(PLAIN).cgroups_path().as_deref(), Some(Path::new("/a")));
        let asked = PLAIN.replace(r#""resources""#, r#""cgroupsPath":"/podruntime/x","resources""#);
        assert_eq!(linux(&asked).cgroups_path().as_deref(), Some(Path::new("/podruntime/x")));
    }

    #[test]
    fn an_empty_namespace_path_is_a_new_namespace() {
        let derived = derived(PLAIN);
        assert!(derived.new_network);
        assert!(
            derived
                .spec
                .linux()
                .as_ref()
                .unwrap()
                .namespaces()
                .as_ref()
                .unwrap()
                .iter()
                .all(|ns| ns.path().is_none())
        );
        let joined = PLAIN.replace(r#""path":"""#, r#""path":"/run/netns/x""#);
        assert!(!super::derive(spec(&joined), "a", Path::new("/c/a"), machine()).unwrap().new_network);
    }

    #[test]
    fn without_a_linux_part_nothing_is_isolated() {
        let text = r#"{"ociVersion":"1.2.1","root":{"path":"rootfs"},
            "process":{"user":{"uid":0,"gid":0},"args":["/a"],"cwd":"/"}}"#;
        let linux = derived(text).spec.linux().clone().unwrap();
        assert_eq!(linux.namespaces().as_deref(), Some([].as_slice()));
        assert_eq!(linux.masked_paths().as_deref(), Some([].as_slice()));
    }

    #[test]
    fn home_is_looked_up_only_when_it_is_not_given() {
        let env = |text: &str| derived(text).spec.process().as_ref().unwrap().env().clone().unwrap();
        assert_eq!(env(PLAIN), ["HOME=/"]);
        assert_eq!(env(&PLAIN.replace(r#""uid":0"#, r#""uid":5"#)), ["HOME=/home/five"]);
        assert_eq!(env(&PLAIN.replace(r#""cwd""#, r#""env":["HOME=/x"],"cwd""#)), ["HOME=/x"]);
    }

    #[test]
    fn devices_are_restricted_by_us_where_cgroups_have_no_file_for_it() {
        assert!(derived(PLAIN).devices.is_some());
        assert!(!derived(PLAIN).must_restrict);
        let denied =
            PLAIN.replace(r#""resources":{}"#, r#""resources":{"devices":[{"allow":false,"access":"rwm"}]}"#);
        assert!(derived(&denied).must_restrict);
        let version_1 = Machine { unified: false, ..machine() };
        assert_eq!(derive(spec(&denied), "a", Path::new("/c/a"), version_1).unwrap().devices, None);
    }

    #[test]
    fn propagation_has_two_spellings() {
        let text = |value: &str| {
            PLAIN.replace(r#""resources""#, &format!(r#""rootfsPropagation":"{value}","resources""#))
        };
        let got = |value: &str| derived(&text(value)).spec.linux().clone().unwrap();
        assert_eq!(got("rshared").rootfs_propagation().as_deref(), Some("shared"));
        assert_eq!(got("").rootfs_propagation().as_deref(), None);
        assert!(refused(&text("common")).contains("rootfsPropagation cannot be \"common\""));
    }

    #[test]
    fn what_nobody_does_is_refused() {
        let cases = [
            (r#""cwd":"/""#, r#""cwd":"/","selinuxLabel":"x""#, "selinuxLabel"),
            (r#""resources":{}"#, r#""resources":{},"mountLabel":"x""#, "mountLabel"),
            (r#""resources":{}"#, r#""resources":{"rdma":{"mlx5":{"hcaHandles":1}}}"#, "rdma"),
        ];
        for (from, to, field) in cases {
            let error = refused(&PLAIN.replace(from, to));
            assert!(error.contains(field), "{error}");
        }
    }

    #[test]
    fn limits_that_version_2_does_not_have_are_told() {
        let text = PLAIN.replace(
            r#""resources":{}"#,
            r#""resources":{"memory":{"limit":1048576,"swappiness":10},"network":{"classID":5}}"#,
        );
        let warnings = derived(&text).warnings;
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("memory.swappiness"), "{warnings:?}");
        let version_1 = Machine { unified: false, ..machine() };
        assert!(derive(spec(&text), "a", Path::new("/c/a"), version_1).unwrap().warnings.is_empty());
    }
}
