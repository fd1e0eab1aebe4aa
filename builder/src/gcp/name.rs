//! Which names Compute Engine takes.

/// Whether `name` may be that of an image, a family, an instance or a disk ("Resource naming convention": RFC 1035 in
/// lower case).
///
/// # Errors
/// With the rule that it breaks.
pub fn check(name: &str) -> Result<(), &'static str> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    match name.as_bytes() {
        [] => Err("it is empty"),
        bytes if bytes.len() > 63 => Err("it has more than 63 characters"),
        bytes if !bytes.iter().copied().all(plain) => Err("names have lower case letters, digits and - only"),
        [first, ..] if !first.is_ascii_lowercase() => Err("names begin with a lower case letter"),
        [.., b'-'] => Err("names do not end with -"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hosts_in_lower_case() {
        for name in ["a", "web-1", "w3", &"a".repeat(63)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", "Web", "web.1", "1web", "-web", "web-", "we_b", "wéb", &"a".repeat(64)] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
