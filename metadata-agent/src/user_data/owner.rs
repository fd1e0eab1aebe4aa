//! Whose a file is to be, as `#cloud-config` writes it.

use crate::tree::Owner;

/// Reads `USER` or `USER:GROUP`, each a number or `root`; none for any other name: images have no common list of users.
pub(super) fn parse(text: &str) -> Option<Owner> {
    let number = |text: &str| if text == "root" { Some(0) } else { id(text) };
    let (user, group) = text.split_once(':').unwrap_or((text, "root"));
    Some(Owner { user: number(user)?, group: number(group)? })
}

/// A number that is a user: 4294967295 stands for none.
fn id(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_root_or_numbers() {
        for (text, wanted) in [
            ("root:root", Some((0, 0))),
            ("root", Some((0, 0))),
            ("1000:100", Some((1000, 100))),
            ("1000", Some((1000, 0))),
            ("4294967295", None),
            ("www-data:www-data", None),
            ("1000:", None),
            ("", None),
            ("+1", None),
            ("1:2:3", None),
        ] {
            assert_eq!(parse(text), wanted.map(|(user, group)| Owner { user, group }), "{text}");
        }
    }
}
