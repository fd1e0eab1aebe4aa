//! Distinguished names, as strings (RFC 4514).

use std::fmt;

/// The longest name that is taken, in bytes.
const LONGEST: usize = 1024;
/// The most relative names in one.
const DEEPEST: usize = 32;

/// A name: relative names, the most specific first. Its `Display` is the canonical string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dn {
    rdns: Vec<Vec<Attribute>>,
}

/// One `type=value` of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The attribute's short name or OID, as it was written.
    pub kind: String,
    /// The value, without escapes.
    pub value: String,
}

/// What is wrong with a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnError {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// Too long or too deep.
    #[error("is too long: at most {LONGEST} bytes and {DEEPEST} parts")]
    TooLong,
    /// A part is not `type=value`.
    #[error("{0:?} is not of the form type=value")]
    NoValue(String),
    /// The type is neither a short name nor an OID.
    #[error("{0:?} is not the name of an attribute")]
    BadType(String),
    /// The value is empty.
    #[error("{0}= has no value")]
    EmptyValue(String),
    /// A character that must be escaped, or cannot be used.
    #[error("{0:?} cannot stand in a value like this; write it as a backslash and two hexadecimal digits")]
    BadCharacter(char),
    /// Control characters have no business in a suffix, however they are written.
    #[error("a value holds a line break or another control character")]
    Control,
    /// `#` and hexadecimal digits, a value in BER.
    #[error("values in BER (#...) are not supported")]
    Ber,
    /// A backslash with nothing sensible behind it.
    #[error("a backslash is not followed by a character to escape or two hexadecimal digits")]
    BadEscape,
    /// Escaped bytes that are not UTF-8.
    #[error("escaped bytes are not UTF-8")]
    NotUtf8,
}

impl Dn {
    /// Reads a name. Blanks around `,` and `=` are taken as RFC 2253 takes them: they are not part of it.
    pub fn parse(text: &str) -> Result<Self, DnError> {
        if text.trim().is_empty() {
            return Err(DnError::Empty);
        }
        if text.len() > LONGEST {
            return Err(DnError::TooLong);
        }
        let mut rdns = Vec::new();
        for rdn in split(text, ',') {
            rdns.push(split(rdn, '+').into_iter().map(Attribute::parse).collect::<Result<_, _>>()?);
        }
        if rdns.len() > DEEPEST {
            return Err(DnError::TooLong);
        }
        Ok(Self { rdns })
    }

    /// The attributes of the most specific part: one, unless the name is multi-valued there.
    pub fn first(&self) -> &[Attribute] {
        self.rdns.first().map_or(&[], Vec::as_slice)
    }

    /// Whether both name the same entry: types and values are compared without regard to case, order within a
    /// part, or the number of blanks, as the attributes that suffixes are made of are (RFC 4517,
    /// caseIgnoreMatch).
    pub fn is_same(&self, other: &Self) -> bool {
        let folded = |dn: &Self| -> Vec<Vec<(String, String)>> {
            let fold = |a: &Attribute| {
                let words: Vec<&str> = a.value.split_whitespace().collect();
                (canonical_type(&a.kind), words.join(" ").to_lowercase())
            };
            let part = |rdn: &Vec<Attribute>| {
                let mut part: Vec<_> = rdn.iter().map(fold).collect();
                part.sort();
                part
            };
            dn.rdns.iter().map(part).collect()
        };
        folded(self) == folded(other)
    }
}

/// The short name of an attribute type that has several.
fn canonical_type(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.as_str() {
        "domaincomponent" | "0.9.2342.19200300.100.1.25" => "dc".to_owned(),
        "organizationname" | "2.5.4.10" => "o".to_owned(),
        "organizationalunitname" | "2.5.4.11" => "ou".to_owned(),
        "commonname" | "2.5.4.3" => "cn".to_owned(),
        "countryname" | "2.5.4.6" => "c".to_owned(),
        "localityname" | "2.5.4.7" => "l".to_owned(),
        _ => lower,
    }
}

impl Attribute {
    /// The type in lower case, and by its usual short name when it has several.
    pub fn short_type(&self) -> String {
        canonical_type(&self.kind)
    }

    fn parse(text: &str) -> Result<Self, DnError> {
        let (kind, value) = text.split_once('=').ok_or_else(|| DnError::NoValue(text.trim().to_owned()))?;
        let kind = kind.trim_matches(' ');
        if !is_type(kind) {
            return Err(DnError::BadType(kind.to_owned()));
        }
        let value = unescape(value)?;
        match value.is_empty() {
            true => Err(DnError::EmptyValue(kind.to_owned())),
            false => Ok(Self { kind: kind.to_owned(), value }),
        }
    }
}

/// Splits at the separators that are not escaped.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == separator => {
                parts.push(&text[start..at]);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A short name (`descr`) or a dotted OID.
fn is_type(kind: &str) -> bool {
    let descr = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let oid =
        kind.contains('.') && kind.split('.').all(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    descr || oid
}

/// Takes the escapes out of a value and the blanks that are not escaped off its ends.
fn unescape(text: &str) -> Result<String, DnError> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return Err(DnError::Ber);
    }
    let mut value: Vec<u8> = Vec::with_capacity(text.len());
    // What follows this is blanks that were not escaped.
    let mut kept = 0;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                let first = characters.next().ok_or(DnError::BadEscape)?;
                match first.to_digit(16) {
                    Some(high) => {
                        let low = characters.next().and_then(|c| c.to_digit(16)).ok_or(DnError::BadEscape)?;
                        value.push((high * 16 + low) as u8);
                    }
                    None if " \"#+,;<=>\\".contains(first) => value.push(first as u8),
                    None => return Err(DnError::BadEscape),
                }
                kept = value.len();
            }
            '"' | '+' | ',' | ';' | '<' | '>' => return Err(DnError::BadCharacter(c)),
            ' ' => value.push(b' '),
            c => {
                value.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
                kept = value.len();
            }
        }
    }
    value.truncate(kept);
    let value = String::from_utf8(value).map_err(|_| DnError::NotUtf8)?;
    match value.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        true => Err(DnError::Control),
        false => Ok(value),
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, rdn) in self.rdns.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            for (j, attribute) in rdn.iter().enumerate() {
                f.write_str(if j == 0 { "" } else { "+" })?;
                attribute.fmt(f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.kind)?;
        let last = self.value.chars().count().saturating_sub(1);
        for (i, c) in self.value.chars().enumerate() {
            let escape = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '=' | '\\')
                || (i == 0 && matches!(c, ' ' | '#'))
                || (i == last && c == ' ');
            match escape {
                true => write!(f, "\\{:02X}", c as u32)?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_and_written_canonically() {
        for (text, canonical, first) in [
            ("dc=example,dc=org", "dc=example,dc=org", "example"),
            (" dc = example , dc = org ", "dc=example,dc=org", "example"),
            ("o=Meyer\\, Sons & Co", "o=Meyer\\2C Sons & Co", "Meyer, Sons & Co"),
            ("ou=a+cn=b,o=c", "ou=a+cn=b,o=c", "a"),
            ("o=\\ x\\ ", "o=\\20x\\20", " x "),
            ("o=\\#1", "o=\\231", "#1"),
            ("o=K\\C3\\B6ln", "o=Köln", "Köln"),
            ("2.5.4.10=x", "2.5.4.10=x", "x"),
            ("o=a\"b", "", ""),
            ("o=a\\\"b\\\\c", "o=a\\22b\\5Cc", "a\"b\\c"),
        ] {
            match Dn::parse(text) {
                Ok(dn) => {
                    assert_eq!((dn.to_string().as_str(), dn.first()[0].value.as_str()), (canonical, first))
                }
                Err(e) => assert!(canonical.is_empty(), "{text}: {e}"),
            }
        }
    }

    #[test]
    fn what_is_no_name_or_could_break_out_of_one_is_refused() {
        for (text, error) in [
            ("", DnError::Empty),
            ("example.org", DnError::NoValue("example.org".into())),
            ("dc=example,,dc=org", DnError::NoValue(String::new())),
            ("dc=", DnError::EmptyValue("dc".into())),
            ("=x", DnError::BadType(String::new())),
            ("d c=x", DnError::BadType("d c".into())),
            ("1..2=x", DnError::BadType("1..2".into())),
            ("dc=a\nrootpw=x", DnError::Control),
            ("dc=a\\0Arootpw x", DnError::Control),
            ("dc=a\\00", DnError::Control),
            ("dc=a\u{2028}b", DnError::Control),
            ("dc=a\"b", DnError::BadCharacter('"')),
            ("dc=a;b", DnError::BadCharacter(';')),
            ("dc=#0403", DnError::Ber),
            ("dc=a\\", DnError::BadEscape),
            ("dc=a\\x", DnError::BadEscape),
            ("dc=a\\4", DnError::BadEscape),
            ("dc=a\\FF", DnError::NotUtf8),
        ] {
            assert_eq!(Dn::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Dn::parse(&format!("dc={}", "x".repeat(LONGEST))), Err(DnError::TooLong));
        assert_eq!(Dn::parse(&vec!["dc=x"; DEEPEST + 1].join(",")), Err(DnError::TooLong));
    }

    #[test]
    fn names_are_compared_as_the_directory_compares_them() {
        let same = |a: &str, b: &str| Dn::parse(a).unwrap().is_same(&Dn::parse(b).unwrap());
        assert!(same("dc=example,dc=org", "DC=Example, domainComponent=ORG"));
        assert!(same("o=a  b", "O=A b"));
        assert!(same("ou=a+cn=b", "cn=B+OU=a"));
        assert!(!same("dc=example,dc=org", "dc=org"));
        assert!(!same("dc=example,dc=org", "dc=example,dc=com"));
        assert!(!same("o=example", "ou=example"));
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_as_the_same_name(text in "(dc|o|ou|cn)=[^\\x00-\\x1f]{1,20}(,dc=[a-z \\\\,+]{1,8})?") {
            if let Ok(dn) = Dn::parse(&text) {
                prop_assert_eq!(Dn::parse(&dn.to_string()).unwrap(), dn);
            }
        }

        #[test]
        fn a_value_of_any_characters_survives_being_written(value in "[^\\p{C}\\u{2028}\\u{2029}]{1,30}") {
            let dn = Dn { rdns: vec![vec![Attribute { kind: "o".into(), value }]] };
            prop_assert_eq!(Dn::parse(&dn.to_string()).unwrap(), dn);
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,60}") {
            if let Ok(dn) = Dn::parse(&text) {
                prop_assert!(!dn.to_string().contains(['\n', '\r', '\0', '"']));
            }
        }
    }
}
