//! The base entry as LDIF (RFC 2849).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::settings::Settings;

/// The entry that the suffix names: what slapd needs before anything can be added beneath.
///
/// | suffix begins with | object classes | the organisation's name is its |
/// | --- | --- | --- |
/// | `dc=` | dcObject, organization | `o` |
/// | `o=` | organization | `description` |
/// | `ou=` | organizationalUnit | `description` |
pub fn base_entry(settings: &Settings) -> String {
    let dn = &settings.suffix.value;
    let organisation = settings.organisation.value.as_str();
    let mut lines = vec![line("dn", &dn.to_string()), line("objectClass", "top")];
    // Settings are refused when the first part is anything else.
    if let [attribute] = dn.first() {
        let value = attribute.value.as_str();
        match attribute.short_type().as_str() {
            "dc" => lines.extend([
                line("objectClass", "dcObject"),
                line("objectClass", "organization"),
                line("dc", value),
                line("o", organisation),
            ]),
            "o" => lines.extend([
                line("objectClass", "organization"),
                line("o", value),
                line("description", organisation),
            ]),
            _ => lines.extend([
                line("objectClass", "organizationalUnit"),
                line("ou", value),
                line("description", organisation),
            ]),
        }
    }
    lines.concat()
}

/// One line; in base64 unless the value is a SAFE-STRING.
fn line(name: &str, value: &str) -> String {
    let safe = value.bytes().all(|b| (0x20..0x7f).contains(&b))
        && !value.starts_with([' ', ':', '<'])
        && !value.ends_with(' ');
    match safe {
        true => format!("{name}: {value}\n"),
        false => format!("{name}:: {}\n", STANDARD.encode(value)),
    }
}

/// The name in a `dn:` or `dn::` line.
pub fn dn_of(line: &str) -> Option<String> {
    let rest = line.strip_prefix("dn:")?;
    match rest.strip_prefix(':') {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok(),
        None => Some(rest.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;
    use proptest::prelude::*;

    fn entry(suffix: &str, organisation: &str) -> String {
        let read = settings::read(&|name| match name {
            "SUFFIX" => Some(suffix.into()),
            "ORGANISATION_NAME" => Some(organisation.into()),
            _ => None,
        });
        base_entry(&read.unwrap())
    }

    #[test]
    fn the_entry_has_the_classes_of_its_suffix() {
        assert_eq!(
            entry("dc=example,dc=org", "Example"),
            "dn: dc=example,dc=org\nobjectClass: top\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n"
        );
        assert_eq!(
            entry("o=Acme", "Acme Ltd"),
            "dn: o=Acme\nobjectClass: top\nobjectClass: organization\no: Acme\ndescription: Acme Ltd\n"
        );
        assert_eq!(
            entry("ou=People,o=Acme", "Acme"),
            "dn: ou=People,o=Acme\nobjectClass: top\nobjectClass: organizationalUnit\nou: People\ndescription: Acme\n"
        );
    }

    #[test]
    fn values_that_could_be_misread_are_encoded() {
        let entry = entry("o=Köln", "< /etc/passwd");
        assert!(
            entry.contains("\no:: S8O2bG4=\n") && entry.contains("\ndescription:: PCAvZXRjL3Bhc3N3ZA==\n"),
            "{entry}"
        );
        assert_eq!(dn_of(entry.lines().next().unwrap()).as_deref(), Some("o=Köln"));
        assert_eq!(dn_of("dn: dc=a").as_deref(), Some("dc=a"));
        assert_eq!(dn_of("objectClass: top"), None);
    }

    proptest! {
        #[test]
        fn a_name_never_adds_a_line(organisation in "[^\\p{C}]{1,40}") {
            let plain = entry("dc=example,dc=org", "x").lines().count();
            prop_assert_eq!(entry("dc=example,dc=org", &organisation).lines().count(), plain);
        }
    }
}
