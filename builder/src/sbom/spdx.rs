//! Images and packages as one SPDX document (SPDX 2.3, clauses 6 to 11; the JSON form by its schema).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::package::encode;
use super::{Contained, Package, SbomError};
use crate::image::Digest;
use crate::utc::rfc3339;

/// Where the namespaces of documents are that have no address of their own (SPDX 2.3, 6.5).
const NAMESPACE: &str = "https://spdx.org/spdxdocs/lkb-machine";
const MACHINE: &str = "SPDXRef-machine";
/// What the field says that nobody has looked into.
const UNKNOWN: &str = "NOASSERTION";

/// The document. The same images at the same time make the same bytes; other ones have another namespace.
///
/// # Errors
/// When JSON cannot be written.
pub fn document(images: &[Contained], created: u64) -> Result<Vec<u8>, SbomError> {
    let mut packages = vec![element(MACHINE, "machine", None, "OPERATING-SYSTEM")];
    let mut relationships = vec![related("SPDXRef-DOCUMENT", "DESCRIBES", MACHINE)];
    let mut listed: BTreeMap<&str, (&Package, String)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for image in images.iter().filter(|image| seen.insert(&image.image)) {
        let id = id("image", &image.image, &image.digest.to_string());
        packages.push(image_element(&id, image));
        relationships.push(related(MACHINE, "CONTAINS", &id));
        for package in &image.packages {
            let (_, package) = listed
                .entry(&package.purl)
                .or_insert_with(|| (package, self::id("package", &package.name, &package.purl)));
            relationships.push(related(&id, "CONTAINS", package));
        }
    }
    packages.extend(listed.values().map(|(package, id)| package_element(id, package)));
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "machine",
        "documentNamespace": "",
        "creationInfo": {
            "created": rfc3339(created),
            "creators": [concat!("Tool: lkb-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    });
    let digest = Digest::of(&serde_json::to_vec(&document)?);
    document["documentNamespace"] = json!(format!("{NAMESPACE}-{}", digest.hex()));
    let mut bytes = serde_json::to_vec(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn element(id: &str, name: &str, version: Option<&str>, purpose: &str) -> Value {
    let mut element = json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": UNKNOWN,
        "copyrightText": UNKNOWN,
        "supplier": UNKNOWN,
        "primaryPackagePurpose": purpose,
    });
    if let Some(version) = version.filter(|version| !version.is_empty()) {
        element["versionInfo"] = json!(version);
    }
    element
}

fn image_element(id: &str, image: &Contained) -> Value {
    let digest = image.digest.to_string();
    let mut element = element(id, &image.image, Some(&digest), "CONTAINER");
    let last = image.name.rsplit('/').next().unwrap_or(&image.name);
    let purl = format!("pkg:oci/{}@{}?repository_url={}", encode(last), encode(&digest), encode(&image.name));
    element["externalRefs"] = json!([purl_reference(&purl)]);
    element["checksums"] = json!([{"algorithm": "SHA256", "checksumValue": image.digest.hex()}]);
    element
}

fn package_element(id: &str, package: &Package) -> Value {
    let mut element = element(id, &package.name, Some(&package.version), "LIBRARY");
    // Nobody has found out which of these it is.
    element.as_object_mut().map(|fields| fields.remove("primaryPackagePurpose"));
    element["externalRefs"] = json!([purl_reference(&package.purl)]);
    if !package.license.is_empty() {
        // Not as the declared licence, whose words are SPDX's: a package may write anything.
        element["licenseComments"] = json!(format!("The package states: {}", package.license));
    }
    if !package.source.is_empty() {
        element["sourceInfo"] = json!(format!("built from {}", package.source));
    }
    element
}

fn purl_reference(purl: &str) -> Value {
    json!({"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl})
}

fn related(from: &str, how: &str, to: &str) -> Value {
    json!({"spdxElementId": from, "relationshipType": how, "relatedSpdxElement": to})
}

/// An identifier that people recognise and that is nobody else's.
fn id(kind: &str, name: &str, unique: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = name.chars().map(fit).take(64).collect();
    let hex = Digest::of(unique.as_bytes()).hex();
    format!("SPDXRef-{kind}-{name}-{}", &hex[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        Package {
            name: name.into(),
            version: "1".into(),
            purl: format!("pkg:deb/debian/{name}@1"),
            license: "MIT".into(),
            source: String::new(),
        }
    }

    fn image(name: &str, packages: &[&str]) -> Contained {
        Contained {
            image: format!("{name}:1"),
            name: name.into(),
            digest: Digest::of(name.as_bytes()),
            packages: packages.iter().map(|name| package(name)).collect(),
        }
    }

    #[test]
    fn a_package_of_several_images_is_there_once_and_related_to_each() {
        let images = [image("a.example/x", &["one", "two"]), image("a.example/y", &["two"])];
        let bytes = document(&images, 0).unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let names: Vec<&str> =
            document["packages"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["machine", "a.example/x:1", "a.example/y:1", "one", "two"]);
        assert_eq!(document["relationships"].as_array().unwrap().len(), 1 + 2 + 3);
    }

    #[test]
    fn every_element_has_what_the_specification_requires() {
        let mut odd = image("a.example/ü x", &["one"]);
        odd.packages[0].name = "§".repeat(100);
        let document: Value = serde_json::from_slice(&document(&[odd], 0).unwrap()).unwrap();
        for field in ["spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace"] {
            assert!(!document[field].as_str().unwrap().is_empty(), "{field}");
        }
        let packages = document["packages"].as_array().unwrap();
        let ids: BTreeSet<&str> = packages.iter().map(|p| p["SPDXID"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), packages.len());
        for id in &ids {
            let rest = id.strip_prefix("SPDXRef-").unwrap();
            assert!(rest.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)), "{id}");
        }
        for package in packages {
            assert_eq!(package["filesAnalyzed"], false);
            assert_eq!(package["downloadLocation"], UNKNOWN);
        }
        for relationship in document["relationships"].as_array().unwrap() {
            assert!(ids.contains(relationship["relatedSpdxElement"].as_str().unwrap()));
        }
    }

    #[test]
    fn the_namespace_changes_with_the_content() {
        let namespace = |images: &[Contained], created| {
            let document: Value = serde_json::from_slice(&document(images, created).unwrap()).unwrap();
            document["documentNamespace"].as_str().unwrap().to_owned()
        };
        let (one, two) = ([image("x", &["a"])], [image("x", &["b"])]);
        assert_eq!(namespace(&one, 0), namespace(&one, 0));
        assert_ne!(namespace(&one, 0), namespace(&two, 0));
        assert_ne!(namespace(&one, 0), namespace(&one, 1));
    }
}
