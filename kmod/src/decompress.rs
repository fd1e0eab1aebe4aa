//! Unpacks module files, for kernels that cannot do it themselves: those before 5.17, and those without
//! `CONFIG_MODULE_DECOMPRESS` or with another of the formats in it.

use std::io::{self, Read};

/// Most bytes of a module, unpacked; the largest of Linux 6.12 have 30 MB.
const LIMIT: u64 = 256 * 1024 * 1024;

/// How a module file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// `.ko.gz`
    Gzip,
    /// `.ko.xz`
    Xz,
    /// `.ko.zst`
    Zstd,
}

impl Packing {
    /// By the file's name; `None` for one that is loaded as it is.
    #[must_use]
    pub fn of(file: &str) -> Option<Self> {
        let (_, end) = file.rsplit_once('.')?;
        Some(match end {
            "gz" => Self::Gzip,
            "xz" => Self::Xz,
            "zst" => Self::Zstd,
            _ => return None,
        })
    }

    /// All of the module.
    ///
    /// # Errors
    /// When it is damaged, cut off, or larger than any module is.
    pub fn unpack(self, packed: impl Read) -> io::Result<Vec<u8>> {
        match self {
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(packed)),
            Self::Xz => read(lzma_rust2::XzReader::new(packed, true)),
            Self::Zstd => read(ruzstd::decoding::StreamingDecoder::new(packed).map_err(io::Error::other)?),
        }
    }
}

fn read(from: impl Read) -> io::Result<Vec<u8>> {
    let mut module = Vec::new();
    from.take(LIMIT + 1).read_to_end(&mut module)?;
    if module.len() as u64 > LIMIT {
        return Err(io::Error::other("it is larger than any module"));
    }
    Ok(module)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use proptest::prelude::*;

    /// Packs as kernels and distributions do.
    fn packed(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
        let child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{program} (see tools/deps): {error}"));
        let mut input = child.stdin.take().unwrap();
        let out = std::thread::scope(|scope| {
            scope.spawn(move || input.write_all(bytes).unwrap());
            child.wait_with_output().unwrap()
        });
        assert!(out.status.success());
        out.stdout
    }

    fn formats(bytes: &[u8]) -> [(Packing, Vec<u8>); 3] {
        [
            (Packing::Gzip, packed("gzip", &["-n"], bytes)),
            (Packing::Xz, packed("xz", &["--check=crc32", "--lzma2=dict=1MiB"], bytes)),
            (Packing::Zstd, packed("zstd", &["-q", "-19"], bytes)),
        ]
    }

    #[test]
    fn modules_come_out_of_each_packing_as_they_went_in() {
        let module: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        for (packing, bytes) in formats(&module) {
            assert!(packing.unpack(&bytes[..]).unwrap() == module, "{packing:?}");
            assert!(packing.unpack(&bytes[..bytes.len() / 2]).is_err(), "{packing:?} was cut off");
        }
    }

    #[test]
    fn a_file_is_told_by_its_name() {
        let cases = [
            ("a.ko", None),
            ("a.ko.gz", Some(Packing::Gzip)),
            ("a.ko.xz", Some(Packing::Xz)),
            ("a.ko.zst", Some(Packing::Zstd)),
            ("xz", None),
        ];
        for (file, expected) in cases {
            assert_eq!(Packing::of(file), expected, "{file}");
        }
    }

    #[test]
    fn damage_anywhere_is_no_panic() {
        let formats = formats(&[b"a module of no length ".repeat(40), vec![0; 500]].concat());
        let damage = (0..3usize, any::<prop::sample::Index>(), any::<u8>());
        let outcome = proptest::test_runner::TestRunner::default().run(&damage, |(which, at, new)| {
            let (packing, mut bytes) = formats[which].clone();
            let at = at.index(bytes.len());
            bytes[at] = new;
            std::hint::black_box(packing.unpack(&bytes[..]).is_ok());
            Ok(())
        });
        outcome.unwrap();
    }
}
