//! Which machine builds for which architecture.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name of the builder that lkb makes in BuildKit's command line, where it has to make one.
pub const DEFAULT_NAME: &str = "lkb-builder";

/// Who builds for which architecture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workers {
    /// By architecture, in Go's words.
    by_arch: BTreeMap<String, String>,
    /// For all other architectures.
    others: Others,
    /// How builders are made that are not there.
    made: Made,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Others {
    #[default]
    Buildah,
    Engine,
    Made,
}

/// How a builder is made where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Its name, if not the usual one.
    pub name: Option<String>,
    /// The image that it runs, if not BuildKit's usual one.
    pub image: Option<String>,
    /// Its configuration (`buildkitd.toml`).
    pub config: Option<PathBuf>,
    /// Whether one that is there is made again.
    pub anew: bool,
}

/// Who builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Builder {
    /// buildah, on this machine.
    Buildah,
    /// The BuildKit inside of a Docker engine: of the current context.
    Engine,
    /// What this names: a Docker context, a builder of `docker buildx`, or an address.
    Named(String, Made),
    /// A builder of `docker buildx` that lkb makes where it is not there.
    Made(Made),
}

/// Why a list of builders is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no builder; write linux/ARCH=NAME, where NAME is a Docker context, a builder of `docker buildx`, or an address"
)]
pub struct WorkersError(String);

impl Workers {
    /// The Docker engine builds what nobody else is named for.
    #[must_use]
    pub fn or_engine(self) -> Self {
        Self { others: Others::Engine, ..self }
    }

    /// How builders are made. One with a name builds what nobody else is named for.
    #[must_use]
    pub fn making(self, made: Made) -> Self {
        let others = if made == Made::default() { self.others } else { Others::Made };
        Self { made, others, ..self }
    }

    /// Adds what a list says: `linux/arm64=NAME,linux/amd64=NAME`. Later ones count.
    ///
    /// # Errors
    /// When it has another form.
    pub fn add(&mut self, list: &str) -> Result<(), WorkersError> {
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let wrong = || WorkersError(item.into());
            let (platform, name) = item.split_once('=').ok_or_else(wrong)?;
            let arch = platform.strip_prefix("linux/").filter(|arch| !arch.is_empty()).ok_or_else(wrong)?;
            // What begins with a dash would be an option.
            if name.is_empty() || name.starts_with('-') {
                return Err(wrong());
            }
            self.by_arch.insert(arch.into(), name.into());
        }
        Ok(())
    }

    /// The architectures that somebody is named for.
    pub fn arches(&self) -> impl Iterator<Item = &str> {
        self.by_arch.keys().map(String::as_str)
    }

    /// Who builds for an architecture.
    #[must_use]
    pub fn for_arch(&self, arch: &str) -> Builder {
        match (self.by_arch.get(arch), self.others) {
            (Some(name), _) => Builder::Named(name.clone(), self.made.clone()),
            (None, Others::Buildah) => Builder::Buildah,
            (None, Others::Engine) => Builder::Engine,
            (None, Others::Made) => Builder::Made(self.made.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_architecture_has_its_builder() {
        let mut workers = Workers::default();
        workers.add("linux/arm64=far,linux/amd64=near").unwrap();
        workers.add("linux/amd64=tcp://10.0.0.1:1234,").unwrap();
        let named = |name: &str| Builder::Named(name.into(), Made::default());
        assert_eq!(workers.for_arch("arm64"), named("far"));
        assert_eq!(workers.for_arch("amd64"), named("tcp://10.0.0.1:1234"), "later ones count");
        assert_eq!(workers.for_arch("riscv64"), Builder::Buildah);
        assert_eq!(workers.clone().or_engine().for_arch("riscv64"), Builder::Engine);
        assert_eq!(workers.arches().collect::<Vec<_>>(), ["amd64", "arm64"]);
        let made = Made { name: Some("mine".into()), ..Made::default() };
        assert_eq!(workers.or_engine().making(made.clone()).for_arch("riscv64"), Builder::Made(made));
        for wrong in ["arm64=x", "linux/=x", "linux/arm64", "linux/arm64=", "linux/arm64=--help"] {
            assert!(Workers::default().add(wrong).is_err(), "{wrong}");
        }
    }
}
