//! How much of anything an image may ask for. Images come from strangers.

/// Largest manifest, index or image configuration, in bytes (registries accept 4 MiB).
pub const MAX_DOCUMENT: u64 = 4 << 20;
/// Most layers of one image (Docker allows 127).
pub const MAX_LAYERS: usize = 128;
/// Most manifests that one index may name, and most images that one archive may hold.
pub const MAX_MANIFESTS: usize = 1024;
/// Most signatures of one image that are looked at.
pub const MAX_ATTACHED: usize = 64;
/// Most bytes of one blob, and of one layer when it is expanded.
pub const MAX_LAYER: u64 = 8 << 30;
/// Expansion up to this many bytes is never suspicious.
pub const FREE_EXPANSION: u64 = 1 << 30;
/// Beyond [`FREE_EXPANSION`], a layer may expand to this many times its compressed size. Real layers
/// stay below 20; a layer of zeros reaches 1000 with gzip and 30 000 with zstd.
pub const MAX_EXPANSION: u64 = 200;
/// Most bytes of an archive of images, expanded.
pub const MAX_ARCHIVE: u64 = 64 << 30;
/// Most entries of one layer.
pub const MAX_ENTRIES: usize = 500_000;
/// Most bytes that the names, link targets and extended attributes of one layer may take together.
pub const MAX_METADATA: u64 = 256 << 20;
/// Most bytes of one PAX header, or of one GNU long name.
pub const MAX_EXTENSION: u64 = 1 << 20;
/// Longest path, in bytes (Linux's `PATH_MAX` less the final NUL).
pub const MAX_PATH: usize = 4095;
/// Longest part of a path, in bytes (Linux's `NAME_MAX`).
pub const MAX_NAME: usize = 255;
/// Longest name and longest value of an extended attribute, in bytes (Linux's `XATTR_NAME_MAX`, `XATTR_SIZE_MAX`).
pub const MAX_XATTR: (usize, usize) = (255, 65536);
