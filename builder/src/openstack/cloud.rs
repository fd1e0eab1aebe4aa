//! A cloud that we are logged in to.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use ureq::http::Method;

use super::catalog::{self, Token};
use super::{Login, OpenStackError};
use crate::http::{Body, Client, Request, Secret, Trouble};

/// How long the other side may say nothing. Storage behind the Image service may be slow with a large image.
const SILENCE: Duration = Duration::from_secs(600);

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
        let certificates: Vec<_> = login.cacert.iter().cloned().collect();
        let client = Client::new(&certificates, SILENCE)?;
        let failed =
            |trouble| OpenStackError::Request { action: format!("log in at {}", login.auth_url), trouble };
        let request = || {
            let body = Body::Bytes(login.request().to_string().into_bytes());
            // A second token does no harm.
            Request::new(Method::POST, format!("{}/auth/tokens", login.auth_url))
                .body("application/json", body)
                .repeatable()
        };
        let answer = client.send(&request).and_then(|answer| answer.ok()).map_err(failed)?;
        let token = answer.header("x-subject-token").map(Secret::new);
        let token = token.ok_or_else(|| failed(Trouble::Unexpected("the answer has no token".into())))?;
        let catalog: catalog::Answer = answer.json().map_err(failed)?;
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
        let failed = |trouble| OpenStackError::Request { action: action.to_owned(), trouble };
        let url = self.url(service, what)?;
        let request = || {
            let request =
                Request::new(method.clone(), url.as_str()).secret("x-auth-token", self.token.clone());
            match body {
                None => request,
                Some(body) => request.body("application/json", Body::Bytes(body.to_string().into_bytes())),
            }
        };
        let answer = self.client.send(&request).and_then(|answer| answer.ok()).map_err(failed)?;
        // What is deleted or begun has nothing to say.
        Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
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
        let failed = |trouble| OpenStackError::Request { action: action.to_owned(), trouble };
        let request = Request::new(Method::PUT, self.url(service, what)?)
            .secret("x-auth-token", self.token.clone())
            .body("application/octet-stream", Body::Once { reader: bytes, len });
        self.client.once(request).and_then(|answer| answer.ok()).map(drop).map_err(failed)
    }

    fn url(&self, service: Service, what: &str) -> Result<String, OpenStackError> {
        Ok(format!("{}{what}", self.endpoint(service)?))
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
