//! Who we are: `OS_*` variables, and what `clouds.yaml` has for `OS_CLOUD`. Variables win.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{OpenStackError, clouds};
use crate::http::Secret;

/// How to log in, and what to use then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The Identity service, ending in its version.
    pub(super) auth_url: String,
    credentials: Credentials,
    /// The region of services; any, if there is none.
    pub(super) region: Option<String>,
    /// `public`, `internal` or `admin`.
    pub(super) interface: String,
    /// Certificates to trust beside the system's.
    pub(super) cacert: Option<PathBuf>,
}

#[derive(Clone, PartialEq, Eq)]
enum Credentials {
    Password {
        user: Named,
        password: Secret,
        project: Named,
    },
    /// An application credential has its project in it.
    Application {
        name: Named,
        user: Option<Named>,
        secret: Secret,
    },
    Token {
        token: Secret,
        project: Named,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

/// Something that is known by its id, or by its name in a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Id(String),
    Name { name: String, domain: Value },
}

impl Named {
    fn value(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name { name, domain } => json!({ "name": name, "domain": domain }),
        }
    }
}

impl Login {
    /// From the variables of a process, and `clouds.yaml` where these say so.
    ///
    /// # Errors
    /// When something is missing, or `clouds.yaml` cannot be read.
    pub fn from_environment() -> Result<Self, OpenStackError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(cloud) = variable("OS_CLOUD") else { return Self::of(&variable) };
        let home = std::env::home_dir();
        let places = match variable("OS_CLIENT_CONFIG_FILE") {
            Some(file) => vec![PathBuf::from(file)],
            None => clouds::places(home.as_deref()),
        };
        let found = places.iter().find(|path| path.is_file());
        let path = found.ok_or_else(|| {
            let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            OpenStackError::NoClouds(cloud.clone(), places.join(", "))
        })?;
        let entries = clouds::read(path, &cloud)?;
        Self::of(&|name| variable(name).or_else(|| entries.get(name).cloned()))
    }

    /// From variables.
    pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, OpenStackError> {
        let first = |names: &[&'static str]| names.iter().find_map(|name| variable(name));
        let wanted = |name: &'static str| variable(name).ok_or(OpenStackError::NotSet(name));
        let named = |id: &[&'static str], name: &[&'static str], domain: [&str; 2]| {
            let domain = match domain.map(variable) {
                [Some(id), _] => json!({ "id": id }),
                [None, name] => json!({ "name": name.unwrap_or_else(|| "Default".into()) }),
            };
            first(id).map(Named::Id).or_else(|| first(name).map(|name| Named::Name { name, domain }))
        };
        let user = named(&["OS_USER_ID"], &["OS_USERNAME"], ["OS_USER_DOMAIN_ID", "OS_USER_DOMAIN_NAME"]);
        let project = || {
            let domain = ["OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME"];
            named(&["OS_PROJECT_ID", "OS_TENANT_ID"], &["OS_PROJECT_NAME", "OS_TENANT_NAME"], domain)
                .ok_or(OpenStackError::NotSet("OS_PROJECT_NAME"))
        };
        let auth_url = versioned(&wanted("OS_AUTH_URL")?);
        let application = variable("OS_APPLICATION_CREDENTIAL_ID").map(Named::Id).or_else(|| {
            let name = variable("OS_APPLICATION_CREDENTIAL_NAME")?;
            Some(Named::Name { name, domain: Value::Null })
        });
        let credentials = if let Some(name) = application {
            let secret = Secret::new(wanted("OS_APPLICATION_CREDENTIAL_SECRET")?);
            Credentials::Application { name, user, secret }
        } else if let Some(token) = variable("OS_TOKEN") {
            Credentials::Token { token: Secret::new(token), project: project()? }
        } else {
            let user = user.ok_or(OpenStackError::NotSet("OS_USERNAME"))?;
            let password = Secret::new(wanted("OS_PASSWORD")?);
            Credentials::Password { user, password, project: project()? }
        };
        let interface = first(&["OS_INTERFACE", "OS_ENDPOINT_TYPE"]).unwrap_or_else(|| "public".into());
        Ok(Self {
            auth_url,
            credentials,
            region: variable("OS_REGION_NAME"),
            interface: interface.trim_end_matches("URL").to_owned(),
            cacert: variable("OS_CACERT").map(|path| Path::new(&path).to_owned()),
        })
    }

    /// What is sent for a token.
    pub(super) fn request(&self) -> Value {
        let scope = |project: &Named| json!({ "project": project.value() });
        let auth = match &self.credentials {
            Credentials::Password { user, password, project } => {
                let mut user = user.value();
                user["password"] = password.reveal().into();
                json!({ "identity": { "methods": ["password"], "password": { "user": user } }, "scope": scope(project) })
            }
            Credentials::Token { token, project } => json!({
                "identity": { "methods": ["token"], "token": { "id": token.reveal() } }, "scope": scope(project)
            }),
            Credentials::Application { name, user, secret } => {
                let mut credential = match name {
                    Named::Id(id) => json!({ "id": id }),
                    Named::Name { name, .. } => json!({ "name": name }),
                };
                credential["secret"] = secret.reveal().into();
                // A name is one of the user's; an id is known by itself.
                if let (Named::Name { .. }, Some(user)) = (name, user) {
                    credential["user"] = user.value();
                }
                json!({ "identity": { "methods": ["application_credential"], "application_credential": credential } })
            }
        };
        json!({ "auth": auth })
    }
}

/// The address with the version at its end.
fn versioned(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(variables: &[(&str, &str)]) -> Result<Login, String> {
        let find =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Login::of(&find).map_err(|error| error.to_string())
    }

    const PASSWORD: [(&str, &str); 4] = [
        ("OS_AUTH_URL", "http://k:5000"),
        ("OS_USERNAME", "demo"),
        ("OS_PASSWORD", "hidden"),
        ("OS_PROJECT_NAME", "p"),
    ];

    #[test]
    fn a_password_asks_for_a_token_of_its_project() {
        let login = login(&PASSWORD).unwrap();
        assert_eq!((login.auth_url.as_str(), login.interface.as_str()), ("http://k:5000/v3", "public"));
        assert_eq!(
            login.request(),
            json!({ "auth": {
                "identity": { "methods": ["password"], "password": { "user": {
                    "name": "demo", "domain": { "name": "Default" }, "password": "hidden" } } },
                "scope": { "project": { "name": "p", "domain": { "name": "Default" } } },
            } })
        );
        assert!(!format!("{login:?}").contains("hidden"));
    }

    #[test]
    fn an_application_credential_needs_no_project() {
        let login = login(&[
            ("OS_AUTH_URL", "http://k/identity/v3/"),
            ("OS_APPLICATION_CREDENTIAL_ID", "abc"),
            ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
            ("OS_INTERFACE", "internalURL"),
        ])
        .unwrap();
        assert_eq!((login.auth_url.as_str(), login.interface.as_str()), ("http://k/identity/v3", "internal"));
        assert_eq!(
            login.request(),
            json!({ "auth": { "identity": {
                "methods": ["application_credential"], "application_credential": { "id": "abc", "secret": "s" }
            } } })
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for without in 0..PASSWORD.len() {
            let mut variables = PASSWORD.to_vec();
            let (name, _) = variables.remove(without);
            assert!(login(&variables).unwrap_err().contains(&format!("{name} is not set")), "{name}");
        }
    }
}
