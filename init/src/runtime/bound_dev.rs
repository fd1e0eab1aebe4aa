//! Containers whose `/dev` is the host's, or another bind mount.
//!
//! libcontainer makes device nodes and links in whatever is mounted on `/dev`, and fails where they exist: on the
//! host's `/dev` they all do. So it gets a tmpfs to make them in, which is covered when libcontainer is done.

use std::path::Path;

use image_layout::Mount;
use oci_spec::runtime::{MountBuilder, Spec};

const DEV: &str = "/dev";

/// Takes the bind mount on `/dev` and those below it out of `spec`, and returns them, relative to the root filesystem.
///
/// Other mounts below `/dev` are left out: what is bound brings its own. Empty when `/dev` is not a bind mount.
pub fn take(spec: &mut Spec) -> Vec<Mount> {
    let mounts = spec.mounts().clone().unwrap_or_default();
    let is_bind = |mount: &oci_spec::runtime::Mount| {
        let options = mount.options().as_deref().unwrap_or_default();
        mount.typ().as_deref() == Some("bind") || options.iter().any(|o| o == "bind" || o == "rbind")
    };
    if !mounts.iter().any(|mount| mount.destination() == Path::new(DEV) && is_bind(mount)) {
        return Vec::new();
    }
    let (below, mut kept): (Vec<_>, Vec<_>) =
        mounts.into_iter().partition(|mount| mount.destination().starts_with(DEV));
    let tmpfs = MountBuilder::default()
        .destination(DEV)
        .typ("tmpfs")
        .source("tmpfs")
        .options(["nosuid", "strictatime", "mode=755", "size=65536k"].map(String::from))
        .build();
    kept.extend(tmpfs);
    spec.set_mounts(Some(kept));
    below.iter().filter(|mount| is_bind(mount)).map(relative).collect()
}

fn relative(mount: &oci_spec::runtime::Mount) -> Mount {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Mount {
        destination: text(mount.destination()).trim_start_matches('/').to_owned(),
        kind: "bind".to_owned(),
        source: mount.source().as_deref().map(text).unwrap_or_default(),
        options: mount.options().clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(mounts: &str) -> Spec {
        serde_json::from_str(&format!(
            r#"{{"ociVersion":"1.2.1","root":{{"path":"rootfs"}},"mounts":{mounts}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn a_bound_dev_is_taken_out_with_what_is_below_it() {
        let mut spec = spec(
            r#"[{"destination":"/dev","type":"bind","source":"/dev","options":["rw","rbind","rshared"]},
                {"destination":"/dev/pts","type":"devpts","source":"devpts"},
                {"destination":"/dev/x","type":"bind","source":"/x","options":["bind"]},
                {"destination":"/proc","type":"proc","source":"proc"}]"#,
        );
        let taken = take(&mut spec);
        let destinations: Vec<_> = taken.iter().map(|mount| mount.destination.as_str()).collect();
        assert_eq!(destinations, ["dev", "dev/x"]);
        assert_eq!(taken[0].options, ["rw", "rbind", "rshared"]);
        let left: Vec<_> = spec.mounts().as_ref().unwrap().iter().map(|m| m.destination().clone()).collect();
        assert_eq!(left, [Path::new("/proc"), Path::new("/dev")]);
    }

    #[test]
    fn a_dev_of_its_own_stays() {
        let text = r#"[{"destination":"/dev","type":"tmpfs","source":"tmpfs"}]"#;
        let mut spec = spec(text);
        let before = spec.clone();
        assert!(take(&mut spec).is_empty());
        assert_eq!(spec, before);
    }
}
