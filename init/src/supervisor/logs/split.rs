//! Bytes to lines: bounded, and nothing hidden.

/// Longer lines are cut into pieces of this many bytes.
pub const LINE_LIMIT: usize = 8192;
/// Marks an end of a piece at which the line goes on.
const CUT: char = '…';

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub struct Splitter {
    /// The beginning of a line whose end has not come; never longer than [`LINE_LIMIT`].
    rest: Vec<u8>,
    /// Whether `rest` continues a line of which a piece was given already.
    continues: bool,
}

impl Splitter {
    /// Takes bytes and gives the lines, or pieces of lines, that are complete.
    pub fn push(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(String)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, after) = bytes.split_at(end);
            self.extend(line, each);
            self.finish_line(each);
            bytes = after.get(1..).unwrap_or_default();
        }
        self.extend(bytes, each);
    }

    /// Gives what there is of a line whose end has not come. What comes later continues it.
    pub fn flush(&mut self, each: &mut dyn FnMut(String)) {
        if !self.rest.is_empty() {
            let piece = std::mem::take(&mut self.rest);
            self.give(&piece, true, each);
        }
    }

    /// Gives the last line, which has no end: its writer has ended.
    pub fn finish(&mut self, each: &mut dyn FnMut(String)) {
        if !self.rest.is_empty() {
            self.finish_line(each);
        }
        self.continues = false;
    }

    /// Whether the last line has no end yet.
    #[must_use]
    pub fn is_amid_line(&self) -> bool {
        !self.rest.is_empty()
    }

    fn extend(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(String)) {
        while self.rest.len() + bytes.len() > LINE_LIMIT {
            let (head, tail) = bytes.split_at(LINE_LIMIT - self.rest.len());
            self.rest.extend_from_slice(head);
            bytes = tail;
            let mut piece = std::mem::take(&mut self.rest);
            self.rest = piece.split_off(character_end(&piece));
            self.give(&piece, true, each);
        }
        self.rest.extend_from_slice(bytes);
    }

    fn finish_line(&mut self, each: &mut dyn FnMut(String)) {
        let piece = std::mem::take(&mut self.rest);
        // The end of a line that was given while it had none is no line.
        if !self.continues || !piece.is_empty() {
            self.give(piece.strip_suffix(b"\r").unwrap_or(&piece), false, each);
        }
        self.continues = false;
    }

    fn give(&mut self, piece: &[u8], goes_on: bool, each: &mut dyn FnMut(String)) {
        let mut text = String::with_capacity(piece.len() + 2 * CUT.len_utf8());
        if self.continues {
            text.push(CUT);
        }
        push_visible(piece, &mut text);
        if goes_on {
            text.push(CUT);
        }
        self.continues = goes_on;
        each(text);
    }
}

/// UTF-8 as it is, any other byte as `\xNN`.
fn push_visible(bytes: &[u8], text: &mut String) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
}

/// The length of `bytes` without the beginning of a character at their end that has more bytes to come.
fn character_end(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3)..bytes.len();
    let begins = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0xc0 == 0xc0);
    match tail.rev().find(begins) {
        Some(at) if bytes.get(at..).is_some_and(is_begun) && at > 0 => at,
        _ => bytes.len(),
    }
}

/// Whether these bytes are the beginning of a character, but not all of it.
fn is_begun(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, &mut |line| lines.push(line));
        }
        splitter.flush(&mut |line| lines.push(line));
        lines
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(split(&[b"one\ntw", b"o\r\n", b"\nthree\n"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn what_is_not_utf8_can_be_seen_and_control_characters_stay() {
        assert_eq!(split(&[b"a\xff\xfeb\xc3\n", b"\x1b[31mred\0\n"]), ["a\\xff\\xfeb\\xc3", "\x1b[31mred\0"]);
    }

    #[test]
    fn a_line_that_is_too_long_comes_in_marked_pieces() {
        let long = [b'x'; 2 * LINE_LIMIT + 1];
        let lines = split(&[&long, b"\nnext\n"]);
        let x = "x".repeat(LINE_LIMIT);
        assert_eq!(lines, [format!("{x}…"), format!("…{x}…"), "…x".to_owned(), "next".to_owned()]);
    }

    #[test]
    fn a_character_is_never_cut() {
        let mut long = vec![b'x'; LINE_LIMIT - 1];
        long.extend("€\n".as_bytes());
        let lines = split(&[&long]);
        assert_eq!(lines[1], "…€");
        assert!(lines[0].ends_with("x…"));
    }

    #[test]
    fn what_is_said_without_an_end_is_given_when_asked_for_and_continued() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        splitter.push(b"Password: ", &mut |line| lines.push(line));
        assert!(splitter.is_amid_line() && lines.is_empty());
        splitter.flush(&mut |line| lines.push(line));
        splitter.flush(&mut |line| lines.push(line));
        splitter.push(b"\nwrong", &mut |line| lines.push(line));
        splitter.push(b"\n", &mut |line| lines.push(line));
        assert_eq!(lines, ["Password: …", "wrong"]);
    }

    proptest! {
        /// However bytes are cut on their way, the lines are the same and nothing is lost.
        #[test]
        fn chunks_do_not_matter(
            parts in prop::collection::vec(prop_oneof![Just("\n".to_owned()), "\\PC{0,40}", "x{4000}"], 0..20),
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = parts.concat().into_bytes();
            let at = if bytes.is_empty() { 0 } else { at.index(bytes.len()) };
            let whole = split(&[&bytes]);
            prop_assert_eq!(&split(&[&bytes[..at], &bytes[at..]]), &whole);
            let kept: String = whole.concat().chars().filter(|c| *c != CUT).collect();
            let said: String = parts.concat().chars().filter(|c| *c != CUT && *c != '\n').collect();
            prop_assert_eq!(kept, said);
        }

        #[test]
        fn neither_memory_nor_a_piece_grows_beyond_the_limit(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20_000), 0..4)
        ) {
            let mut splitter = Splitter::default();
            for chunk in chunks {
                splitter.push(&chunk, &mut |line| assert!(line.len() <= 4 * LINE_LIMIT + 6));
                prop_assert!(splitter.rest.len() <= LINE_LIMIT);
            }
        }
    }
}
