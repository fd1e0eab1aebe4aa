//! What whoever has built an image says is in it: an SPDX document in an in-toto statement, as BuildKit attaches it.

use serde::Deserialize;

use super::MAX_PACKAGES;
use super::package::{Package, shown};

#[derive(Deserialize)]
struct Statement {
    predicate: Document,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    packages: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version_info: String,
    #[serde(default)]
    license_declared: String,
    #[serde(default)]
    external_refs: Vec<External>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct External {
    #[serde(default)]
    reference_type: String,
    #[serde(default)]
    reference_locator: String,
}

/// The packages of a statement that have a package URL. A statement that cannot be read says nothing: it is not
/// needed, and what the image's own databases list does not depend on it.
pub(super) fn packages(statement: &[u8]) -> Vec<Package> {
    let Ok(Statement { predicate }) = serde_json::from_slice(statement) else { return Vec::new() };
    let listed = predicate.packages.into_iter().take(MAX_PACKAGES);
    listed
        .filter_map(|listed| {
            let purl = listed.external_refs.into_iter().find(|external| external.reference_type == "purl");
            let purl = purl?.reference_locator;
            let is_fit = purl.starts_with("pkg:") && purl.len() <= 1024;
            (is_fit && !purl.chars().any(|c| c.is_control() || c.is_whitespace())).then(|| Package {
                name: shown(&listed.name),
                version: shown(&listed.version_info),
                purl,
                license: match listed.license_declared.as_str() {
                    "NOASSERTION" | "NONE" => String::new(),
                    license => shown(license),
                },
                source: String::new(),
            })
        })
        .filter(|package| !package.name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_a_package_url_are_taken_over() {
        let listed = |purl: &str| {
            serde_json::json!({
                "name": "x", "versionInfo": "1", "licenseDeclared": "MIT",
                "externalRefs": [
                    {"referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x"},
                    {"referenceType": "purl", "referenceLocator": purl},
                ],
            })
        };
        let all = [listed("pkg:golang/x@1"), listed("x"), listed("pkg:a b"), serde_json::json!({})];
        let statement = serde_json::json!({"predicate": {"packages": all}});
        let found = packages(statement.to_string().as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].purl.as_str(), found[0].license.as_str()), ("pkg:golang/x@1", "MIT"));
        assert_eq!(packages(b"no JSON"), []);
    }
}
