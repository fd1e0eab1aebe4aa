//! Images that must be signed, with keys and signatures made here by OpenSSL, in cosign's formats.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Home;
use super::images::{INDEX, Image, MANIFEST, digest, hex, index};
use super::real::{Registry, run};

const P256: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P384: &[&str] = &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const RSA: &[&str] = &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const ED25519: &[&str] = &["ed25519"];

/// A key pair in files.
struct Signer {
    dir: tempfile::TempDir,
    raw: bool,
}

impl Signer {
    fn new(algorithm: &[&str]) -> Self {
        let signer = Self { dir: tempfile::tempdir().unwrap(), raw: algorithm == ED25519 };
        signer.openssl(&[&["genpkey", "-out", "key.pem", "-algorithm"], algorithm].concat());
        signer.openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "key.pub"]);
        signer
    }

    fn public(&self) -> PathBuf {
        self.dir.path().join("key.pub")
    }

    fn sign(&self, message: &[u8]) -> String {
        std::fs::write(self.dir.path().join("message"), message).unwrap();
        let signature = match self.raw {
            true => self.openssl(&["pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "message"]),
            false => self.openssl(&["dgst", "-sha256", "-sign", "key.pem", "message"]),
        };
        STANDARD.encode(signature)
    }

    fn openssl(&self, args: &[&str]) -> Vec<u8> {
        run(Command::new("openssl").current_dir(self.dir.path()).args(args))
    }

    /// What `cosign sign` attaches to an image, by this payload.
    fn signature(&self, payload: &Value) -> Image {
        let payload = payload.to_string().into_bytes();
        let signature = self.sign(&payload);
        attachment(
            "application/vnd.dev.cosign.simplesigning.v1+json",
            payload,
            &json!({"dev.cosignproject.cosign/signature": signature}),
        )
    }

    /// Attaches a signature of this digest to its repository.
    fn attach(&self, registry: &Registry, repository: &str, digest: &str) {
        let payload = payload(&format!("{}/{repository}", registry.host()), digest);
        registry.push(repository, &tag(digest), &self.signature(&payload));
    }
}

/// An artifact of one blob.
fn attachment(kind: &str, blob: Vec<u8>, annotations: &Value) -> Image {
    let config = b"{}".to_vec();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest(&config), "size": config.len(),
        },
        "layers": [{
            "mediaType": kind, "digest": digest(&blob), "size": blob.len(), "annotations": annotations,
        }],
    });
    let manifest = manifest.to_string().into_bytes();
    Image { kind: MANIFEST, arch: "", manifest, config, layers: vec![blob] }
}

fn payload(reference: &str, digest: &str) -> Value {
    json!({
        "critical": {
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": "cosign container image signature",
        },
        "optional": null,
    })
}

fn tag(digest: &str) -> String {
    format!("{}.sig", digest.replace(':', "-"))
}

const BUILD: [&str; 6] = ["build", "--arch", "amd64", "--format", "tar", "m.yml"];

/// A home whose `m.yml` names `acme/app:1` and trusts who has signed what is acme's.
fn home(registry: &Registry, more: &str) -> Home {
    let home = Home::new();
    let text = format!("init: ['{}/acme/app:1']\ntrust:\n  org: [acme]\n{more}", registry.host());
    std::fs::write(home.path("m.yml"), text).unwrap();
    home
}

fn with_key(key: &str) -> Vec<&str> {
    [&BUILD[..], &["--trust-key", key]].concat()
}

fn path(signer: &Signer) -> String {
    signer.public().to_str().unwrap().to_owned()
}

#[test]
fn a_signed_image_is_built_and_built_again_off_line() {
    let image = Image::new("amd64", &[b"one"]);
    for algorithm in [P256, P384, RSA, ED25519] {
        let (registry, signer) = (Registry::plain(), Signer::new(algorithm));
        registry.push("acme/app", "1", &image);
        signer.attach(&registry, "acme/app", &digest(&image.manifest));
        let home = home(&registry, "");
        home.works(&with_key(&path(&signer)));
        drop(registry);
        std::fs::remove_file(home.path("m.tar")).unwrap();
        home.works(&with_key(&path(&signer)));
        assert!(home.path("m.tar").exists());

        // Whoever changes the key has to have it signed again.
        let other = Signer::new(algorithm);
        let said = home.fails(&with_key(&path(&other)));
        assert!(said.contains("by none of the keys") && said.contains("cannot be reached"), "{said}");
    }
}

#[test]
fn an_image_that_was_pulled_has_its_signatures_with_it() {
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    let signer = Signer::new(P256);
    for signed in [index(&[&amd64, &arm64]), amd64.manifest.clone()] {
        let registry = Registry::plain();
        registry.push_index("acme/app", "1", &[&amd64, &arm64]);
        signer.attach(&registry, "acme/app", &digest(&signed));
        let home = home(&registry, "");
        let name = format!("{}/acme/app:1", registry.host());
        let (said, answer) = home.works(&["cache", "pull", "--platform=linux/amd64", &name]);
        assert_eq!(answer, format!("{name} {}\n", digest(&index(&[&amd64, &arm64]))));
        assert!(!said.contains("warning"), "{said}");
        drop(registry);
        home.works(&with_key(&path(&signer)));
        let said = home.fails(&with_key(&path(&Signer::new(P256))));
        assert!(said.contains("by none of the keys"), "{said}");
    }
}

#[test]
fn what_is_not_signed_as_it_must_be_is_not_built() {
    let (signer, other) = (Signer::new(P256), Signer::new(P256));
    let image = Image::new("amd64", &[b"one"]);
    let digest = digest(&image.manifest);
    let wrong = format!("sha256:{}", hex(b"another image"));
    let registry = Registry::plain();
    registry.push("acme/app", "1", &image);
    let name = format!("{}/acme/app", registry.host());
    let mut unannotated = signer.signature(&payload(&name, &digest));
    let text = String::from_utf8(unannotated.manifest).unwrap();
    unannotated.manifest = text.replace("cosign/signature", "cosign/other").into_bytes();
    let mut kind = payload(&name, &digest);
    kind["critical"]["type"] = json!("something else");
    for (attached, said) in [
        (None, "neither the cache nor its registry has a signature of sha256:"),
        (Some(other.signature(&payload(&name, &digest))), "a signature is by none of the keys"),
        (
            Some(signer.signature(&payload(&name, &wrong))),
            &format!("a signature is for {wrong}, which is another"),
        ),
        (
            Some(signer.signature(&payload("docker.io/acme/app", &digest))),
            "an image of another name, docker.io/acme/app",
        ),
        (
            Some(signer.signature(&payload(&format!("{name}:2"), &digest))),
            &format!("an image of another name, {name}:2"),
        ),
        (Some(unannotated), "a signature is by none of the keys"),
        (Some(signer.signature(&kind)), "malformed: it calls itself \"something else\""),
        (Some(signer.signature(&json!({"critical": {}}))), "malformed: missing field"),
    ] {
        if let Some(attached) = attached {
            registry.push("acme/app", &tag(&digest), &attached);
        }
        let home = home(&registry, "");
        let told = home.fails(&with_key(&path(&signer)));
        let start = format!("m.yml:1:8: image {name}:1 must be signed (trust.org: acme): ");
        assert!(told.contains(&start) && told.contains(said), "{said:?} is missing in {told}");
        assert!(told.contains(&format!("`cosign sign --key KEY {name}@{digest}`")), "{told}");
        assert!(!home.path("m.tar").exists());
    }
    // What counts is not worth less beside what does not.
    let good = signer.signature(&payload(&format!("{name}:1"), &digest));
    registry.push("acme/app", &tag(&digest), &good);
    home(&registry, "").works(&with_key(&path(&signer)));
}

#[test]
fn a_trusted_name_without_a_usable_key_is_an_error() {
    let (registry, signer) = (Registry::plain(), Signer::new(P256));
    let image = Image::new("amd64", &[b"one"]);
    registry.push("acme/app", "1", &image);
    signer.attach(&registry, "acme/app", &digest(&image.manifest));
    let home = home(&registry, "");
    let said = home.fails(&BUILD);
    assert!(
        said.contains("there is no key to check signatures with; give it with `--trust-key FILE`"),
        "{said}"
    );

    std::fs::write(home.path("empty.pem"), "").unwrap();
    for (key, reason) in [
        ("absent.pem".to_owned(), "cannot read the key absent.pem: No such file"),
        ("empty.pem".to_owned(), "there is no `PUBLIC KEY` in it"),
        (signer.dir.path().join("key.pem").to_str().unwrap().to_owned(), "it is a private key"),
        (path(&Signer::new(&["X25519"])), "it is neither ECDSA (P-256, P-384) nor Ed25519 nor RSA"),
    ] {
        let said = home.fails(&with_key(&key));
        assert!(said.contains(reason), "{reason:?} is missing in {said}");
    }
}

#[test]
fn the_key_may_be_in_the_yaml_as_text_or_as_a_file() {
    let (registry, signer) = (Registry::plain(), Signer::new(P256));
    let image = Image::new("amd64", &[b"one"]);
    registry.push("acme/app", "1", &image);
    signer.attach(&registry, "acme/app", &digest(&image.manifest));
    let pem = std::fs::read_to_string(signer.public()).unwrap();
    let text: String = pem.lines().map(|line| format!("      {line}\n")).collect();
    for key in [format!("  key:\n    - |\n{text}"), format!("  key: ['{}']\n", path(&signer))] {
        home(&registry, &key).works(&BUILD);
    }
    // Only what `trust` names must be signed.
    let other = Home::new();
    std::fs::write(
        other.path("m.yml"),
        format!("init: ['{}/acme/app:1']\ntrust: {{org: [x]}}\n", registry.host()),
    )
    .unwrap();
    other.works(&BUILD);
}

#[test]
fn an_index_is_signed_for_all_its_platforms_and_each_may_be_signed_alone() {
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    let signer = Signer::new(P256);
    for signed in [index(&[&amd64, &arm64]), amd64.manifest.clone()] {
        let registry = Registry::plain();
        registry.push_index("acme/app", "1", &[&amd64, &arm64]);
        signer.attach(&registry, "acme/app", &digest(&signed));
        home(&registry, "").works(&with_key(&path(&signer)));
    }
    let registry = Registry::plain();
    registry.push_index("acme/app", "1", &[&amd64, &arm64]);
    signer.attach(&registry, "acme/app", &digest(&arm64.manifest));
    let said = home(&registry, "").fails(&with_key(&path(&signer)));
    assert!(said.contains("has a signature of"), "{said}");
}

#[test]
fn every_platform_of_a_volume_must_be_signed() {
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    let (registry, signer) = (Registry::plain(), Signer::new(P256));
    registry.push_index("acme/app", "1", &[&amd64, &arm64]);
    signer.attach(&registry, "acme/app", &digest(&amd64.manifest));
    let home = Home::new();
    let volume = "format: oci, platforms: [linux/amd64, linux/arm64]";
    let text = format!(
        "volumes: [{{name: v, image: '{}/acme/app:1', {volume}}}]\ntrust: {{org: [acme]}}\n",
        registry.host()
    );
    std::fs::write(home.path("m.yml"), text).unwrap();
    let said = home.fails(&with_key(&path(&signer)));
    assert!(said.contains("has a signature of"), "{said}");
    signer.attach(&registry, "acme/app", &digest(&arm64.manifest));
    home.works(&with_key(&path(&signer)));
}

#[test]
fn signatures_come_along_with_an_imported_layout_and_go_with_their_image() {
    let (registry, signer) = (Registry::plain(), Signer::new(P256));
    let image = Image::new("amd64", &[b"one"]);
    registry.push("acme/app", "1", &image);
    signer.attach(&registry, "acme/app", &digest(&image.manifest));
    let first = home(&registry, "");
    first.works(&with_key(&path(&signer)));
    let second = home(&registry, "");
    drop(registry);
    second.works(&["cache", "import", first.path("cache").to_str().unwrap()]);
    second.works(&with_key(&path(&signer)));

    let list = second.works(&["cache", "ls"]).1;
    assert_eq!(list.lines().count(), 2, "{list}");
    let name = list.split(' ').next().unwrap().to_owned();
    second.works(&["cache", "rm", &name]);
    second.assert_no_image();
    assert_eq!(second.blobs(), [""; 0]);
}

#[test]
fn a_bundle_that_refers_to_the_image_counts_if_it_approves_of_it() {
    const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let image = Image::new("amd64", &[b"one"]);
    let own = digest(&image.manifest);
    let signer = Signer::new(P256);
    for (subject, predicate, refused) in [
        (hex(&image.manifest), "https://sigstore.dev/cosign/sign/v1", None),
        (hex(b"another image"), "https://sigstore.dev/cosign/sign/v1", Some("which is another image")),
        (hex(&image.manifest), "https://slsa.dev/provenance/v1", Some("malformed: it states")),
    ] {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "", "digest": {"sha256": subject}}],
            "predicateType": predicate,
            "predicate": {},
        });
        let (statement, kind) = (statement.to_string(), "application/vnd.in-toto+json");
        let message = format!("DSSEv1 {} {kind} {} {statement}", kind.len(), statement.len());
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": "x"}},
            "dsseEnvelope": {
                "payload": STANDARD.encode(&statement),
                "payloadType": kind,
                "signatures": [{"sig": signer.sign(message.as_bytes())}],
            },
        });
        let artifact = attachment(BUNDLE, bundle.to_string().into_bytes(), &json!({}));
        let referrers = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{
                "mediaType": MANIFEST, "digest": digest(&artifact.manifest), "size": artifact.manifest.len(),
                "artifactType": BUNDLE,
            }],
        });
        let registry = Registry::plain();
        registry.push("acme/app", "1", &image);
        registry.push("acme/app", "bundle", &artifact);
        registry.push_manifest("acme/app", &own.replace(':', "-"), INDEX, referrers.to_string().as_bytes());
        let home = home(&registry, "");
        match refused {
            None => {
                home.works(&with_key(&path(&signer)));
                drop(registry);
                home.works(&with_key(&path(&signer)));
                let said = home.fails(&with_key(&path(&Signer::new(P256))));
                assert!(said.contains("by none of the keys"), "{said}");
            }
            Some(refused) => {
                let said = home.fails(&with_key(&path(&signer)));
                assert!(said.contains(refused), "{said}");
            }
        }
    }
}
