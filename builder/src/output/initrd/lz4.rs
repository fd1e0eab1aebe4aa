//! LZ4 in the "legacy" frame, the only one that Linux unpacks (lib/decompress_unlz4.c).
//!
//! Source: LZ4's doc/lz4_Frame_format.md, "Legacy frame", and doc/lz4_Block_format.md. Blocks of 8 MiB, each with its
//! length; nothing tells the end. Linux takes what follows for the next block, so there is one frame, and no padding in it.

use std::io::{self, Write};

/// What a frame begins with.
pub(super) const MAGIC: [u8; 4] = 0x184C_2102_u32.to_le_bytes();
/// Bytes of a block, unpacked; but for the last one, all must have as many.
const BLOCK: usize = 8 << 20;

/// Shortest repetition that can be said.
const MATCH: usize = 4;
/// The last bytes of a block are literals, and no match begins nearer to its end than that.
const LAST: usize = 5;
const NO_MATCH: usize = 12;
/// Farthest that a repetition looks back.
const FAR: usize = 65_535;
const HASH_BITS: u32 = 16;

/// Compresses what is written to it.
pub(super) struct Encoder<W: Write> {
    out: W,
    open: Vec<u8>,
}

impl<W: Write> Encoder<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, open: Vec::new() }
    }

    fn close(&mut self) -> io::Result<()> {
        let block = compress(&self.open);
        self.open.clear();
        // 8 MiB do not become four gibibytes.
        self.out.write_all(&(block.len() as u32).to_le_bytes())?;
        self.out.write_all(&block)
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let now = bytes.len().min(BLOCK - self.open.len());
        self.open.extend(&bytes[..now]);
        if self.open.len() == BLOCK {
            self.close()?;
        }
        Ok(now)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One block: for each four bytes, where they were last is remembered.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 2);
    // Positions, one more than they are: 0 is none.
    let mut seen = vec![0_u32; 1 << HASH_BITS];
    let (mut literals, mut at) = (0, 0);
    let end = bytes.len().saturating_sub(NO_MATCH);
    while at < end {
        let word = word(bytes, at);
        let slot = &mut seen[(word.wrapping_mul(2_654_435_761) >> (32 - HASH_BITS)) as usize];
        let before = (*slot as usize).checked_sub(1);
        *slot = at as u32 + 1;
        match before {
            Some(before) if at - before <= FAR && self::word(bytes, before) == word => {
                let most = bytes.len() - LAST - at;
                let len = (MATCH..most).find(|i| bytes[before + i] != bytes[at + i]).unwrap_or(most);
                sequence(&mut out, &bytes[literals..at], Some((at - before, len)));
                at += len;
                literals = at;
            }
            // The longer nothing is found, the less is looked for.
            _ => at += 1 + ((at - literals) >> 6),
        }
    }
    sequence(&mut out, &bytes[literals..], None);
    out
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Literals, and a repetition: how far back, and how long. The last sequence has none.
fn sequence(out: &mut Vec<u8>, literals: &[u8], repetition: Option<(usize, usize)>) {
    let len = repetition.map_or(0, |(_, len)| len - MATCH);
    out.push((literals.len().min(15) << 4 | len.min(15)) as u8);
    more(out, literals.len());
    out.extend(literals);
    if let Some((back, _)) = repetition {
        out.extend((back as u16).to_le_bytes());
        more(out, len);
    }
}

/// What of a length the four bits of a token do not say.
fn more(out: &mut Vec<u8>, len: usize) {
    let Some(mut left) = len.checked_sub(15) else { return };
    while left >= 255 {
        out.push(255);
        left -= 255;
    }
    out.push(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block unpacked by the rules of its format, which say where matches may not be.
    fn unpack(mut block: &[u8]) -> Vec<u8> {
        fn len(block: &mut &[u8], mut len: usize) -> usize {
            loop {
                let byte = block[0];
                *block = &block[1..];
                len += usize::from(byte);
                if byte < 255 {
                    return len;
                }
            }
        }
        let mut out = Vec::new();
        loop {
            let token = block[0];
            block = &block[1..];
            let literals = if token >> 4 == 15 { len(&mut block, 15) } else { usize::from(token >> 4) };
            out.extend(&block[..literals]);
            block = &block[literals..];
            if block.is_empty() {
                return out;
            }
            let back = usize::from(u16::from_le_bytes([block[0], block[1]]));
            block = &block[2..];
            let token = usize::from(token & 15);
            let count = MATCH + if token == 15 { len(&mut block, 15) } else { token };
            assert!((1..=out.len()).contains(&back), "a repetition of nothing");
            for _ in 0..count {
                out.push(out[out.len() - back]);
            }
        }
    }

    proptest! {
        #[test]
        fn any_block_comes_back(
            pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 1_usize..60), 0..40),
        ) {
            let bytes: Vec<u8> = pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
            prop_assert_eq!(unpack(&compress(&bytes)), bytes);
        }
    }

    #[test]
    fn repetitions_of_every_length_come_back_and_make_it_small() {
        for len in [0, 1, 12, 13, 17, 18, 19, 20, 273, 274, 275, 528, 529, 100_000] {
            let bytes = vec![b'x'; len];
            let packed = compress(&bytes);
            assert_eq!(unpack(&packed), bytes, "{len}");
            assert!(packed.len() < 20 + len / 200, "{len} bytes became {}", packed.len());
        }
    }

    #[test]
    fn a_frame_has_blocks_of_eight_mebibytes_and_a_rest() {
        let mut encoder = Encoder::new(Vec::new());
        encoder.write_all(&vec![7; BLOCK + 100]).unwrap();
        let frame = encoder.finish().unwrap();
        let first = word(&frame, 0) as usize;
        assert_eq!(unpack(&frame[4..4 + first]).len(), BLOCK);
        assert_eq!(unpack(&frame[8 + first..]), [7; 100]);
        assert_eq!(word(&frame, 4 + first) as usize, frame.len() - 8 - first);
    }
}
