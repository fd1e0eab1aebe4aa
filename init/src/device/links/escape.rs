//! Names as udev writes them into file names.

/// What udev leaves as it is, besides letters and digits (`UDEV_ALLOWED_CHARS_…`, its encoding of device names).
const ALLOWED: &str = "#+-.:=@_";

/// A label or UUID: every byte that may not stand in a name is written `\x20`; characters beyond ASCII stay.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) || !character.is_ascii() {
            name.push(character);
        } else {
            name.push_str(&format!("\\x{:02x}", u32::from(character)));
        }
    }
    name
}

/// A name of the kernel's or device mapper's: every character that may not stand in a name is `_`.
#[must_use]
pub fn replaced(text: &str) -> String {
    text.chars().map(|character| if is_plain(character) { character } else { '_' }).collect()
}

/// A model or serial number: the same, with each run of spaces one `_`, and none at the ends.
#[must_use]
pub fn underscored(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == '\0').filter(|word| !word.is_empty());
    replaced(&words.collect::<Vec<_>>().join("_"))
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || ALLOWED.contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_udev_does() {
        let cases = [
            ("root", "root", "root", "root"),
            ("my data", "my\\x20data", "my_data", "my_data"),
            (" QEMU  HARDDISK ", "\\x20QEMU\\x20\\x20HARDDISK\\x20", "_QEMU__HARDDISK_", "QEMU_HARDDISK"),
            ("a/b\\c\n", "a\\x2fb\\x5cc\\x0a", "a_b_c_", "a_b_c"),
            ("é+#", "é+#", "_+#", "_+#"),
        ];
        for (text, by_label, by_name, by_serial) in cases {
            assert_eq!(
                (encoded(text), replaced(text), underscored(text)),
                (by_label.into(), by_name.into(), by_serial.into())
            );
        }
    }
}
