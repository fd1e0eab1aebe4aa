//! `runtime.json`: what init prepares around a container.

use image_layout::{BindNamespaces, Mount, Runtime};

use super::Bundle;
use super::layers::Layers;
use crate::config::{self, RuntimeOverrides};

/// The user's part: each field of the YAML, or else of the label; of `bindNS`, each namespace by itself.
pub(super) fn runtime(layers: Layers<'_>) -> Runtime {
    let none = RuntimeOverrides::default();
    let yaml = layers.yaml.runtime.as_ref().unwrap_or(&none);
    let label = layers.label.runtime.as_ref().unwrap_or(&none);
    let no_paths = config::BindNamespaces::default();
    let yaml_ns = yaml.bind_ns.as_ref().unwrap_or(&no_paths);
    let label_ns = label.bind_ns.as_ref().unwrap_or(&no_paths);
    Runtime {
        cgroups: over(&yaml.cgroups, &label.cgroups),
        mounts: over(&yaml.mounts, &label.mounts),
        mkdir: over(&yaml.mkdir, &label.mkdir),
        interfaces: over(&yaml.interfaces, &label.interfaces),
        bind_ns: BindNamespaces {
            cgroup: over(&yaml_ns.cgroup, &label_ns.cgroup),
            ipc: over(&yaml_ns.ipc, &label_ns.ipc),
            mnt: over(&yaml_ns.mnt, &label_ns.mnt),
            net: over(&yaml_ns.net, &label_ns.net),
            pid: over(&yaml_ns.pid, &label_ns.pid),
            user: over(&yaml_ns.user, &label_ns.user),
            uts: over(&yaml_ns.uts, &label_ns.uts),
        },
        namespace: over(&yaml.namespace, &label.namespace),
        ..Runtime::default()
    }
}

fn over<T: Clone + Default>(yaml: &Option<T>, label: &Option<T>) -> T {
    yaml.as_ref().or(label.as_ref()).cloned().unwrap_or_default()
}

impl Bundle {
    /// Where this container keeps its image's files when it does not share another's: `DIR/lower`, or
    /// `DIR/rootfs` of a read-only one that shares them with nobody. On `DIR/rootfs` there are mounts, which others would get with
    /// the files.
    #[must_use]
    pub fn files_dir(&self, dir: &str, is_shared: bool) -> String {
        let part = if self.readonly && !is_shared { image_layout::ROOTFS } else { image_layout::LOWER };
        format!("{dir}/{part}")
    }

    /// The whole `runtime.json` for a bundle in `dir`, such as `/containers/onboot/000-x`.
    ///
    /// `files` is the [`Bundle::files_dir`] of the first container with the same image, which may be this one.
    /// The mounts that make the root filesystem come first: an overlay on a tmpfs, or a read-only container's
    /// bind of the image's files on `rootfs`.
    ///
    /// # Errors
    /// When the writer of JSON fails, which no bundle brings about.
    pub fn runtime_json(&self, dir: &str, files: &str) -> Result<String, super::Fault> {
        let rootfs = format!("{dir}/{}", image_layout::ROOTFS);
        let mut mounts = if self.readonly {
            // The machine's root is shared. This mount is not to be: what init mounts on it would be mounted on the files, too, and
            // on every other bind of them.
            vec![mount(&rootfs, "", files, &["bind".to_owned(), "private".to_owned()])]
        } else {
            let tmp = format!("{dir}/{}", image_layout::TMP);
            let (upper, work) = (format!("upperdir={tmp}/upper"), format!("workdir={tmp}/work"));
            vec![
                mount(&tmp, "tmpfs", "tmpfs", &[]),
                // The machine's root is shared; this mount is not to be.
                mount(&tmp, "", "", &["remount".to_owned(), "private".to_owned()]),
                mount(&rootfs, "overlay", "overlay", &[format!("lowerdir={files}"), upper, work]),
            ]
        };
        mounts.extend(self.runtime.mounts.iter().cloned());
        super::json(&Runtime { mounts, ..self.runtime.clone() })
    }
}

fn mount(destination: &str, kind: &str, source: &str, options: &[String]) -> Mount {
    Mount {
        destination: destination.to_owned(),
        kind: kind.to_owned(),
        source: source.to_owned(),
        options: options.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::spec::Profile;

    #[test]
    fn each_field_and_each_namespace_is_taken_by_itself() {
        let yaml = Overrides::from_label(
            r#"{"runtime":{"mkdir":["/y"],"cgroups":[],"bindNS":{"net":"/y"},"interfaces":[{"name":"eth0"}]}}"#,
        );
        let label = Overrides::from_label(
            r#"{"runtime":{"mkdir":["/l"],"cgroups":["l"],"namespace":"l","bindNS":{"net":"/l","pid":"/l"}}}"#,
        );
        let made = runtime(Layers { yaml: &yaml.unwrap(), label: &label.unwrap(), profile: Profile::Compat });
        assert_eq!(made.mkdir, ["/y"]);
        assert!(made.cgroups.is_empty());
        assert_eq!(made.namespace, "l");
        assert_eq!((made.bind_ns.net.as_str(), made.bind_ns.pid.as_str()), ("/y", "/l"));
        assert_eq!(made.interfaces[0].name, "eth0");
    }

    #[test]
    fn a_root_filesystem_is_made_of_its_own_or_of_shared_files() {
        let bundle = |readonly| Bundle { config_json: String::new(), runtime: Runtime::default(), readonly };
        let sources = |readonly, files: &str| -> Vec<String> {
            let json = bundle(readonly).runtime_json("/c/x", files).unwrap();
            let read: Runtime = serde_json::from_str(&json).unwrap();
            read.mounts
                .iter()
                .map(|m| format!("{} {} {}", m.destination, m.source, m.options.join(",")))
                .collect()
        };
        let overlay = |lower: &str| {
            vec![
                "/c/x/tmp tmpfs ".to_owned(),
                "/c/x/tmp  remount,private".to_owned(),
                format!("/c/x/rootfs overlay lowerdir={lower},upperdir=/c/x/tmp/upper,workdir=/c/x/tmp/work"),
            ]
        };
        for files in ["/c/x/lower", "/c/first/lower"] {
            assert_eq!(sources(false, files), overlay(files));
        }
        for files in ["/c/x/rootfs", "/c/first/lower"] {
            assert_eq!(sources(true, files), [format!("/c/x/rootfs {files} bind,private")]);
        }
        for (readonly, is_shared, files) in
            [(false, false, "lower"), (false, true, "lower"), (true, false, "rootfs"), (true, true, "lower")]
        {
            assert_eq!(bundle(readonly).files_dir("/c/x", is_shared), format!("/c/x/{files}"));
        }
    }
}
