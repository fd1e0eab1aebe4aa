//! A cloud that we are logged in to.

use std::fmt;

use serde_json::Value;
use ureq::SendBody;
use ureq::http::{Method, Request};

use super::catalog::{self, Token};
use super::http::{Answer, Client, Trouble};
use super::{Login, OpenStackError};
use crate::image::registry::secret::Secret;

/// A service of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Glance.
    Image,
    /// Nova.
    Compute,
    /// Neutron.
    Network,
}

impl Service {
    fn kind(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Compute => "compute",
            Self::Network => "network",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Self::Image => "v2",
            Self::Compute => "v2.1",
            Self::Network => "v2.0",
        }
    }
}

/// A cloud that we are logged in to.
pub struct Cloud {
    client: Client,
    login: Login,
    token: Secret,
    catalog: Token,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cloud").field("auth_url", &self.login.auth_url).finish_non_exhaustive()
    }
}

impl Cloud {
    /// Logs in.
    ///
    /// # Errors
    /// When the cloud does not answer, or does not know us.
    pub fn log_in(login: Login) -> Result<Self, OpenStackError> {
        let client = Client::new(login.cacert.as_deref())?;
        let failed =
            |trouble| OpenStackError::Request { action: format!("log in at {}", login.auth_url), trouble };
        let request = Request::post(format!("{}/auth/tokens", login.auth_url))
            .header("content-type", "application/json")
            .body(login.request().to_string())
            .map_err(|error| failed(Trouble::Unexpected(error.to_string())))?;
        let Answer { token, body } = client.send(request).map_err(failed)?;
        let token = token.ok_or_else(|| failed(Trouble::Unexpected("the answer has no token".into())))?;
        let catalog = serde_json::from_value::<catalog::Answer>(body)
            .map_err(|error| failed(Trouble::Unexpected(format!("the answer has no catalogue: {error}"))))?;
        Ok(Self { client, login, token, catalog: catalog.token })
    }

    /// Asks a service: `what` is a path beneath its address, `action` what an error says could not be done.
    ///
    /// # Errors
    /// When there is no such service, or it refuses.
    pub fn ask(
        &self,
        service: Service,
        method: Method,
        what: &str,
        body: Option<&Value>,
        action: &str,
    ) -> Result<Value, OpenStackError> {
        let Some(body) = body else {
            return self.send(service, method, what, Vec::new(), SendBody::none(), action);
        };
        let text = body.to_string();
        let headers =
            vec![("content-type", "application/json".to_owned()), ("content-length", text.len().to_string())];
        self.send(service, method, what, headers, SendBody::from_reader(&mut text.as_bytes()), action)
    }

    /// Sends bytes of this length.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn upload(
        &self,
        service: Service,
        what: &str,
        bytes: &mut dyn std::io::Read,
        len: u64,
        action: &str,
    ) -> Result<(), OpenStackError> {
        let headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-length", len.to_string()),
        ];
        let mut bytes = bytes;
        self.send(service, Method::PUT, what, headers, SendBody::from_reader(&mut bytes), action).map(drop)
    }

    fn send(
        &self,
        service: Service,
        method: Method,
        what: &str,
        headers: Vec<(&'static str, String)>,
        body: SendBody<'_>,
        action: &str,
    ) -> Result<Value, OpenStackError> {
        let failed = |trouble| OpenStackError::Request { action: action.to_owned(), trouble };
        let url = format!("{}{what}", self.endpoint(service)?);
        let mut request =
            Request::builder().method(method).uri(url).header("x-auth-token", self.token.reveal());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| failed(Trouble::Unexpected(error.to_string())))?;
        Ok(self.client.send(request).map_err(failed)?.body)
    }

    fn endpoint(&self, service: Service) -> Result<String, OpenStackError> {
        let (interface, region) = (&self.login.interface, self.login.region.as_deref());
        self.catalog.endpoint(service.kind(), service.version(), interface, region).ok_or_else(|| {
            let in_region = region.map(|region| format!(" in region {region}")).unwrap_or_default();
            OpenStackError::NoService {
                service: service.kind(),
                where_: format!("{in_region} with a {interface} address"),
                found: match self.catalog.services().as_slice() {
                    [] => "the token is of no project".into(),
                    services => format!("its catalogue has {}", services.join(", ")),
                },
            }
        })
    }
}
