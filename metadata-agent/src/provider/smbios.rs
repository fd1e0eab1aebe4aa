//! Strings that a machine's owner puts into its SMBIOS tables (DMTF DSP0134).

/// Largest tables, in bytes, that are read.
pub const MAX_TABLES: usize = 256 * 1024;
/// Structures in the tables.
const MAX_STRUCTURES: usize = 4096;
/// "OEM Strings", 7.12.
const OEM_STRINGS: u8 = 11;
/// The last structure, 7.45.
const END: u8 = 127;

/// All OEM strings in the structures of `tables`, as far as these are whole.
#[must_use]
pub fn oem_strings(tables: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = tables;
    for _ in 0..MAX_STRUCTURES {
        // 6.1.2: type, length of the formatted part, then that part, then strings.
        let [kind, length, ..] = *rest else { break };
        let Some(after) = rest.get(usize::from(length)..).filter(|_| length >= 4) else { break };
        // 6.1.3: each string ends with a zero byte, and all of them with another; no strings are two zero bytes.
        let Some(end) = after.windows(2).position(|pair| pair == [0, 0]) else { break };
        if kind == OEM_STRINGS {
            let strings = after.get(..end).unwrap_or_default().split(|&b| b == 0);
            found.extend(strings.filter(|s| !s.is_empty()).map(|s| String::from_utf8_lossy(s).into_owned()));
        }
        rest = after.get(end + 2..).unwrap_or_default();
        if kind == END {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn structure(kind: u8, formatted: &[u8], strings: &[&str]) -> Vec<u8> {
        let length = u8::try_from(4 + formatted.len()).unwrap();
        let mut bytes = vec![kind, length, 0, 0];
        bytes.extend(formatted);
        strings.iter().for_each(|s| bytes.extend(s.bytes().chain([0])));
        bytes.extend(if strings.is_empty() { vec![0, 0] } else { vec![0] });
        bytes
    }

    #[test]
    fn oem_strings_are_found_between_other_structures() {
        let tables = [
            structure(1, &[1, 2, 0, 0], &["QEMU", "PC"]),
            structure(32, &[0; 7], &[]),
            structure(11, &[2], &["a:b=c", "d"]),
            structure(127, &[], &[]),
            structure(11, &[1], &["after the end"]),
        ];
        assert_eq!(oem_strings(&tables.concat()), ["a:b=c", "d"]);
    }

    #[test]
    fn tables_that_are_cut_off_give_what_is_whole() {
        let mut tables = [structure(11, &[1], &["whole"]), structure(11, &[1], &["cut"])].concat();
        tables.truncate(tables.len() - 2);
        assert_eq!(oem_strings(&tables), ["whole"]);
    }

    proptest! {
        #[test]
        fn strings_are_no_more_than_the_tables_hold(tables in proptest::collection::vec(0_u8..16, 0..512)) {
            let found: usize = oem_strings(&tables).iter().map(|string| string.chars().count()).sum();
            prop_assert!(found <= tables.len());
        }
    }
}
