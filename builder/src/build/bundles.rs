//! Containers: the image's files, `config.json` and `runtime.json`.

use std::collections::{HashMap, HashSet};

use crate::config::{Config, Container, Volume};
use crate::image::{Digest, Image};
use crate::spec::{self, Ids, ImageInfo, Profile, Section};
use crate::tree::{Location, Node, Tree};

use super::furnish::{self, Role};
use super::images::Images;
use super::{BuildError, origin};

/// Largest `/etc/passwd` and `/etc/group` that a USER is looked up in, in bytes.
const MAX_ACCOUNTS: u64 = 4 << 20;

/// Lays out containers, one after another; those of the same image share its files.
pub(super) struct Bundles<'a> {
    images: &'a Images<'a>,
    ids: Ids,
    volumes: &'a [Volume],
    profile: Profile,
    /// Images of more than one container.
    shared: HashSet<Digest>,
    laid_out: HashMap<Digest, LaidOut>,
}

/// What later containers of the same image need.
struct LaidOut {
    /// Where the image's files are in the machine.
    files: String,
    passwd: Option<String>,
    group: Option<String>,
}

impl<'a> Bundles<'a> {
    pub(super) fn new(config: &'a Config, images: &'a Images<'a>, profile: Profile) -> Self {
        let volumes = &config.volumes;
        let mut seen = HashSet::new();
        let shared = config.containers().map(|container| images.get(&container.image).digest);
        let shared = shared.filter(|digest| !seen.insert(*digest)).collect();
        Self { images, ids: Ids::assign(config), volumes, profile, shared, laid_out: HashMap::new() }
    }

    /// Lays out one container at `dir`, which is relative.
    pub(super) fn add(
        &mut self,
        root: &mut Tree,
        container: &Container,
        dir: &str,
        location: Location,
    ) -> Result<(), BuildError> {
        let image = self.images.get(&container.image);
        let origin = origin(location, image);
        let failed = |source| BuildError::Tree { origin: origin.to_string(), source };
        let at = |part: &str| format!("{dir}/{part}").into_bytes();
        let absolute = format!("/{dir}");

        let mut tree = None;
        let mut own = None;
        let (passwd, group) = match self.laid_out.get(&image.digest) {
            Some(first) => (first.passwd.clone(), first.group.clone()),
            None => {
                let unpacked = self.images.unpack(image, &origin)?;
                let accounts = (text(&unpacked, image, "etc/passwd")?, text(&unpacked, image, "etc/group")?);
                tree = Some(unpacked);
                own = Some(accounts.clone());
                accounts
            }
        };
        let info = ImageInfo {
            config: &image.config,
            healthcheck: image.healthcheck.as_ref(),
            passwd: passwd.as_deref(),
            group: group.as_deref(),
        };
        let section = match location {
            Location::Onboot(_) => Section::Onboot,
            Location::Onshutdown(_) => Section::Onshutdown,
            _ => Section::Services,
        };
        let bundle = spec::bundle(container, &info, &self.ids, self.volumes, section, self.profile)?;
        let files = match self.laid_out.get(&image.digest) {
            Some(first) => first.files.clone(),
            None => bundle.files_dir(&absolute, self.shared.contains(&image.digest)),
        };
        if let (Some(mut tree), Some((passwd, group))) = (tree, own) {
            furnish::strip(&mut tree);
            furnish::furnish(&mut tree, Role::Container, &origin).map_err(failed)?;
            root.graft(files.trim_start_matches('/').as_bytes(), tree, &origin).map_err(failed)?;
            self.laid_out.insert(image.digest, LaidOut { files: files.clone(), passwd, group });
        }
        let runtime = bundle
            .runtime_json(&absolute, &files)
            .map_err(|source| BuildError::Runtime { name: container.name.clone(), source })?;
        root.ensure_directory(&at(image_layout::ROOTFS), &origin).map_err(failed)?;
        if !bundle.readonly {
            root.ensure_directory(&at(image_layout::TMP), &origin).map_err(failed)?;
        }
        for (name, json) in [(image_layout::CONFIG, bundle.config_json), (image_layout::RUNTIME, runtime)] {
            root.insert(&at(name), Node::file(json.into_bytes(), 0o644, &origin)).map_err(failed)?;
        }
        Ok(())
    }
}

fn text(tree: &Tree, image: &Image, path: &str) -> Result<Option<String>, BuildError> {
    let Some(content) = tree.file(path.as_bytes()) else { return Ok(None) };
    let bytes = content.read_all(MAX_ACCOUNTS).map_err(|source| BuildError::Read {
        image: image.reference.to_string(),
        path: format!("/{path}"),
        source,
    })?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}
