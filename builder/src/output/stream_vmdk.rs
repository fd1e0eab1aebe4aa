//! streamOptimized VMDK images: grains with content, each compressed, in one pass.
//!
//! | sectors | content |
//! |---|---|
//! | 0 | the header |
//! | 1..21 | the descriptor, a text |
//! | 128.. | compressed grains, behind every 32 MiB of the disk their table |
//! | then | the directory of the tables, the footer, the end of the stream |
//!
//! Source: VMware's "Virtual Disk Format 5.0", "Hosted Sparse Extents", "Stream-Optimized Compressed Sparse Extents";
//! all numbers are little-endian.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::convert::{ConvertError, size_of};
use super::mbr::SECTOR;
use super::sparse::{Chunks, Fingerprint};

const GRAIN: u64 = 64 << 10;
/// Entries of 4 bytes in a grain table.
const ENTRIES: u64 = 512;
/// Sectors before the first grain.
const OVERHEAD: u64 = 128;
const DESCRIPTOR: u64 = 1;
const DESCRIPTOR_SECTORS: u64 = 20;
/// Entries are numbers of sectors in 32 bits: up to 2 TiB of file. Grains that deflate cannot shrink need somewhat more
/// than the disk.
const MAX_DISK: u64 = 2000 << 30;

const VERSION: u32 = 3;
/// New lines can be checked; grains are compressed; there are markers.
const FLAGS: u32 = 1 | 1 << 16 | 1 << 17;
/// "The directory is where the footer says."
const AT_END: u64 = u64::MAX;
const DEFLATE: u16 = 1;

/// What a marker without a grain announces.
#[derive(Debug, Clone, Copy)]
enum Marker {
    End = 0,
    Table = 1,
    Directory = 2,
    Footer = 3,
}

/// Writes the disk `raw` as such an image over `out`. The same disk makes the same bytes.
pub(super) fn write(raw: &mut File, out: &mut File) -> Result<(), ConvertError> {
    let size = size_of(raw, MAX_DISK)?;
    let mut fingerprint = Fingerprint::of_size(size);
    let mut stream = Stream::start(out, size).map_err(ConvertError::Write)?;
    let mut chunks = Chunks::of(raw, size, GRAIN as usize);
    while let Some((number, bytes)) = chunks.advance().map_err(ConvertError::Read)? {
        fingerprint.add(number, bytes);
        stream.grain(number, bytes).map_err(ConvertError::Write)?;
    }
    stream.finish(fingerprint).map_err(ConvertError::Write)
}

struct Stream<'a> {
    out: BufWriter<&'a mut File>,
    size: u64,
    /// Sectors written.
    at: u64,
    /// Where the tables went, in sectors; 0 where no grain in its reach has content.
    directory: Vec<u32>,
    /// The number of the table that is being filled, and where its grains went.
    table: Option<(u64, Vec<u32>)>,
    compressed: Vec<u8>,
}

impl<'a> Stream<'a> {
    fn start(out: &'a mut File, size: u64) -> io::Result<Self> {
        out.set_len(0)?;
        out.seek(SeekFrom::Start(OVERHEAD * SECTOR))?;
        let tables = size.div_ceil(GRAIN * ENTRIES);
        Ok(Self {
            out: BufWriter::with_capacity(1 << 20, out),
            size,
            at: OVERHEAD,
            directory: vec![0; tables as usize],
            table: None,
            compressed: Vec::new(),
        })
    }

    /// Appends a grain. Numbers must rise.
    fn grain(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let (index, entry) = (number / ENTRIES, (number % ENTRIES) as usize);
        if self.table.as_ref().is_some_and(|(current, _)| *current != index) {
            self.end_table()?;
        }
        let at = self.at as u32;
        self.table.get_or_insert_with(|| (index, vec![0; ENTRIES as usize])).1[entry] = at;
        self.compressed.clear();
        // The fastest level: kernel and initrd are compressed already.
        let mut zlib = ZlibEncoder::new(&mut self.compressed, Compression::fast());
        zlib.write_all(bytes)?;
        zlib.finish()?;
        // A marker with a length is the start of a grain.
        self.out.write_all(&(number * (GRAIN / SECTOR)).to_le_bytes())?;
        self.out.write_all(&(self.compressed.len() as u32).to_le_bytes())?;
        self.out.write_all(&self.compressed)?;
        self.pad(8 + 4 + self.compressed.len() as u64)
    }

    fn end_table(&mut self) -> io::Result<()> {
        if let Some((index, table)) = self.table.take() {
            self.directory[index as usize] = self.entries(Marker::Table, &table)?;
        }
        Ok(())
    }

    /// Appends a marker and entries, and returns the sector of the entries.
    fn entries(&mut self, marker: Marker, entries: &[u32]) -> io::Result<u32> {
        let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        self.marker(marker, bytes.len() as u64)?;
        let at = self.at as u32;
        self.out.write_all(&bytes)?;
        self.pad(bytes.len() as u64)?;
        Ok(at)
    }

    fn marker(&mut self, marker: Marker, followed_by: u64) -> io::Result<()> {
        self.out.write_all(&followed_by.div_ceil(SECTOR).to_le_bytes())?;
        self.out.write_all(&0_u32.to_le_bytes())?; // no grain
        self.out.write_all(&(marker as u32).to_le_bytes())?;
        self.pad(8 + 4 + 4)
    }

    /// Fills the last of the sectors to which `written` bytes have just been appended.
    fn pad(&mut self, written: u64) -> io::Result<()> {
        let sectors = written.div_ceil(SECTOR);
        self.at += sectors;
        let zeros = [0; SECTOR as usize];
        self.out.write_all(&zeros[..(sectors * SECTOR - written) as usize])
    }

    fn finish(mut self, fingerprint: Fingerprint) -> io::Result<()> {
        self.end_table()?;
        let directory = std::mem::take(&mut self.directory);
        let directory = self.entries(Marker::Directory, &directory)?;
        self.marker(Marker::Footer, SECTOR)?;
        let footer = header(self.size, directory.into());
        self.out.write_all(&footer)?;
        self.pad(footer.len() as u64)?;
        self.marker(Marker::End, 0)?;
        self.out.flush()?;
        let out = self.out.get_mut();
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&header(self.size, AT_END))?;
        out.write_all(descriptor(self.size, fingerprint).as_bytes())
    }
}

fn header(size: u64, directory: u64) -> [u8; SECTOR as usize] {
    let mut bytes = Vec::with_capacity(SECTOR as usize);
    bytes.extend(b"KDMV");
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(FLAGS.to_le_bytes());
    bytes.extend((size / SECTOR).to_le_bytes());
    bytes.extend((GRAIN / SECTOR).to_le_bytes());
    bytes.extend(DESCRIPTOR.to_le_bytes());
    bytes.extend(DESCRIPTOR_SECTORS.to_le_bytes());
    bytes.extend((ENTRIES as u32).to_le_bytes());
    bytes.extend([0; 8]); // no second directory
    bytes.extend(directory.to_le_bytes());
    bytes.extend(OVERHEAD.to_le_bytes());
    bytes.push(0); // shut down cleanly
    bytes.extend(b"\n \r\n"); // shows whether something has converted new lines
    bytes.extend(DEFLATE.to_le_bytes());
    let mut header = [0; SECTOR as usize];
    header[..bytes.len()].copy_from_slice(&bytes);
    header
}

/// The text that says what the image is. The name of the file in it is a fixed one: readers of an image in one file
/// do not need it, and it would be wrong after the first renaming.
fn descriptor(size: u64, fingerprint: Fingerprint) -> String {
    const HEADS: u64 = 255;
    const TRACK: u64 = 63;
    // All ones and all ones but the last mean that there is none.
    let id = u32::from_be_bytes(fingerprint.finish()) & 0x7FFF_FFFF;
    let sectors = size / SECTOR;
    let cylinders = (sectors / HEADS / TRACK).max(1);
    format!(
        "# Disk DescriptorFile\n\
         version=1\n\
         CID={id:08x}\n\
         parentCID=ffffffff\n\
         createType=\"streamOptimized\"\n\
         \n\
         # Extent description\n\
         RW {sectors} SPARSE \"disk.vmdk\"\n\
         \n\
         # The Disk Data Base\n\
         #DDB\n\
         \n\
         ddb.adapterType = \"lsilogic\"\n\
         ddb.geometry.cylinders = \"{cylinders}\"\n\
         ddb.geometry.heads = \"{HEADS}\"\n\
         ddb.geometry.sectors = \"{TRACK}\"\n\
         ddb.virtualHWVersion = \"4\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::convert::fixture;
    use super::*;

    /// The sectors around no grains at all, with a directory of one sector: up to the grains; the directory, the footer
    /// and the end with their markers.
    const FRAME: u64 = OVERHEAD + 2 + 2 + 1;
    /// A table with its marker.
    const TABLE: u64 = 1 + 4;

    fn check(size: u64, content: fixture::Pieces<'_>) -> Vec<u8> {
        let image = fixture::check("vmdk", write, size, content);
        assert_eq!(image.len() as u64 % SECTOR, 0);
        image
    }

    #[test]
    fn qemu_reads_back_the_same_disk() {
        let mut seed = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .take(300_000)
        .collect();
        check(10 << 20, &[(0, &noise), (5 << 20, &noise)]);
        check(1 << 30, &[(1000, b"start"), ((32 << 20) - 3, b"across tables"), ((1 << 30) - 3, b"end")]);
    }

    #[test]
    fn a_grain_takes_a_sector_when_it_is_nearly_empty_and_nothing_when_it_is_empty() {
        assert_eq!(check(1 << 30, &[]).len() as u64, FRAME * SECTOR);
        assert_eq!(check(4 << 20, &[(0, &vec![0; 2 << 20])]).len() as u64, FRAME * SECTOR);
        let image = check(1 << 30, &[(100 << 20, b"a"), (101 << 20, b"b"), (500 << 20, b"c")]);
        assert_eq!(image.len() as u64, (FRAME + 3 + 2 * TABLE) * SECTOR);
    }

    #[test]
    fn a_disk_that_is_no_whole_number_of_grains_keeps_its_size() {
        check((1 << 20) + 512, &[(1 << 20, &[7; 512])]);
    }

    #[test]
    fn a_directory_of_several_sectors_finds_its_tables() {
        check(100 << 30, &[(0, b"start"), ((100 << 30) - 3, b"end")]);
    }

    #[test]
    fn the_descriptor_says_what_the_image_is_and_its_identity_is_of_its_content() {
        let text = |content: &[u8]| {
            let image = check(1 << 30, &[(0, content)]);
            let text = &image[512..512 + 20 * 512];
            let end = text.iter().position(|byte| *byte == 0).unwrap();
            assert!(text[end..].iter().all(|byte| *byte == 0));
            String::from_utf8(text[..end].to_vec()).unwrap()
        };
        let one = text(b"one");
        for line in [
            "createType=\"streamOptimized\"",
            "RW 2097152 SPARSE \"disk.vmdk\"",
            "ddb.adapterType = \"lsilogic\"",
            "ddb.geometry.cylinders = \"130\"",
        ] {
            assert!(one.lines().any(|found| found == line), "{line} is not in: {one}");
        }
        assert_ne!(one, text(b"two"));
    }

    #[test]
    fn a_disk_beyond_the_reach_of_the_tables_is_refused() {
        let mut raw = tempfile::tempfile().unwrap();
        raw.set_len(MAX_DISK + 512).unwrap();
        let error = write(&mut raw, &mut tempfile::tempfile().unwrap()).unwrap_err().to_string();
        assert!(error.contains("--size 2000G"), "{error}");
    }
}
