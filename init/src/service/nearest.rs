//! What a mistyped name was probably meant to be.

use super::protocol::Answer;

/// The name that is most like `word`, if one is like it at all: at most one mistake in three letters.
#[must_use]
pub fn nearest<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = word.chars().count().div_ceil(3);
    let distances = among.into_iter().map(|name| (strsim::osa_distance(word, name), name));
    distances.filter(|(distance, _)| *distance <= limit).min().map(|(_, name)| name)
}

/// The answer to a name that nothing has.
#[must_use]
pub fn no_such_service(name: &str, known: &[&str]) -> Answer {
    let hint = match nearest(name, known.iter().copied()) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None if known.is_empty() => "this image has none".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    };
    Answer::Unknown { message: format!("there is no service {name:?}; {hint}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["openntpd", "slapd", "sshd"];
        let cases = [
            ("slpad", Some("slapd")),
            ("ssh", Some("sshd")),
            ("opentnpd", Some("openntpd")),
            ("nginx", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }

    #[test]
    fn the_answer_names_what_there_is() {
        let words = |name: &str, known: &[&str]| match no_such_service(name, known) {
            Answer::Unknown { message } => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(words("slpad", &["slapd"]), r#"there is no service "slpad"; did you mean slapd?"#);
        assert_eq!(words("x", &["a1", "b2"]), r#"there is no service "x"; there are: a1, b2"#);
        assert_eq!(words("x", &[]), r#"there is no service "x"; this image has none"#);
    }
}
