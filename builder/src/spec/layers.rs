//! The YAML over the label.

use super::profile::Profile;
use crate::config::Overrides;

/// What the YAML says, over what the image's label says, over what the profile gives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers<'a> {
    pub yaml: &'a Overrides,
    pub label: &'a Overrides,
    pub profile: Profile,
}

impl<'a> Layers<'a> {
    /// The field of the YAML, or else that of the label, or else that of the profile. A given value replaces the other whole.
    pub fn pick<T: ?Sized>(self, field: impl Fn(&'a Overrides) -> Option<&'a T>) -> Option<&'a T> {
        field(self.yaml).or_else(|| field(self.label)).or_else(|| field(self.profile.defaults()))
    }

    /// As [`Layers::pick`], but an empty string is as good as none.
    pub fn pick_text(self, field: impl Fn(&'a Overrides) -> Option<&'a String>) -> Option<&'a str> {
        self.pick(|layer| field(layer).map(String::as_str).filter(|text| !text.is_empty()))
    }

    /// A list, or nothing.
    pub fn list<T>(self, field: impl Fn(&'a Overrides) -> Option<&'a Vec<T>>) -> &'a [T] {
        self.pick(field).map(Vec::as_slice).unwrap_or_default()
    }

    /// A list with its `.add` lists: the YAML's list replaces both of the label's; the YAML's `.add` always adds.
    pub fn sum(
        self,
        field: impl Fn(&'a Overrides) -> Option<&'a Vec<String>>,
        add: impl Fn(&'a Overrides) -> Option<&'a Vec<String>>,
    ) -> Vec<&'a str> {
        let base: Vec<&Vec<String>> = match field(self.yaml) {
            Some(list) => vec![list],
            None => field(self.label).into_iter().chain(add(self.label)).collect(),
        };
        base.into_iter().chain(add(self.yaml)).flatten().map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> Option<Vec<String>> {
        (words != "-").then(|| words.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn lists_add_up_as_documented() {
        // YAML, YAML.add, label, label.add → sum
        for (yaml, yaml_add, label, label_add, expected) in [
            ("-", "-", "-", "-", ""),
            ("-", "-", "l", "-", "l"),
            ("y", "-", "l", "la", "y"),
            ("", "-", "l", "la", ""),
            ("-", "ya", "l", "-", "l ya"),
            ("y", "ya", "l", "-", "y ya"),
            ("-", "-", "l", "la", "l la"),
            ("-", "ya", "l", "la", "l la ya"),
            ("-", "ya", "-", "-", "ya"),
            ("-", "a", "a", "-", "a a"),
        ] {
            let yaml = Overrides { binds: list(yaml), binds_add: list(yaml_add), ..Overrides::default() };
            let label = Overrides { binds: list(label), binds_add: list(label_add), ..Overrides::default() };
            let layers = Layers { yaml: &yaml, label: &label, profile: Profile::Compat };
            let sum = layers.sum(|o| o.binds.as_ref(), |o| o.binds_add.as_ref());
            assert_eq!(sum.join(" "), expected, "{yaml:?} {label:?}");
        }
    }

    #[test]
    fn an_empty_string_does_not_override_but_an_empty_list_does() {
        let yaml = Overrides { net: Some(String::new()), env: Some(vec![]), ..Overrides::default() };
        let label = Overrides { net: Some("new".to_owned()), env: list("A=1"), ..Overrides::default() };
        let layers = Layers { yaml: &yaml, label: &label, profile: Profile::Compat };
        assert_eq!(layers.pick_text(|o| o.net.as_ref()), Some("new"));
        assert!(layers.list(|o| o.env.as_ref()).is_empty());
    }
}
