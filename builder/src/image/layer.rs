//! Layers as verified, uncompressed files.

use std::io::{self, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use flate2::read::MultiGzDecoder;

use super::digest::{Digest, Hashing};
use super::limits::{FREE_EXPANSION, MAX_EXPANSION, MAX_LAYER};
use super::verified::VerifyError;
use super::{Cache, Image, ImageError, Layer, VerifiedFile};

/// First bytes of a gzip member (RFC 1952, 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// First bytes of a Zstandard frame (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes that are expanded at a time.
const CHUNK: usize = 256 << 10;

/// How a blob or an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// By the first four bytes, or as many as there are.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            start if start.starts_with(&ZSTD) => Self::Zstd,
            start if start.starts_with(&GZIP) => Self::Gzip,
            _ => Self::None,
        }
    }

    /// Expands what is compressed so.
    pub(super) fn expand<'a>(self, compressed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::None => Box::new(compressed),
            Self::Gzip => Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(CHUNK, compressed))),
            Self::Zstd => Box::new(zstd::Decoder::new(compressed)?),
        })
    }
}

/// Most bytes that so many compressed ones may become.
pub(super) fn most_expanded(compressed: u64, most: u64) -> u64 {
    compressed.saturating_mul(MAX_EXPANSION).clamp(FREE_EXPANSION.min(most), most)
}

impl Cache {
    /// Verifies the layers of these images on all cores, expanding what is compressed.
    /// [`Self::layer`] then returns them at once.
    ///
    /// # Errors
    /// As [`Self::layer`]; of several, the error of the first layer in order.
    pub fn verify<'a>(&self, images: impl IntoIterator<Item = &'a Image>) -> Result<(), ImageError> {
        let mut layers: Vec<(&Image, &Layer)> = Vec::new();
        for image in images {
            for layer in &image.layers {
                if !layers.iter().any(|(_, other)| *other == layer) {
                    layers.push((image, layer));
                }
            }
        }
        let next = AtomicUsize::new(0);
        let first_error: Mutex<Option<(usize, ImageError)>> = Mutex::new(None);
        let worker = || {
            while let Some((at, (image, layer))) = {
                let at = next.fetch_add(1, Ordering::Relaxed);
                layers.get(at).map(|layer| (at, *layer))
            } {
                if let Err(error) = self.layer(image, layer) {
                    let mut first = first_error.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|(other, _)| at < *other) {
                        *first = Some((at, error));
                    }
                }
            }
        };
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(layers.len());
        thread::scope(|scope| {
            for _ in 1..workers {
                scope.spawn(worker);
            }
            worker();
        });
        match first_error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// One layer of an image as an uncompressed tar archive, verified in the lifetime of this value.
    ///
    /// # Errors
    /// When the blob is missing or damaged, cannot be expanded, or expands to something else than the image's
    /// configuration says.
    pub fn layer(&self, image: &Image, layer: &Layer) -> Result<Arc<VerifiedFile>, ImageError> {
        self.layer_named(&image.reference.to_string(), layer)
    }

    pub(super) fn layer_named(&self, image: &str, layer: &Layer) -> Result<Arc<VerifiedFile>, ImageError> {
        let memo = || self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = memo().get(layer) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(self.open_layer(image, layer)?);
        memo().insert(layer.clone(), Arc::clone(&file));
        Ok(file)
    }

    fn open_layer(&self, image: &str, layer: &Layer) -> Result<VerifiedFile, ImageError> {
        let blob = open(image, &self.dirs.blob(layer.blob), layer.blob, Some(layer.size))?;
        if layer.blob == layer.diff_id {
            return Ok(blob);
        }
        let unusable = |reason: String| ImageError::Document {
            image: image.into(),
            what: "layer",
            digest: layer.blob.to_string(),
            reason,
        };
        let compression = compression(&blob).map_err(ImageError::io("read", blob.path()))?;
        let other_content = |actual| {
            unusable(format!(
                "its content has digest {actual}, the image's configuration says {}",
                layer.diff_id
            ))
        };
        if matches!(compression, Compression::None) {
            return Err(other_content(layer.blob));
        }
        let path = self.dirs.expanded(layer.diff_id);
        let _adding = self.dirs.lock_adding()?;
        let _making = loop {
            match VerifiedFile::open(&path, layer.diff_id, None) {
                Ok(file) => return Ok(file),
                // Not there yet, or damaged since: made again from the blob.
                Err(VerifyError::Fault(_)) => {}
                Err(VerifyError::Io(error)) => return Err(ImageError::io("read", &path)(error)),
            }
            if let Some(making) = self.dirs.lock_making(layer.diff_id, &mut || {})? {
                break making;
            }
        };
        let limit = most_expanded(layer.size, MAX_LAYER);
        let mut expanded = compression
            .expand(blob.stretch(0, blob.len()))
            .map_err(|error| unusable(format!("cannot be expanded: {error}")))?;
        let mut new = Hashing::new(self.dirs.create()?);
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = match expanded.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| unusable(format!("cannot be expanded: {error}")))?,
            };
            if n == 0 {
                break;
            }
            new.write_all(&chunk[..n]).map_err(ImageError::io("write", &path))?;
            if new.len() > limit {
                return Err(ImageError::Expansion { image: image.into(), digest: layer.blob, limit });
            }
        }
        let (new, actual, _) = new.finish();
        if actual != layer.diff_id {
            return Err(other_content(actual));
        }
        new.publish(&path)?;
        open(image, &path, layer.diff_id, None)
    }
}

fn open(image: &str, path: &Path, digest: Digest, len: Option<u64>) -> Result<VerifiedFile, ImageError> {
    VerifiedFile::open(path, digest, len).map_err(|error| match error {
        VerifyError::Io(error) => ImageError::io("read", path)(error),
        VerifyError::Fault(fault) => {
            ImageError::Damaged { image: image.into(), what: "layer", digest, fault }
        }
    })
}

fn compression(blob: &VerifiedFile) -> io::Result<Compression> {
    let mut magic = [0; 4];
    let n = blob.len().min(4) as usize;
    blob.read_exact_at(&mut magic[..n], 0)?;
    Ok(Compression::of(&magic[..n]))
}
