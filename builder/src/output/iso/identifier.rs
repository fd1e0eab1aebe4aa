//! The names that plain ISO 9660 has for files (ECMA-119, sections 7.5 and 7.6).
//!
//! Linux shows Rock Ridge's names instead. These only have to be allowed, different from each other, and in order.

use std::collections::HashSet;

/// Characters of a name before its dot; with dot, extension and version there are up to 30.
const STEM: usize = 20;
const EXTENSION: usize = 3;

/// Identifiers for the entries of one directory, in the order of the names: `(name, whether it is a directory)`.
pub(super) fn identifiers(names: &[(&[u8], bool)]) -> Vec<Vec<u8>> {
    let mut taken = HashSet::new();
    names.iter().map(|(name, is_directory)| identifier(name, *is_directory, &mut taken)).collect()
}

fn identifier(name: &[u8], is_directory: bool, taken: &mut HashSet<Vec<u8>>) -> Vec<u8> {
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0 && !is_directory);
    let (stem, extension) = dot.map_or((name, &[][..]), |dot| (&name[..dot], &name[dot + 1..]));
    let (stem, extension) = (allowed(stem, STEM), allowed(extension, EXTENSION));
    let whole = |stem: &[u8]| match is_directory {
        true => stem.to_vec(),
        false => [stem, b".", &extension, b";1"].concat(),
    };
    // Of names that look alike here, the second is NAME_1.
    (0_u64..)
        .map(|number| match number {
            0 => whole(&stem),
            number => {
                let suffix = format!("_{number}");
                whole(&[&stem[..stem.len().min(STEM - suffix.len())], suffix.as_bytes()].concat())
            }
        })
        .find(|identifier| taken.insert(identifier.clone()))
        .unwrap_or_default()
}

fn allowed(name: &[u8], most: usize) -> Vec<u8> {
    let allowed = |byte: &u8| match byte.to_ascii_uppercase() {
        byte @ (b'A'..=b'Z' | b'0'..=b'9') => byte,
        _ => b'_',
    };
    name.iter().take(most).map(allowed).collect()
}

/// What directories are sorted by (9.3): as if stem and extension were filled up with blanks.
pub(super) fn order(identifier: &[u8]) -> ([u8; 32], [u8; 32]) {
    let name = identifier.split(|byte| *byte == b';').next().unwrap_or_default();
    let mut parts = name.split(|byte| *byte == b'.').map(|part| {
        let mut field = [b' '; 32];
        for (to, from) in field.iter_mut().zip(part) {
            *to = *from;
        }
        field
    });
    (parts.next().unwrap_or([b' '; 32]), parts.next().unwrap_or([b' '; 32]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_allowed_and_stay_different() {
        let long = "a-very-long-name-of-a-file.tar.gz";
        let names = ["config", "Config", "x.tar.gz", ".profile", "ünï", long, &format!("{long}.gz"), "dir.d"];
        let entries: Vec<(&[u8], bool)> =
            names.iter().map(|name| (name.as_bytes(), *name == "dir.d")).collect();
        let found: Vec<String> =
            identifiers(&entries).into_iter().map(|name| String::from_utf8(name).unwrap()).collect();
        assert_eq!(
            found,
            [
                "CONFIG.;1",
                "CONFIG_1.;1",
                "X_TAR.GZ;1",
                "_PROFILE.;1",
                "__N__.;1",
                "A_VERY_LONG_NAME_OF_.GZ;1",
                "A_VERY_LONG_NAME_O_1.GZ;1",
                "DIR_D"
            ]
        );
    }

    #[test]
    fn a_name_sorts_before_the_one_that_it_begins() {
        let mut names = [&b"AB.;1"[..], b"A_B.;1", b"A.B;1", b"A.;1", b"A"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names[2..], [&b"A.B;1"[..], b"AB.;1", b"A_B.;1"]);
    }
}
