//! Amazon EC2: the instance metadata service, version 2.
//!
//! Source: Amazon EC2 User Guide, "Access instance metadata" and "Instance metadata categories". A session's token is
//! had by PUT and goes with every request; 403 says that the service is switched off, 401 that the token has run out.

use super::session::{MAX_VALUE, Session};
use super::{Provider, Reading, ec2_tree};
use crate::fetch::{FetchError, Fetcher};
use crate::http::Header;
use crate::local::Local;
use crate::metadata::Fact;
use crate::service::Service;

const TOKEN: &str = "/latest/api/token";
const TTL_HEADER: &str = "X-aws-ec2-metadata-token-ttl-seconds";
const TOKEN_HEADER: &str = "X-aws-ec2-metadata-token";
/// Seconds that a token is good for: longer than the longest deadline.
const TTL: &str = "7200";
const NO_TOKEN: &str = "no session tokens (IMDSv2)";
const NOTHING: &str = "no /latest/meta-data/instance-id";

const INSTANCE_ID: &str = "/latest/meta-data/instance-id";

/// Amazon EC2.
#[derive(Debug, Clone, Copy)]
pub struct Aws;

impl Provider for Aws {
    fn name(&self) -> &'static str {
        "aws"
    }

    fn title(&self) -> &'static str {
        "AWS"
    }

    fn service(&self, _local: &Local) -> Option<Service> {
        Some(Service::Common)
    }

    fn read(&self, _local: &Local, http: &mut Fetcher<'_>) -> Result<Reading, FetchError> {
        match token(http)? {
            Some(header) => http.set_header(header),
            None if http.allows_imdsv1() => {}
            None => return Err(FetchError::NotThere { address: http.address(), nothing: NO_TOKEN }),
        }
        let mut session = Session::new(http);
        session.required_fact(Fact::InstanceId, INSTANCE_ID, NOTHING)?;
        let facts: Vec<_> =
            ec2_tree::FACTS.iter().copied().filter(|(fact, _)| *fact != Fact::InstanceId).collect();
        session.facts(&facts);
        session.facts(&[(Fact::Region, "/latest/meta-data/placement/region")]);
        ec2_tree::public_keys(&mut session);
        session.user_data(ec2_tree::USER_DATA);
        Ok(session.reading)
    }
}

/// A session's token, as it goes with each request; none if the service has none to give.
fn token(http: &mut Fetcher<'_>) -> Result<Option<Header>, FetchError> {
    let Some(ttl) = Header::new(TTL_HEADER, TTL) else { return Ok(None) };
    let token = match http.put(TOKEN, ttl, MAX_VALUE) {
        Ok(token) => token.unwrap_or_default(),
        // Nobody who has tokens refuses to make them this way.
        Err(FetchError::Status { status: 400 | 405 | 501, .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let token = std::str::from_utf8(&token).ok().map(str::trim).filter(|token| !token.is_empty());
    Ok(token.and_then(|token| Header::new(TOKEN_HEADER, token)))
}
