//! `WWW-Authenticate`: what a registry wants to see before it answers (RFC 9110, section 11.6.1).

/// Most parameters of one challenge; more is nobody's honest answer.
const MAX_PARAMETERS: usize = 32;

/// One way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    /// `bearer`, `basic`, …, in lower case.
    pub(super) scheme: String,
    /// Names in lower case, with their values.
    pub(super) parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of a header's value. What cannot be understood ends the list.
pub(super) fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = Text(header);
    loop {
        rest.skip_list();
        let Some(name) = rest.token() else { return found };
        // `name = value` goes on with the challenge before it; anything else starts one.
        let mut ahead = rest;
        ahead.skip_space();
        if ahead.take('=') && !ahead.0.starts_with('=') {
            ahead.skip_space();
            let (Some(challenge), Some(value)) = (found.last_mut(), ahead.value()) else { return found };
            if challenge.parameters.len() >= MAX_PARAMETERS {
                return found;
            }
            challenge.parameters.push((name.to_ascii_lowercase(), value));
            rest = ahead;
            continue;
        }
        found.push(Challenge { scheme: name.to_ascii_lowercase(), parameters: Vec::new() });
        rest.skip_token68();
    }
}

/// What is left of a header.
#[derive(Clone, Copy)]
struct Text<'a>(&'a str);

impl<'a> Text<'a> {
    fn skip_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn skip_list(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
    }

    fn take(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.0.find(|c| !is_token(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token, or a quoted string without its quotes.
    fn value(&mut self) -> Option<String> {
        if !self.take('"') {
            return self.token().map(str::to_owned);
        }
        let mut value = String::new();
        let mut characters = self.0.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                c => value.push(c),
            }
        }
        None
    }

    /// The one word that some schemes have instead of parameters.
    fn skip_token68(&mut self) {
        let mut ahead = *self;
        ahead.skip_space();
        let end = ahead
            .0
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/".contains(c)))
            .unwrap_or(ahead.0.len());
        let rest = ahead.0[end..].trim_start_matches('=');
        // A word that an equals sign and more, or another word, follows was no token68.
        if end > 0 && (rest.is_empty() || rest.trim_start_matches([' ', '\t']).starts_with(',')) {
            self.0 = rest;
        }
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> Challenge {
        let parameters = parameters.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        Challenge { scheme: scheme.into(), parameters }
    }

    #[test]
    fn a_registrys_bearer_challenge_is_read() {
        let header = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let read = challenges(header);
        let expected = challenge(
            "bearer",
            &[
                ("realm", "https://auth.example/token"),
                ("service", "registry.example"),
                ("scope", "repository:a/b:pull,push"),
            ],
        );
        assert_eq!(read, [expected]);
        assert_eq!(read[0].get("service"), Some("registry.example"));
        assert_eq!(read[0].get("error"), None);
    }

    #[test]
    fn forms_that_the_standard_allows_are_read() {
        for (header, expected) in [
            ("", vec![]),
            (" , ", vec![]),
            ("Negotiate", vec![challenge("negotiate", &[])]),
            (
                "Negotiate abc==, Basic realm=x",
                vec![challenge("negotiate", &[]), challenge("basic", &[("realm", "x")])],
            ),
            (
                r#"Basic REALM = "a \"b\" c" , charset=UTF-8"#,
                vec![challenge("basic", &[("realm", "a \"b\" c"), ("charset", "UTF-8")])],
            ),
            (
                r#"Basic realm="a, Bearer realm=b", Bearer realm="c""#,
                vec![
                    challenge("basic", &[("realm", "a, Bearer realm=b")]),
                    challenge("bearer", &[("realm", "c")]),
                ],
            ),
        ] {
            assert_eq!(challenges(header), expected, "{header}");
        }
    }

    #[test]
    fn what_is_cut_off_or_wrong_ends_the_list() {
        assert_eq!(challenges(r#"Basic realm="a"#), [challenge("basic", &[])]);
        assert_eq!(challenges("realm=a"), []);
        assert_eq!(challenges("Basic realm=\"a\", \u{e9}"), [challenge("basic", &[("realm", "a")])]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_in_bounds(header in r#"(\PC|[a-z]+|[ ,="\\]){0,60}"#) {
            for challenge in challenges(&header) {
                proptest::prop_assert!(!challenge.scheme.is_empty());
                proptest::prop_assert!(challenge.parameters.len() <= MAX_PARAMETERS);
            }
        }

        #[test]
        fn what_is_written_is_read_again(
            written in proptest::collection::vec(
                ("[a-z][a-z0-9]{0,8}", proptest::collection::vec(("[a-z]{1,8}", "\\PC{0,20}"), 0..4)),
                0..4,
            )
        ) {
            let quoted = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#);
            let header: Vec<String> = written.iter().map(|(scheme, parameters)| {
                let parameters: Vec<String> =
                    parameters.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
                format!("{scheme} {}", parameters.join(", ")).trim_end().to_owned()
            }).collect();
            let expected: Vec<Challenge> = written.into_iter()
                .map(|(scheme, parameters)| Challenge { scheme, parameters })
                .collect();
            proptest::prop_assert_eq!(challenges(&header.join(", ")), expected);
        }
    }
}
