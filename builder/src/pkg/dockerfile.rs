//! What a Dockerfile does with build arguments, as far as that decides what it must be given.

use std::collections::HashMap;

/// Whether a Dockerfile asks for this argument by `ARG NAME`.
#[must_use]
pub fn declares(dockerfile: &str, name: &str) -> bool {
    instructions(dockerfile).any(|(instruction, rest)| {
        instruction.eq_ignore_ascii_case("ARG")
            && rest.split_whitespace().any(|word| word.split('=').next() == Some(name))
    })
}

/// Whether it takes files from the image that this argument names: in `FROM`, `COPY --from=` or `RUN --mount=from=`.
#[must_use]
pub fn takes_image(dockerfile: &str, name: &str) -> bool {
    instructions(dockerfile).any(|(instruction, rest)| {
        let whole = instruction.eq_ignore_ascii_case("FROM");
        rest.split_whitespace()
            .filter(|word| whole || (word.starts_with("--") && word.contains("from=")))
            .any(|word| mentions(word, name))
    })
}

/// The images of others that it names in `FROM`, `COPY --from=` or `RUN --mount=from=`, each once, as they are written.
/// `given` knows the values of build arguments; what has none and no default in the Dockerfile is passed over.
#[must_use]
pub fn images(dockerfile: &str, given: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut defaults: HashMap<&str, String> = HashMap::new();
    let (mut stages, mut images): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (instruction, rest) in instructions(dockerfile) {
        let mut words = rest.split_whitespace();
        let mut named = Vec::new();
        match instruction.to_ascii_uppercase().as_str() {
            // Later ones belong to their stages, and no `FROM` sees them.
            "ARG" if stages.is_empty() => {
                for (name, default) in words.filter_map(|word| word.split_once('=')) {
                    let value = |other: &str| given(other).or_else(|| defaults.get(other).cloned());
                    if let Some(default) = expanded(default.trim_matches('"'), value) {
                        defaults.insert(name, default);
                    }
                }
            }
            "FROM" => {
                named.extend(words.by_ref().find(|word| !word.starts_with("--")));
                let stage = words.skip_while(|word| !word.eq_ignore_ascii_case("AS")).nth(1);
                stages.push(stage.unwrap_or_default().to_ascii_lowercase());
            }
            _ => named.extend(words.filter(|word| word.starts_with("--")).filter_map(source)),
        }
        // A stage is no image for itself.
        let known = stages.len().saturating_sub(usize::from(instruction.eq_ignore_ascii_case("FROM")));
        for word in named {
            let value = |name: &str| given(name).or_else(|| defaults.get(name).cloned());
            let Some(image) = expanded(word, value) else { continue };
            let is_stage =
                stages[..known].contains(&image.to_ascii_lowercase()) || image.parse::<usize>().is_ok();
            if !is_stage && !image.is_empty() && image != "scratch" && !images.contains(&image) {
                images.push(image);
            }
        }
    }
    images
}

/// The image in `--from=IMAGE` or `--mount=…,from=IMAGE,…`.
fn source(word: &str) -> Option<&str> {
    let (option, value) = word.split_once('=')?;
    match option {
        "--from" => Some(value),
        "--mount" => value.split(',').find_map(|part| part.strip_prefix("from=")),
        _ => None,
    }
}

/// A word with the values of its variables; `None` if one has none.
fn expanded(word: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (first, rest) = word.split_once('$').unwrap_or((word, ""));
    let mut text = first.to_owned();
    for part in rest.split('$').filter(|part| !part.is_empty()) {
        let (variable, after) = match part.strip_prefix('{') {
            Some(braced) => braced.split_once('}')?,
            None => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                part.split_at(part.find(|c| !is_part(c)).unwrap_or(part.len()))
            }
        };
        let (name, default) = variable.split_once(":-").map_or((variable, None), |(n, d)| (n, Some(d)));
        text += &value(name).or_else(|| default.map(String::from))?;
        text += after;
    }
    Some(text)
}

/// Instructions and what follows them on their first line; comments left out.
fn instructions(dockerfile: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = dockerfile.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(char::is_whitespace))
}

/// Whether `$NAME`, `${NAME}` or `${NAME:-…}` is in a word.
fn mentions(word: &str, name: &str) -> bool {
    word.split('$').skip(1).any(|after| {
        let after = after.strip_prefix('{').unwrap_or(after);
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        after.strip_prefix(name).is_some_and(|rest| !rest.starts_with(is_part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "\
# ARG COMMENT
ARG BASE
arg VERSION=1
FROM --platform=linux/amd64 ${BASE} AS build
FROM $OTHER:1
COPY --from=${TOOLS:-x} /a /b
RUN --mount=type=bind,from=$MOUNTED,target=/x echo $VERSION $BASEMENT
";

    #[test]
    fn an_argument_that_names_an_image_is_told_from_one_that_is_text() {
        for (name, declared, image) in [
            ("BASE", true, true),
            ("VERSION", true, false),
            ("OTHER", false, true),
            ("TOOLS", false, true),
            ("MOUNTED", false, true),
            ("BASEMENT", false, false),
            ("BAS", false, false),
            ("COMMENT", false, false),
        ] {
            assert_eq!(
                (declares(DOCKERFILE, name), takes_image(DOCKERFILE, name)),
                (declared, image),
                "{name}"
            );
        }
    }

    #[test]
    fn the_images_of_others_are_told_from_stages() {
        let dockerfile = "\
ARG MAJOR=3
ARG VERSION=\"${MAJOR}.20\"
ARG OURS
FROM --platform=$BUILDPLATFORM alpine:${VERSION} AS Build
ARG LATE=1
FROM build AS again
FROM ${OURS:-acme/base:1}
FROM $UNKNOWN
COPY --from=0 /a /a
COPY --from=build /a /a
COPY --chmod=755 --from=acme/tools:${VERSION}-x /b /b
RUN --mount=type=bind,from=acme/mounted,target=/m true
FROM scratch
FROM alpine:3.20
";
        let given = |name: &str| (name == "GIVEN").then(|| "x".into());
        assert_eq!(
            images(dockerfile, given),
            ["alpine:3.20", "acme/base:1", "acme/tools:3.20-x", "acme/mounted"]
        );
        let empty = |name: &str| (name == "OURS").then(String::new);
        assert!(!images(dockerfile, empty).contains(&"acme/base:1".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "([A-Z$ {}:=\\n-]|FROM |ARG |COPY --from=|AS |scratch|\\PC){0,40}") {
            for image in images(&text, |_| None) {
                proptest::prop_assert!(!image.is_empty() && !image.contains('$'));
            }
        }
    }
}
