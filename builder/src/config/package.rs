//! `build.yml`: how a package is made, checked like every other YAML.

use std::path::{Component, Path};

use serde::de::DeserializeOwned;

use super::check::check;
use super::document::Document;
use super::problem::{ConfigError, Place};
use super::yaml::Node;
use super::{rules, schema};

/// What the content hash is called in a template.
const HASH: &str = ".Hash";
/// Longest tag, in bytes (OCI distribution-spec, "Pulling manifests").
const MAX_TAG: usize = 128;
/// Why a path is refused.
const OUTSIDE: &str = "is outside the package; write a path below it, without `..`";

/// Reads the text of a `build.yml`; `name` is its name in messages.
///
/// # Errors
/// Everything that is wrong with it, each with line and column.
pub fn read_package<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ConfigError> {
    let mut document = Document::read(name, text, None);
    // A file that is no YAML at all has no keys that could be missing.
    if document.problems.is_empty() {
        check(&mut document, &schema::PACKAGE);
        for (at, message) in contradictions(&document.root) {
            document.problem(at, message);
        }
        rules::check_label_at(&mut document, "config");
    }
    if document.problems.is_empty() {
        match serde_json::from_value(document.root.to_json()) {
            Ok(package) => return Ok(package),
            Err(error) => document.problem(document.root.at, error.to_string()),
        }
    }
    document.problems.sort_by_key(|problem| (problem.spot.line, problem.spot.column));
    Err(ConfigError { problems: document.problems, warnings: document.warnings })
}

/// Keys of which only one of two may be given.
fn contradictions(root: &Node) -> Vec<(Place, String)> {
    let Some(images) = root.get("depends").and_then(|depends| depends.get("docker-images")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (one, other) in [("target", "target-dir"), ("from-file", "list")] {
        let has = |key| images.get(key).is_some();
        let message = match (has(one), has(other)) {
            (true, true) => format!("`{one}` and `{other}` exclude each other"),
            (false, false) => format!("one of `{one}` and `{other}` is required"),
            _ => continue,
        };
        found.push((images.at, format!("depends.docker-images: {message}")));
    }
    found
}

/// Splits `SOURCE:DESTINATION`; a destination is below the build context, with or without a leading slash.
///
/// # Errors
/// When a part is missing, or the destination leaves the context.
pub fn extra_source(text: &str) -> Result<(&str, &str), String> {
    let Some((from, to)) = text.split_once(':').filter(|(from, to)| !from.is_empty() && !to.contains(':'))
    else {
        return Err(format!("`{text}` is no extra source; write `SOURCE:DESTINATION`"));
    };
    let below = to.trim_start_matches('/');
    inside(below).map_err(|_| format!("the destination of `{text}` is outside the build context"))?;
    Ok((from, below))
}

/// Splits `NAME=VALUE`.
///
/// # Errors
/// When there is no name, or what begins with `@` is neither `@pkg:DIR` nor, for a name with `%`, `@lkt:pkgs:GLOB`.
pub fn build_arg(text: &str) -> Result<(&str, &str), String> {
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
        return Err(format!("`{text}` is no build argument; write `NAME=VALUE`"));
    };
    let directive = value.strip_prefix("@lkt:");
    match (package_path(value), packages_pattern(value), directive) {
        (_, Some(_), _) if !name.contains('%') => {
            Err(format!("`{name}` stands for several packages and must have a `%` for their names"))
        }
        (None, None, Some(_)) => {
            Err(format!("`{value}` is unknown; known are `@lkt:pkg:DIR` and `@lkt:pkgs:GLOB`"))
        }
        _ => Ok((name, value)),
    }
}

/// The directory in `@pkg:DIR` or `@lkt:pkg:DIR`, if it is one.
#[must_use]
pub fn package_path(value: &str) -> Option<&str> {
    value.strip_prefix("@pkg:").or_else(|| value.strip_prefix("@lkt:pkg:"))
}

/// The pattern in `@pkgs:GLOB` or `@lkt:pkgs:GLOB`, if it is one.
#[must_use]
pub fn packages_pattern(value: &str) -> Option<&str> {
    value.strip_prefix("@pkgs:").or_else(|| value.strip_prefix("@lkt:pkgs:"))
}

/// Puts the content hash into the template of a tag.
///
/// # Errors
/// When the template has an action that is not `{{.Hash}}` (Go's text/template, of which this is all that can be used).
pub fn fill_tag(template: &str, hash: &str) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let wrong =
            || format!("`{template}` is no template of a tag; `{{{{.Hash}}}}` is all that it may have");
        let (action, after) = after.split_once("}}").ok_or_else(wrong)?;
        if action.trim() != HASH {
            return Err(wrong());
        }
        filled += before;
        filled += hash;
        rest = after;
    }
    Ok(filled + rest)
}

/// Checks the template of a tag.
pub(super) fn tag_template(text: &str) -> Result<(), String> {
    let tag = fill_tag(text, "0")?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    match (1..=MAX_TAG).contains(&tag.len()) && tag.chars().all(fits) && !tag.starts_with(['.', '-']) {
        true => Ok(()),
        false => Err(format!(
            "`{text}` makes no tag: letters, digits, `_`, `.` and `-`, starting with neither of the last two"
        )),
    }
}

/// Checks an image's name without organisation and tag.
pub(super) fn image_name(text: &str) -> Result<(), String> {
    if text.contains(['/', ':', '@']) {
        return Err(format!(
            "`{text}` is not a plain image name; organisation and tag have keys of their own"
        ));
    }
    repository(text)
}

/// Checks an organisation, which may have a registry in front of it: `acme`, `registry.example:5000/acme`.
pub(super) fn organisation(text: &str) -> Result<(), String> {
    let (first, rest) = text.split_once('/').unwrap_or((text, "x"));
    let host = first.split_once(':').map_or(first, |(host, _)| host);
    [host].into_iter().chain(rest.split('/')).try_for_each(repository)
}

/// Checks a part of a repository's name (OCI distribution-spec, "Pulling manifests").
fn repository(part: &str) -> Result<(), String> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = part.starts_with(is_word) && part.ends_with(is_word);
    match fits && part.chars().all(|c| is_word(c) || matches!(c, '.' | '_' | '-')) {
        true => Ok(()),
        false => {
            Err(format!("`{part}` is no name: lower-case letters and digits, joined by `.`, `_` or `-`"))
        }
    }
}

/// Checks a reference that must have a digest.
pub(super) fn digested(text: &str) -> Result<(), String> {
    let digest = text.rsplit_once("@sha256:").map(|(_, hex)| hex);
    match digest.is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit())) {
        true => Ok(()),
        false => {
            Err(format!("`{text}` has no digest; write `NAME@sha256:…`, so that it is the same one tomorrow"))
        }
    }
}

/// Checks a path that must stay below the package.
///
/// # Errors
/// When it is empty, absolute, or has `..` in it.
pub fn inside(text: &str) -> Result<(), String> {
    let mut parts = Path::new(text).components().peekable();
    let fits =
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if fits { Ok(()) } else { Err(format!("`{text}` {OUTSIDE}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_its_template_with_the_hash_in_it() {
        for (template, tag) in [
            ("{{.Hash}}", Some("abc")),
            ("v1-{{ .Hash }}-x", Some("v1-abc-x")),
            ("1.2", Some("1.2")),
            ("{{.Hash}}{{.Hash}}", Some("abcabc")),
            ("{{.Hsh}}", None),
            ("{{.Hash}", None),
            ("{{if .Hash}}x{{end}}", None),
        ] {
            assert_eq!(fill_tag(template, "abc").ok().as_deref(), tag, "{template}");
        }
    }

    #[test]
    fn strings_mean_what_linuxkit_takes_them_for() {
        assert_eq!(extra_source("../a:/b/c"), Ok(("../a", "b/c")));
        assert_eq!(build_arg("A=b=c"), Ok(("A", "b=c")));
        assert_eq!(build_arg("A=@alice"), Ok(("A", "@alice")));
        assert_eq!(package_path("@lkt:pkg:../a"), Some("../a"));
        assert_eq!(packages_pattern("@lkt:pkgs:../*"), Some("../*"));
        for wrong in ["a", ":b", "a:", "a:../b", "a:b:c"] {
            assert!(extra_source(wrong).is_err(), "{wrong}");
        }
        for wrong in ["A", "=b", "A=@lkt:x:y", "A=@lkt:pkgs:x"] {
            assert!(build_arg(wrong).is_err(), "{wrong}");
        }
        for (org, fits) in
            [("a", true), ("h.example:5000/a/b", true), ("A", false), ("a/", false), ("", false)]
        {
            assert_eq!(organisation(org).is_ok(), fits, "{org}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_no_template_stays_as_it_is(before in "[a-z0-9.]{0,9}", after in "[a-z0-9.]{0,9}", hash in "[0-9a-f]{7}") {
            proptest::prop_assert_eq!(fill_tag(&before, &hash), Ok(before.clone()));
            let filled = fill_tag(&format!("{before}{{{{.Hash}}}}{after}"), &hash);
            proptest::prop_assert_eq!(filled, Ok(format!("{before}{hash}{after}")));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC{0,40}") {
            let _read = std::hint::black_box((fill_tag(&text, "0"), extra_source(&text), build_arg(&text), inside(&text)));
            let _judged = std::hint::black_box((tag_template(&text), image_name(&text), organisation(&text), digested(&text)));
        }
    }
}
