//! From `runtime.json` to the list of things to do, in order.

use std::path::{Component, Path, PathBuf};

use image_layout::{Mount, Runtime};
use nix::mount::MsFlags;

use super::options::{self, OptionError, Options};

/// One thing to do on the host before a container is created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make directories (0755), then the calls of mount(2), all on one target.
    Mount {
        /// Overlay's upper and work directories.
        dirs: Vec<PathBuf>,
        /// Where.
        target: Target,
        /// mount(2), once or more.
        calls: Vec<Call>,
    },
    /// Make a directory and its parents, 0755.
    Directory(PathBuf),
    /// Make a cgroup, relative to the cgroup mount.
    Cgroup(PathBuf),
}

/// A mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// On the host.
    Host(PathBuf),
    /// Below the container's root filesystem; never followed out of it.
    Rootfs(PathBuf),
}

/// The arguments of one mount(2), without the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Device, directory, or nothing.
    pub source: Option<String>,
    /// File system type.
    pub kind: Option<String>,
    /// `MS_*`.
    pub flags: MsFlags,
    /// Options for the file system.
    pub data: Option<String>,
}

impl Call {
    /// Whether this call puts something on the target, as opposed to changing what is there.
    #[must_use]
    pub fn stacks(&self) -> bool {
        let changes = MsFlags::MS_REMOUNT | PROPAGATION;
        !self.flags.intersects(changes)
    }

    /// A bind mount of `source`.
    #[must_use]
    pub fn bind(source: &str) -> Self {
        Self { source: Some(source.to_owned()), kind: None, flags: MsFlags::MS_BIND, data: None }
    }

    /// What a message calls this mount: its type, its source, or the change it makes.
    #[must_use]
    pub fn what(&self) -> String {
        match (&self.kind, &self.source) {
            (Some(kind), Some(source)) if kind != source => format!("{source} ({kind})"),
            (Some(kind), _) => kind.clone(),
            (None, Some(source)) => source.clone(),
            (None, None) if self.flags.contains(MsFlags::MS_REMOUNT) => "new flags".to_owned(),
            (None, None) => "a propagation change".to_owned(),
        }
    }
}

/// The flags that change how mounts propagate.
pub(super) const PROPAGATION: MsFlags =
    MsFlags::MS_PRIVATE.union(MsFlags::MS_SHARED).union(MsFlags::MS_SLAVE).union(MsFlags::MS_UNBINDABLE);

/// Why `runtime.json` asks for something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A mount without a mount point.
    #[error("a mount of {0:?} has no destination")]
    NoDestination(String),
    /// A mount with neither type nor bind nor remount.
    #[error("the mount on {0} has no type")]
    NoType(String),
    /// A bind mount of nothing.
    #[error("the bind mount on {0} has no source")]
    NoSource(String),
    /// Options that mount(2) cannot take.
    #[error("the mount on {destination} has an impossible option")]
    Option {
        /// The mount point.
        destination: String,
        /// What is wrong.
        source: OptionError,
    },
    /// A cgroup that is not below the cgroup mount.
    #[error("cgroup {0:?} is not a path below the cgroup mount")]
    Cgroup(String),
}

/// What must be done for `runtime`: mounts, then directories, then cgroups.
pub fn plan(runtime: &Runtime) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    for mount in &runtime.mounts {
        steps.push(mount_step(mount)?);
    }
    steps.extend(runtime.mkdir.iter().map(|dir| Step::Directory(Path::new("/").join(dir))));
    for path in &runtime.cgroups {
        steps.push(Step::Cgroup(cgroup(path)?));
    }
    Ok(steps)
}

/// Mount points for a container whose root filesystem is read-only: an overlay over `rootfs` that takes up what is made in
/// it until the container's runtime makes it read-only. The files that an image lacks are so made where its
/// configuration mounts something; `scratch` is the container's own directory on a writable file system.
#[must_use]
pub fn mount_points(rootfs: &Path, scratch: &Path) -> Step {
    let [upper, work] = ["upper", "work"].map(|name| scratch.join(name));
    let data =
        format!("lowerdir={},upperdir={},workdir={}", rootfs.display(), upper.display(), work.display());
    let overlay = Call {
        source: Some("overlay".to_owned()),
        kind: Some("overlay".to_owned()),
        flags: MsFlags::empty(),
        data: Some(data),
    };
    Step::Mount { dirs: vec![upper, work], target: Target::Host(rootfs.to_owned()), calls: vec![overlay] }
}

fn mount_step(mount: &Mount) -> Result<Step, PlanError> {
    let destination = &mount.destination;
    if destination.is_empty() {
        return Err(PlanError::NoDestination(mount.source.clone()));
    }
    let options = options::parse(&mount.options)
        .map_err(|source| PlanError::Option { destination: destination.clone(), source })?;
    let target = match Path::new(destination) {
        path if path.is_absolute() => Target::Host(path.to_owned()),
        path => Target::Rootfs(path.to_owned()),
    };
    Ok(Step::Mount { dirs: overlay_dirs(mount), target, calls: calls(mount, options)? })
}

/// The calls that mount(2) needs for what mount(8) writes in one line.
fn calls(mount: &Mount, options: Options) -> Result<Vec<Call>, PlanError> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let change = |flags| Call { source: None, kind: None, flags, data: None };
    let bind = options.bind.or((mount.kind == "bind").then_some(MsFlags::MS_BIND));
    let mut calls = Vec::new();
    if options.remount {
        // `remount` beside nothing but a propagation only asks for the propagation: a remount would reset the flags.
        let nothing_else = options.flags.is_empty() && options.data.is_empty() && bind.is_none();
        if !nothing_else || options.propagation.is_empty() {
            let flags =
                MsFlags::MS_REMOUNT | options.flags | bind.map_or(MsFlags::empty(), |_| MsFlags::MS_BIND);
            calls.push(Call { data: some(&options.data), ..change(flags) });
        }
    } else if let Some(bind) = bind {
        let source = some(&mount.source).ok_or_else(|| PlanError::NoSource(mount.destination.clone()))?;
        calls.push(Call { source: Some(source), ..change(bind) });
        if !options.flags.is_empty() {
            // The kernel ignores all other flags of the call that binds.
            calls.push(change(MsFlags::MS_REMOUNT | MsFlags::MS_BIND | options.flags));
        }
    } else if mount.kind.is_empty() {
        if options.propagation.is_empty() {
            return Err(PlanError::NoType(mount.destination.clone()));
        }
    } else {
        let source = some(&mount.source).unwrap_or_else(|| mount.kind.clone());
        let kind = some(&mount.kind);
        calls.push(Call { source: Some(source), kind, flags: options.flags, data: some(&options.data) });
    }
    calls.extend(options.propagation.into_iter().map(change));
    Ok(calls)
}

fn overlay_dirs(mount: &Mount) -> Vec<PathBuf> {
    if mount.kind != "overlay" {
        return Vec::new();
    }
    let value = |word: &String| {
        word.strip_prefix("upperdir=").or_else(|| word.strip_prefix("workdir=")).map(PathBuf::from)
    };
    mount.options.iter().filter_map(value).collect()
}

fn cgroup(path: &str) -> Result<PathBuf, PlanError> {
    let relative = Path::new(path.trim_start_matches('/'));
    let below = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if below && relative.components().next().is_some() {
        Ok(relative.to_owned())
    } else {
        Err(PlanError::Cgroup(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
        Mount {
            destination: destination.into(),
            kind: kind.into(),
            source: source.into(),
            options: options.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_read_only_root_gets_an_overlay_for_its_mount_points() {
        let step = mount_points(Path::new("/c/a/rootfs"), Path::new("/run/lkb/points/a"));
        let Step::Mount { dirs, target, calls } = step else { panic!("{step:?}") };
        assert_eq!(dirs, [Path::new("/run/lkb/points/a/upper"), Path::new("/run/lkb/points/a/work")]);
        assert_eq!(target, Target::Host("/c/a/rootfs".into()));
        assert_eq!(
            calls[0].data.as_deref(),
            Some("lowerdir=/c/a/rootfs,upperdir=/run/lkb/points/a/upper,workdir=/run/lkb/points/a/work")
        );
    }

    fn calls_of(mount: &Mount) -> Vec<(MsFlags, Option<String>)> {
        match mount_step(mount).unwrap() {
            Step::Mount { calls, .. } => calls.into_iter().map(|call| (call.flags, call.data)).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_writable_container_gets_a_private_tmpfs_and_an_overlay() {
        let runtime = Runtime {
            mounts: vec![
                mount("/c/a/tmp", "tmpfs", "tmpfs", &[]),
                mount("/c/a/tmp", "", "", &["remount", "private"]),
                mount(
                    "/c/a/rootfs",
                    "overlay",
                    "overlay",
                    &["lowerdir=/c/a/lower", "upperdir=/c/a/tmp/upper", "workdir=/c/a/tmp/work"],
                ),
            ],
            ..Runtime::default()
        };
        let steps = plan(&runtime).unwrap();
        assert_eq!(calls_of(&runtime.mounts[1]), [(MsFlags::MS_PRIVATE, None)]);
        let Step::Mount { dirs, target, calls } = &steps[2] else { panic!("{steps:?}") };
        assert_eq!(dirs, &[PathBuf::from("/c/a/tmp/upper"), PathBuf::from("/c/a/tmp/work")]);
        assert_eq!(target, &Target::Host("/c/a/rootfs".into()));
        assert_eq!(
            calls[0].data.as_deref(),
            Some("lowerdir=/c/a/lower,upperdir=/c/a/tmp/upper,workdir=/c/a/tmp/work")
        );
        assert!(calls[0].stacks());
    }

    #[test]
    fn flags_of_a_bind_mount_take_a_second_call() {
        assert_eq!(
            calls_of(&mount("/x", "", "/y", &["bind", "ro", "rshared"])),
            [
                (MsFlags::MS_BIND, None),
                (MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, None),
                (MsFlags::MS_SHARED | MsFlags::MS_REC, None),
            ]
        );
        assert_eq!(calls_of(&mount("/x", "bind", "/y", &[])), [(MsFlags::MS_BIND, None)]);
    }

    #[test]
    fn a_remount_keeps_its_flags_and_data() {
        assert_eq!(
            calls_of(&mount("/x", "", "", &["remount", "ro", "size=1m", "private"])),
            [(MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, Some("size=1m".into())), (MsFlags::MS_PRIVATE, None)]
        );
    }

    #[test]
    fn relative_destinations_are_below_the_rootfs() {
        let step = mount_step(&mount("var/lib", "tmpfs", "", &[])).unwrap();
        assert!(
            matches!(step, Step::Mount { target: Target::Rootfs(path), .. } if path == Path::new("var/lib"))
        );
    }

    #[test]
    fn the_impossible_is_refused() {
        let cases = [
            (mount("", "tmpfs", "t", &[]), PlanError::NoDestination("t".into())),
            (mount("/x", "", "/dev/sda", &["ro"]), PlanError::NoType("/x".into())),
            (mount("/x", "", "", &["bind"]), PlanError::NoSource("/x".into())),
        ];
        for (mount, error) in cases {
            assert_eq!(mount_step(&mount), Err(error));
        }
        for path in ["", "/", "..", "a/../../b"] {
            assert_eq!(cgroup(path), Err(PlanError::Cgroup(path.into())));
        }
        assert_eq!(cgroup("/system/a"), Ok("system/a".into()));
    }

    #[test]
    fn mounts_come_before_directories_and_cgroups() {
        let runtime = Runtime {
            cgroups: vec!["podruntime".into()],
            mkdir: vec!["/var/lib/x".into(), "rel".into()],
            mounts: vec![mount("/m", "tmpfs", "", &[])],
            ..Runtime::default()
        };
        let steps = plan(&runtime).unwrap();
        assert!(matches!(steps[0], Step::Mount { .. }));
        assert_eq!(steps[1..3], [Step::Directory("/var/lib/x".into()), Step::Directory("/rel".into())]);
        assert_eq!(steps[3], Step::Cgroup("podruntime".into()));
    }
}
