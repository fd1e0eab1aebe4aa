//! What the screen of a machine shows.

use std::path::Path;

use serde_json::json;

use crate::qmp::Qmp;

/// Where a VGA adapter has its text, and how much of it, in bytes: each character and then its colours.
const ADDRESS: u32 = 0xb_8000;
const SIZE: u32 = 0x8000;
/// Characters in a line.
const WIDTH: usize = 80;

/// The lines that a VGA adapter in text mode has: those on the screen, and some that are above it already. What is longer
/// than a line goes on in the next. `dir` is for a file of qemu's.
///
/// # Panics
/// When qemu does not save them.
#[must_use]
pub fn text(qmp: &mut Qmp, dir: &Path) -> String {
    let file = dir.join("screen");
    qmp.run("pmemsave", &json!({"val": ADDRESS, "size": SIZE, "filename": file}));
    lines(&std::fs::read(&file).expect("what qemu has saved of the screen"))
}

fn lines(memory: &[u8]) -> String {
    let characters: Vec<u8> = memory.iter().step_by(2).copied().collect();
    let line = |line: &[u8]| format!("{}\n", String::from_utf8_lossy(line).trim_end_matches([' ', '\0']));
    characters.chunks(WIDTH).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_screen_is_its_characters_without_their_colours() {
        let mut memory = [b' ', 7].repeat(WIDTH * 2);
        memory[..6].copy_from_slice(b"a\x07 \x70b\x07");
        memory[WIDTH * 2] = b'c';
        assert_eq!(lines(&memory), "a b\nc\n");
    }
}
