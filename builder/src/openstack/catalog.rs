//! Where a service is, by the catalogue that comes with a token.

use serde::Deserialize;

/// What comes with a token.
#[derive(Debug, Default, Deserialize)]
pub struct Answer {
    pub token: Token,
}

/// A token's properties.
#[derive(Debug, Default, Deserialize)]
pub struct Token {
    #[serde(default)]
    pub catalog: Vec<Entry>,
}

/// A service.
#[derive(Debug, Deserialize)]
pub struct Entry {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// One of its addresses.
#[derive(Debug, Deserialize)]
pub struct Endpoint {
    pub interface: String,
    pub region_id: Option<String>,
    pub url: String,
}

impl Token {
    /// The address of a service in a region, with `version` at its end: some catalogues have it there, some not.
    pub fn endpoint(
        &self,
        kind: &str,
        version: &str,
        interface: &str,
        region: Option<&str>,
    ) -> Option<String> {
        let fits = |endpoint: &&Endpoint| {
            let here = region.is_none_or(|region| endpoint.region_id.as_deref() == Some(region));
            endpoint.interface == interface && here
        };
        let services = self.catalog.iter().filter(|entry| entry.kind == kind);
        let endpoint = services.flat_map(|entry| &entry.endpoints).find(fits)?;
        let url = endpoint.url.trim_end_matches('/');
        let has_version = url.rsplit('/').take(2).any(|part| {
            part.strip_prefix('v').is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        });
        Some(if has_version { url.to_owned() } else { format!("{url}/{version}") })
    }

    /// All types of services.
    pub fn services(&self) -> Vec<&str> {
        self.catalog.iter().map(|entry| entry.kind.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_that_of_the_region_with_its_version() {
        let endpoint = |interface: &str, region: &str, url: &str| serde_json::json!({ "interface": interface, "region_id": region, "url": url });
        let token: Token = serde_json::from_value(serde_json::json!({ "catalog": [
            { "type": "image", "endpoints": [
                endpoint("admin", "A", "http://admin"), endpoint("public", "A", "http://a/image/"),
                endpoint("public", "B", "http://b/v2"),
            ] },
            { "type": "compute", "endpoints": [endpoint("public", "A", "http://a/v2.1/0123")] },
            { "type": "empty" },
        ] }))
        .unwrap();
        for (kind, interface, region, expected) in [
            ("image", "public", None, Some("http://a/image/v2")),
            ("image", "public", Some("B"), Some("http://b/v2")),
            ("image", "public", Some("C"), None),
            ("image", "internal", None, None),
            ("compute", "public", Some("A"), Some("http://a/v2.1/0123")),
            ("empty", "public", None, None),
        ] {
            let found = token.endpoint(kind, "v2", interface, region);
            assert_eq!(found.as_deref(), expected, "{kind} {interface} {region:?}");
        }
    }
}
