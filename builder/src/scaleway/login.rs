//! Who asks, and where: options win over `SCW_*` variables, and these over a profile of `config.yaml`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::ScalewayError;
use crate::http::Secret;

/// No such file is larger, in bytes.
const MAX: u64 = 1 << 20;

/// Who asks, and where.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub(super) secret: Secret,
    /// The zone; it is fit to be part of an address.
    pub(super) zone: String,
    pub(super) url: String,
    owner: (&'static str, String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("zone", &self.zone).finish_non_exhaustive()
    }
}

/// `config.yaml`: a profile, and further ones by name.
#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(flatten)]
    own: BTreeMap<String, Value>,
}

impl Login {
    /// From options, the variables of a process, and `config.yaml`.
    ///
    /// # Errors
    /// When nobody says who asks and for whom, or `config.yaml` cannot be read.
    pub fn new(zone: Option<&str>, organization: Option<&str>) -> Result<Self, ScalewayError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let given = |name: &str| match name {
            "SCW_DEFAULT_ZONE" => zone.map(str::to_owned),
            "SCW_DEFAULT_ORGANIZATION_ID" => organization.map(str::to_owned),
            // Who names an organization means it, not a project of another one.
            "SCW_DEFAULT_PROJECT_ID" if organization.is_some() => Some(String::new()),
            _ => None,
        };
        Self::of(&|name| given(name).or_else(|| variable(name)), std::env::home_dir().as_deref())
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Self, ScalewayError> {
        let file = variable("SCW_CONFIG_PATH").map(PathBuf::from);
        let file = file.or_else(|| Some(PathBuf::from(variable("XDG_CONFIG_HOME")?).join("scw/config.yaml")));
        let file = file.or_else(|| Some(home?.join(".config/scw/config.yaml")));
        let profile = match &file {
            Some(path) => read(path, variable("SCW_PROFILE").as_deref())?,
            None => BTreeMap::new(),
        };
        let get = |key: &str| {
            let said = variable(&format!("SCW_{}", key.to_uppercase())).or_else(|| profile.get(key).cloned());
            said.filter(|value| !value.is_empty())
        };
        let looked = file.map(|path| format!(", and {} has no secret_key", path.display()));
        let secret = get("secret_key").ok_or(ScalewayError::NoKey { looked: looked.unwrap_or_default() })?;
        let project = get("default_project_id").map(|id| ("project", id));
        let owner = project.or_else(|| get("default_organization_id").map(|id| ("organization", id)));
        Ok(Self {
            secret: Secret::new(secret),
            zone: zone(&get("default_zone").unwrap_or_else(|| "par1".into()))?,
            url: get("api_url").unwrap_or_else(|| "https://api.scaleway.com".into()),
            owner: owner.ok_or(ScalewayError::NoProject)?,
        })
    }

    /// What is made, and whose it is.
    pub(super) fn owned(&self, mut body: Value) -> Value {
        body[self.owner.0] = json!(self.owner.1);
        body
    }

    /// The part of a query that asks for what is one's own.
    pub(super) fn query(&self) -> (&'static str, &str) {
        (self.owner.0, &self.owner.1)
    }
}

/// A zone by its name, or by the one that it had at first.
fn zone(name: &str) -> Result<String, ScalewayError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match name {
        "par1" => Ok("fr-par-1".into()),
        "ams1" => Ok("nl-ams-1".into()),
        name if !name.is_empty() && name.bytes().all(plain) => Ok(name.to_owned()),
        _ => Err(ScalewayError::Zone(name.to_owned())),
    }
}

fn read(path: &Path, profile: Option<&str>) -> Result<BTreeMap<String, String>, ScalewayError> {
    let failed = |reason: String| ScalewayError::Config { path: path.to_owned(), reason };
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(MAX + 1).read_to_string(&mut text)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failed(error.to_string())),
        Ok(_) if text.len() as u64 > MAX => return Err(failed("it has more than 1 MiB".into())),
        Ok(_) => {}
    }
    entries(&text, profile).map_err(failed)
}

/// What the file itself says, and over it the profile that is active or asked for.
fn entries(text: &str, profile: Option<&str>) -> Result<BTreeMap<String, String>, String> {
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let Config { own } = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let strings = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let mut said: BTreeMap<String, String> = own.iter().filter_map(strings).collect();
    if let Some(name) = profile.or(own.get("active_profile").and_then(Value::as_str)) {
        let found = own.get("profiles").and_then(|profiles| profiles.get(name)).and_then(Value::as_object);
        let found = found.ok_or_else(|| format!("it has no profile {name}"))?;
        said.extend(found.iter().filter_map(strings));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "secret_key: hidden\ndefault_project_id: p\ndefault_zone: fr-par-2\nprofiles:\n  two:\n    secret_key: two\n";

    fn login(variables: &[(&str, &str)], text: &str) -> Result<Login, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".config/scw")).unwrap();
        std::fs::write(home.path().join(".config/scw/config.yaml"), text).unwrap();
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Login::of(&find, Some(home.path())).map_err(|error| error.to_string())
    }

    #[test]
    fn variables_win_over_profiles_and_these_over_the_file() {
        let plain = login(&[], TEXT).unwrap();
        assert_eq!(
            (plain.secret.reveal(), plain.zone.as_str(), plain.query()),
            ("hidden", "fr-par-2", ("project", "p"))
        );
        assert!(!format!("{plain:?}").contains("hidden"));
        let two = login(&[("SCW_PROFILE", "two"), ("SCW_DEFAULT_ZONE", "ams1")], TEXT).unwrap();
        assert_eq!((two.secret.reveal(), two.zone.as_str()), ("two", "nl-ams-1"));
        let own =
            [("SCW_SECRET_KEY", "own"), ("SCW_DEFAULT_ORGANIZATION_ID", "o"), ("SCW_API_URL", "http://x")];
        let own = login(&own, "").unwrap();
        assert_eq!(
            (own.secret.reveal(), own.zone.as_str(), own.url.as_str()),
            ("own", "fr-par-1", "http://x")
        );
        assert_eq!(own.owned(json!({ "name": "n" })), json!({ "name": "n", "organization": "o" }));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (variables, text, says) in [
            (("X", ""), "", "SCW_SECRET_KEY is not set, and "),
            (("SCW_SECRET_KEY", "s"), "", "neither SCW_DEFAULT_PROJECT_ID nor"),
            (("SCW_DEFAULT_ZONE", "a/b"), TEXT, "\"a/b\" is no zone"),
            (("SCW_PROFILE", "three"), TEXT, "it has no profile three"),
            (("X", ""), "- 1", "config.yaml"),
        ] {
            let error = login(&[variables], text).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
