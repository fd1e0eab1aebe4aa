//! The storage that packages are built in: a part of buildah's own that only lkb uses.
//!
//! ```text
//! GRAPHROOT/                images that a FROM finds: buildah's own storage, which is only read
//! GRAPHROOT/lkb/            what builds make: steps, images, containers
//! GRAPHROOT/lkb-ARCH/       the same for another architecture, whose steps buildah would not tell from this machine's
//! GRAPHROOT/lkb/lkb.lock    shared by builds, exclusive for who removes what none of them uses
//! GRAPHROOT/lkb/used/NAME   the images that the newest build of a package has made or used (`used.rs`)
//! ```
//!
//! buildah commits every step of every stage as an image without a name, and vfs keeps a whole copy of the root filesystem of
//! each. So that this does not grow without bound, what the newest build of each package has not used is removed after a
//! build, by the last of those that build at the same time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::BUILDAH;
use super::used::{self, Used};
use crate::image::Reference;
use crate::pkg::PkgError;

/// vfs works on every file system and needs no privileges of its own.
const DRIVER: [&str; 2] = ["--storage-driver", "vfs"];
/// The directory's name in buildah's storage.
const NAME: &str = "lkb";
const LOCK: &str = "lkb.lock";
const USED: &str = "used";

/// buildah in its own storage.
pub fn own() -> Command {
    let mut command = Command::new("buildah");
    // It asks no registry, and yet would miss the file of logins there.
    command.env_remove("DOCKER_CONFIG").args(DRIVER).stdin(Stdio::null());
    command
}

/// The storage, which nobody takes anything from while this lives.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// buildah's own storage.
    bases: PathBuf,
    lock: File,
    is_foreign: bool,
}

impl Store {
    /// Opens that for this machine, or for a foreign architecture, and makes it when it is not there.
    pub fn open(foreign: Option<&str>) -> Result<Self, PkgError> {
        let mut info = own();
        info.args(["info", "--format", "{{.store.GraphRoot}}"]);
        let bases = PathBuf::from(BUILDAH.answer(info, "asking buildah where its storage is")?);
        let root = bases.join(foreign.map_or_else(|| NAME.into(), |arch| format!("{NAME}-{arch}")));
        fs::create_dir_all(root.join(USED)).map_err(PkgError::io("making", &root))?;
        let path = root.join(LOCK);
        OpenOptions::new().append(true).create(true).open(&path).map_err(PkgError::io("making", &path))?;
        let lock = File::open(&path).map_err(PkgError::io("opening", &path))?;
        lock.lock_shared().map_err(PkgError::io("locking", &path))?;
        let store = Self { root, bases, lock, is_foreign: foreign.is_some() };
        if let Err(error) = store.images() {
            store.start_anew(&error)?;
        }
        Ok(store)
    }

    /// Whether it is not for this machine.
    pub fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// buildah in this storage. The lock is its standard input, which is empty: so it is held for as long as buildah runs, even
    /// if we are killed.
    pub fn buildah(&self) -> Result<Command, PkgError> {
        self.arguments(Command::new("buildah"))
    }

    /// buildah's chroot isolation shares the network of the process: here, a namespace with nothing in it.
    pub fn without_network(&self) -> Result<Command, PkgError> {
        let mut command = Command::new("unshare");
        command.args(["--net", "buildah"]);
        self.arguments(command)
    }

    fn arguments(&self, mut command: Command) -> Result<Command, PkgError> {
        let lock = self.lock.try_clone().map_err(PkgError::io("duplicating", self.root.join(LOCK)))?;
        command.stdin(lock).args(DRIVER);
        // It asks no registry, and yet would miss the file of logins there.
        command.env_remove("DOCKER_CONFIG");
        command.arg("--root").arg(&self.root).arg("--runroot").arg(self.root.join("run"));
        command.arg("--storage-opt").arg(format!("vfs.imagestore={}", self.bases.display()));
        Ok(command)
    }

    /// Puts an image from an OCI layout where a `FROM` finds it, and returns its id.
    pub fn pull(&self, layout: &Path, reference: &Reference, arch: &str) -> Result<String, PkgError> {
        let mut pull = self.buildah()?;
        // It makes a name of the path, which may not have capitals.
        let name = layout.file_name().unwrap_or_default().to_string_lossy();
        pull.current_dir(layout.parent().unwrap_or(Path::new("/")));
        pull.args(["pull", "--quiet", "--arch", arch]).arg(format!("oci:{name}:{reference}"));
        BUILDAH.answer(pull, &format!("handing {reference} to buildah"))
    }

    /// Gives an image the name by which a `FROM` asks for it.
    pub fn name(&self, image: &str, reference: &Reference) -> Result<(), PkgError> {
        // What is asked for by a digest must have some tag of that repository to be found.
        let digest = reference.digest().map(|digest| digest.hex()).unwrap_or_default();
        let tag = reference.tag().unwrap_or(&digest);
        let mut command = self.buildah()?;
        command.args(["tag", image]).arg(format!("{}:{tag}", reference.name()));
        BUILDAH.answer(command, &format!("naming {reference} for buildah")).map(drop)
    }

    /// Whether a `FROM` finds an image.
    pub fn has(&self, reference: &Reference) -> Result<bool, PkgError> {
        let mut inspect = self.buildah()?;
        inspect.args(["inspect", "--type", "image"]).arg(reference.to_string());
        BUILDAH.succeeds(inspect, &format!("looking for {reference}"))
    }

    /// How many bytes the storage takes.
    pub fn size(&self) -> Result<u64, PkgError> {
        let (mut bytes, mut open) = (0, vec![self.root.clone()]);
        while let Some(dir) = open.pop() {
            for entry in fs::read_dir(&dir).map_err(PkgError::io("reading", &dir))? {
                let entry = entry.map_err(PkgError::io("reading", &dir))?;
                let metadata = entry.metadata().map_err(PkgError::io("looking at", entry.path()))?;
                match metadata.is_dir() {
                    true => open.push(entry.path()),
                    false => bytes += metadata.len(),
                }
            }
        }
        Ok(bytes)
    }

    /// Removes everything, when nobody builds any more.
    pub fn empty(&self) -> Result<(), PkgError> {
        let path = self.root.join(LOCK);
        self.lock.lock().map_err(PkgError::io("locking", &path))?;
        let notes = self.root.join(USED);
        fs::remove_dir_all(&notes).map_err(PkgError::io("removing", &notes))?;
        fs::create_dir_all(&notes).map_err(PkgError::io("making", &notes))?;
        let mut containers = self.buildah()?;
        containers.args(["rm", "--all"]);
        BUILDAH.answer(containers, "removing the containers of killed builds")?;
        self.remove_all_but(&Used::default())?;
        self.lock.lock_shared().map_err(PkgError::io("locking", &path))
    }

    /// Notes what a build of `reference` has used, and removes what no build has.
    pub fn tidy(&self, reference: &str, used: &Used, succeeded: bool) -> Result<(), PkgError> {
        let notes = self.root.join(USED);
        used.note(&notes, reference, succeeded)?;
        match self.lock.try_lock() {
            Ok(()) => {}
            // Somebody builds, and tidies up when that is done.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => {
                return Err(PkgError::io("locking", self.root.join(LOCK))(error));
            }
        }
        // Nobody builds, so these are what killed builds left.
        let mut containers = self.buildah()?;
        containers.args(["rm", "--all"]);
        BUILDAH.answer(containers, "removing the containers of killed builds")?;
        self.remove_all_but(&used::noted(&notes)?)
    }

    fn remove_all_but(&self, used: &Used) -> Result<(), PkgError> {
        let mut stale = used.missing_of(self.images()?);
        while !stale.is_empty() {
            let mut remove = self.buildah()?;
            remove.args(["rmi", "--force"]).args(&stale);
            let doing = "removing what no build uses";
            let out = remove.output().map_err(|error| BUILDAH.missing(doing, &error))?;
            let left = used.missing_of(self.images()?);
            // It removes a step with the last one above it, and then does not find it any more, which it calls an error.
            if left.len() >= stale.len() {
                return Err(BUILDAH.failed(doing, out.status, &out.stderr));
            }
            stale = left;
        }
        Ok(())
    }

    /// The ids of all images in here, named or not.
    fn images(&self) -> Result<Vec<String>, PkgError> {
        let mut list = self.buildah()?;
        list.args(["images", "--all", "--quiet", "--no-trunc", "--filter", "readonly=false"]);
        let text = BUILDAH.answer(list, &format!("listing the images in {}", self.root.display()))?;
        Ok(text.lines().map(|id| id.trim_start_matches("sha256:").to_owned()).collect())
    }

    /// Empties a storage that buildah cannot read any more: it has steps upon an image that was removed from buildah's own.
    fn start_anew(&self, error: &PkgError) -> Result<(), PkgError> {
        let path = self.root.join(LOCK);
        self.lock.lock().map_err(PkgError::io("locking", &path))?;
        // Another build may have done it while this one waited.
        if self.images().is_err() {
            eprintln!(
                "lkb: {error}\nlkb: nothing but layers that can be built again was in there: starting anew"
            );
            let entries = fs::read_dir(&self.root).map_err(PkgError::io("reading", &self.root))?;
            for entry in entries {
                let entry = entry.map_err(PkgError::io("reading", &self.root))?;
                let (name, path) = (entry.file_name(), entry.path());
                let kind = entry.file_type().map_err(PkgError::io("looking at", &path))?;
                match kind.is_dir() {
                    _ if name == LOCK => Ok(()),
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                }
                .map_err(PkgError::io("removing", &path))?;
            }
            let notes = self.root.join(USED);
            fs::create_dir_all(&notes).map_err(PkgError::io("making", &notes))?;
            self.images()?;
        }
        self.lock.lock_shared().map_err(PkgError::io("locking", &path))
    }
}
