//! Who asks, and where: variables win over profiles.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{AwsError, profile};
use crate::http::Secret;

/// Who asks, and where.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub(super) keys: Keys,
    /// The region; it is fit to be part of an address.
    pub(super) region: String,
    /// Where EC2 is, if not where it usually is.
    pub(super) ec2: Option<String>,
    /// The same for S3.
    pub(super) s3: Option<String>,
    /// Certificates to trust beside the system's.
    pub(super) certificates: Vec<PathBuf>,
}

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) id: String,
    pub(super) secret: Secret,
    /// The session that it belongs to.
    pub(super) session: Option<Secret>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Login {
    /// From the variables of a process, and the profile that these name.
    ///
    /// # Errors
    /// When nobody says who asks or in which region, or a file of profiles cannot be read.
    pub fn from_environment() -> Result<Self, AwsError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::of(&variable, std::env::home_dir().as_deref())
    }

    fn of(variable: &dyn Fn(&str) -> Option<String>, home: Option<&Path>) -> Result<Self, AwsError> {
        let name = variable("AWS_PROFILE").unwrap_or_else(|| "default".into());
        let file = |set: &str, usual: &str| match (variable(set), home) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, Some(home)) => Some(home.join(usual)),
            (None, None) => None,
        };
        let credentials = file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
        let config = file("AWS_CONFIG_FILE", ".aws/config");
        let section = if name == "default" { name.clone() } else { format!("profile {name}") };
        let mut said =
            config.as_deref().map(|path| profile::read(path, &section)).transpose()?.unwrap_or_default();
        if let Some(path) = &credentials {
            said.extend(profile::read(path, &name)?);
        }

        let keys = |get: &dyn Fn(&str) -> Option<String>| {
            let session = get("aws_session_token").map(Secret::new);
            Some(Keys {
                id: get("aws_access_key_id")?,
                secret: Secret::new(get("aws_secret_access_key")?),
                session,
            })
        };
        let keys = keys(&|key| variable(&key.to_uppercase())).or_else(|| keys(&|key| said.get(key).cloned()));
        let keys = keys.ok_or_else(|| {
            let places = [&config, &credentials].into_iter().flatten().map(|path| path.display().to_string());
            AwsError::NoKeys {
                looked: places.collect::<Vec<_>>().join(" and "),
                hint: hint(&name, &said),
                profile: name.clone(),
            }
        })?;
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(variable);
        let region = region.or_else(|| said.get("region").cloned()).ok_or(AwsError::NoRegion(name))?;
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(AwsError::Region(region));
        }
        let endpoint = |own: &str| variable(own).or_else(|| variable("AWS_ENDPOINT_URL"));
        Ok(Self {
            keys,
            region,
            ec2: endpoint("AWS_ENDPOINT_URL_EC2"),
            s3: endpoint("AWS_ENDPOINT_URL_S3"),
            certificates: variable("AWS_CA_BUNDLE").map(PathBuf::from).into_iter().collect(),
        })
    }
}

/// What to do about a profile that has no keys, but a way to them that only Amazon's own tools go.
fn hint(name: &str, said: &profile::Profile) -> String {
    let ways = ["sso_session", "sso_start_url", "credential_process", "role_arn", "login_session"];
    match ways.into_iter().find(|way| said.contains_key(*way)) {
        Some(way) => format!(
            "; it has {way}: put the keys into variables with `eval \"$(aws configure export-credentials --profile {name} \
             --format env)\"`"
        ),
        None => "; make them with `aws configure`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(variables: &[(&str, &str)], home: &Path) -> Result<Login, String> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Login::of(&find, Some(home)).map_err(|error| error.to_string())
    }

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        let config = "[default]\nregion = eu-west-1\n[profile work]\nregion = us-east-1\nsso_session = s\n[profile two]\n";
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        let credentials = "[default]\naws_access_key_id = file\naws_secret_access_key = hidden\n\
                           [two]\naws_access_key_id = second\naws_secret_access_key = hidden\naws_session_token = t\n";
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        home
    }

    #[test]
    fn variables_win_over_profiles() {
        let home = home();
        let files = login(&[], home.path()).unwrap();
        assert_eq!((files.keys.id.as_str(), files.region.as_str()), ("file", "eu-west-1"));
        assert!(!format!("{files:?}").contains("hidden"));
        let own = [
            ("AWS_ACCESS_KEY_ID", "own"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_DEFAULT_REGION", "b"),
            ("AWS_REGION", "a"),
            ("AWS_ENDPOINT_URL", "http://x"),
            ("AWS_ENDPOINT_URL_S3", "http://y"),
        ];
        let own = login(&own, home.path()).unwrap();
        assert_eq!((own.keys.id.as_str(), own.region.as_str(), own.keys.session), ("own", "a", None));
        assert_eq!((own.ec2.as_deref(), own.s3.as_deref()), (Some("http://x"), Some("http://y")));
        let two = login(&[("AWS_PROFILE", "two"), ("AWS_REGION", "c")], home.path()).unwrap();
        assert_eq!((two.keys.id.as_str(), two.keys.session), ("second", Some(Secret::new("t"))));
    }

    #[test]
    fn what_is_missing_is_named() {
        let home = home();
        for (variables, says) in [
            ([("AWS_PROFILE", "work")], "profile work has no keys"),
            ([("AWS_PROFILE", "work")], "it has sso_session: put the keys into variables"),
            ([("AWS_PROFILE", "none")], "make them with `aws configure`"),
            ([("AWS_PROFILE", "two")], "no region is set; set AWS_REGION, or give profile two one"),
            ([("AWS_REGION", "x.example/")], "\"x.example/\" is no region"),
        ] {
            let error = login(&variables, home.path()).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
