//! Images into a real registry (Debian's `docker-registry`), and into one that breaks uploads off.

mod registries;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use registries::Home;
use registries::fake::{Answer, Fake};
use registries::images::{Image, digest, index};
use registries::real::{PASSWORD, Registry, USER};
use registries::uploads::{Faults, Uploads};

const AMD64: &str = "--platform=linux/amd64";

/// A home whose cache has `local/x:1`, this image.
fn home_with(image: &Image) -> Home {
    let home = Home::new();
    give(&home, "local/x:1", image);
    home
}

/// Puts an image into a home's cache.
fn give(home: &Home, name: &str, image: &Image) {
    image.write_layout(&home.path("layout"));
    home.works(&["cache", "import", "layout", "--name", name]);
}

/// Some text that is a few megabytes long and does not repeat.
fn long(words: u32) -> Vec<u8> {
    (0..words).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

#[test]
fn an_image_that_is_pushed_can_be_pulled_elsewhere() {
    let registry = Registry::plain();
    let image = Image::new("amd64", &[b"one", b"two"]);
    let (home, name) = (home_with(&image), format!("{}/a/x:1", registry.host()));
    let push = ["cache", "push", "--remote-name", &name, "local/x:1"];
    let (said, answer) = home.works(&push);
    assert_eq!(answer, format!("{name} {}\n", digest(&image.manifest)));
    assert!(said.contains(&format!("pushed {name}: ")), "{said}");

    let other = Home::new();
    assert_eq!(other.works(&["cache", "pull", AMD64, &name]).1, answer);
    assert_eq!(other.blobs(), image.cached());
    let (said, again) = home.works(&push);
    assert!(said.contains("is in the registry already"), "{said}");
    assert_eq!(again, answer);

    // What the registry has in another repository is not sent again.
    home.works(&["cache", "pull", AMD64, &name]);
    let second = format!("{}/b/x:1", registry.host());
    let (said, _) = home.works(&["cache", "push", "--remote-name", &second, "local/x:1"]);
    assert!(said.contains(&format!("pushed {second}: 0 bytes")), "{said}");
}

#[test]
fn tls_and_passwords_are_as_for_pulling() {
    let image = Image::new("amd64", &[b"one"]);
    let registry = Registry::with_tls();
    let (home, name) = (home_with(&image), format!("{}/x:1", registry.host()));
    let push = ["cache", "push", "--remote-name", &name, "local/x:1"];
    let said = home.fails(&push);
    assert!(said.contains("cannot push") && said.contains("certificate that is not trusted"), "{said}");
    home.works(&[&["--cert-file", &registry.authority()], &push[..]].concat());

    let registry = Registry::with_password();
    let name = format!("{}/x:1", registry.host());
    let push = ["cache", "push", "--remote-name", &name, "local/x:1"];
    let said = home.fails(&push);
    assert!(said.contains("takes images only after a login"), "{said}");
    let login = |password: &str| {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        home.write_docker_config(&json!({"auths": {registry.host(): {"auth": auth}}}));
    };
    login("wrong-one");
    let said = home.fails(&push);
    assert!(said.contains("may not push this image") && !said.contains("wrong-one"), "{said}");
    login(PASSWORD);
    home.works(&push);
}

#[test]
fn platforms_come_together_under_one_name() {
    let registry = Registry::plain();
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    let name = format!("{}/x:1", registry.host());
    let push = ["cache", "push", "--with-arch-tags", "--remote-name", &name, "local/x:1"];
    home_with(&amd64).works(&push);
    home_with(&arm64).works(&push);
    for (arch, image) in [("amd64", &amd64), ("arm64", &arm64)] {
        for name in [name.clone(), format!("{name}-{arch}")] {
            let home = Home::new();
            home.works(&["cache", "pull", "--platform", &format!("linux/{arch}"), &name]);
            for blob in image.cached() {
                assert!(home.blobs().contains(&blob), "{name}");
            }
        }
    }

    // Another image for the same platform gives way only to --override; the other platform stays.
    let newer = Image::new("arm64", &[b"newer"]);
    let home = home_with(&newer);
    let (said, answer) = home.works(&push);
    assert!(said.contains("--override replaces it") && said.contains(&digest(&arm64.manifest)), "{said}");
    assert_eq!(answer, "");
    home.works(&[&push[..], &["--override"]].concat());
    for (arch, image) in [("amd64", &amd64), ("arm64", &newer)] {
        let home = Home::new();
        home.works(&["cache", "pull", "--platform", &format!("linux/{arch}"), &name]);
        assert!(image.cached().iter().all(|blob| home.blobs().contains(blob)), "{arch}");
    }
}

#[test]
fn an_index_that_the_cache_has_in_part_is_pushed_in_part() {
    let registry = Registry::plain();
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    registry.push_index("x", "1", &[&amd64, &arm64]);
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    home.works(&["cache", "pull", "--platform", "linux/arm64", &name]);
    let other = format!("{}/y:1", registry.host());
    home.works(&["cache", "push", "--remote-name", &other, &name]);
    let fresh = Home::new();
    fresh.works(&["cache", "pull", "--platform", "linux/arm64", &other]);
    let said = fresh.fails(&["cache", "pull", "--platform", "linux/amd64", &other]);
    assert!(said.contains("for linux/arm64, not for linux/amd64"), "{said}");

    home.works(&["cache", "pull", "--platform", "linux/amd64", &name]);
    let (_, answer) = home.works(&["cache", "push", "--override", "--remote-name", &other, &name]);
    let whole = digest(&index(&[&amd64, &arm64]));
    assert_eq!(answer, format!("{other} {whole}\n"), "the whole index is pushed as it is");
}

#[test]
fn only_what_is_published_is_removed_when_that_is_wanted() {
    let registry = Registry::plain();
    let image = Image::new("amd64", &[b"one"]);
    registry.push("there", "1", &image);
    registry.push("other", "1", &Image::new("amd64", &[b"two"]));
    let (home, host) = (Home::new(), registry.host());
    for name in ["there", "other", "absent"] {
        give(&home, &format!("{host}/{name}:1"), &image);
    }
    let (there, absent) = (format!("{host}/there:1"), format!("{host}/absent:1"));
    let (said, _) = home.works(&["cache", "rm", "--published-only", &absent]);
    assert!(said.contains("absent:1 stays") && said.contains("has no such image"), "{said}");
    home.works(&["cache", "rm", "--published-only", &there]);
    give(&home, &there, &image);
    let (said, _) = home.works(&["cache", "clean", "--published-only"]);
    assert!(said.contains("removed") && said.contains("other:1 stays: the registry has sha256:"), "{said}");
    let listed = home.works(&["cache", "ls"]).1;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("/absent:1") && listed.contains("/other:1"), "{listed}");
    assert_eq!(home.blobs(), image.cached(), "what the others need stays");
}

#[test]
fn uploads_that_break_off_go_on_or_start_again() {
    let image = Image::new("amd64", &[&long(400_000)]);
    let half = image.layers[0].len() / 2;
    for (faults, resumed) in [
        (Faults { cuts: 1, after: half, ..Faults::default() }, true),
        (Faults { cuts: 3, after: half / 4, ..Faults::default() }, true),
        (Faults { cuts: 2, after: half, forgets: true, ..Faults::default() }, false),
        (Faults { busy: 2, ..Faults::default() }, false),
        (Faults { expires: 2, ..Faults::default() }, false),
        (Faults { doubts: 1, ..Faults::default() }, false),
    ] {
        let registry = Uploads::new(faults);
        let (home, name) = (home_with(&image), format!("{}/x:1", registry.host()));
        home.works(&["cache", "push", "--remote-name", &name, "local/x:1"]);
        for bytes in image.blobs().chain([&image.manifest]) {
            assert!(registry.has(bytes), "{faults:?}");
        }
        let patches = registry.asked().iter().filter(|asked| asked.starts_with("PATCH")).count();
        assert_eq!(patches > 0, resumed || faults.cuts > 0 || faults.busy > 0, "{faults:?}");
    }
}

#[test]
fn a_layer_that_is_too_large_for_one_request_goes_in_chunks() {
    let image = Image::new("amd64", &[&long(9_000_000)]);
    let registry = Uploads::new(Faults { most: Some(17 << 20), ..Faults::default() });
    let (home, name) = (home_with(&image), format!("{}/x:1", registry.host()));
    home.works(&["cache", "push", "--remote-name", &name, "local/x:1"]);
    assert!(image.blobs().all(|blob| registry.has(blob)));
    assert_eq!(registry.asked().iter().filter(|asked| asked.starts_with("PATCH")).count(), 3);
}

#[test]
fn a_registry_that_always_breaks_off_is_named_and_its_tag_is_as_it_was() {
    let image = Image::new("amd64", &[&long(400_000)]);
    let registry = Uploads::new(Faults { cuts: usize::MAX, after: 1000, forgets: true, ..Faults::default() });
    let (home, name) = (home_with(&image), format!("{}/x:1", registry.host()));
    let said = home.fails(&["cache", "push", "--remote-name", &name, "local/x:1"]);
    let layer = digest(&image.layers[0]);
    assert!(said.contains(&format!("stops in the middle of taking {layer}")), "{said}");
    assert!(said.contains(&registry.host()) && !registry.has_tag("1"), "{said}");
}

#[test]
fn what_cannot_be_pushed_is_told() {
    let image = Image::new("amd64", &[b"one"]);
    let home = home_with(&image);
    let by_digest = format!("127.0.0.1:1/x@{}", digest(&image.manifest));
    for (args, said) in [
        (&["absent:1"][..], "the cache has no image docker.io/library/absent:1"),
        (&["--remote-name", &by_digest, "local/x:1"], "a digest is no name"),
        (&["--remote-name", "127.0.0.1:1/x:1", "local/x:1"], "cannot be reached"),
        (&["--remote-name", "y:1", "local/x:1", "local/x:1"], "the name of one image"),
    ] {
        let args = [&["cache", "push"], args].concat();
        let text = home.fails(&args);
        assert!(text.contains(said), "{text}");
    }
    let layer = home.path("cache/blobs/sha256").join(digest(&image.layers[0]).trim_start_matches("sha256:"));
    std::fs::write(layer, vec![0; image.layers[0].len()]).unwrap();
    let registry = Registry::plain();
    let name = format!("{}/x:1", registry.host());
    let said = home.fails(&["cache", "push", "--remote-name", &name, "local/x:1"]);
    assert!(said.contains("is damaged"), "{said}");
}

#[test]
fn a_token_for_pushing_is_asked_for_with_the_login() {
    let image = Image::new("amd64", &[b"one"]);
    let port = std::sync::Arc::new(std::sync::OnceLock::<String>::new());
    let realm = std::sync::Arc::clone(&port);
    let fake = Fake::new(move |request| {
        let authorization = request.header("authorization").unwrap_or_default().to_owned();
        if request.path.starts_with("/token") {
            return match authorization.as_str() {
                "" => Answer::status(401),
                _ => Answer::ok(br#"{"token": "t1"}"#),
            };
        }
        if authorization != "Bearer t1" {
            let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", realm.get().unwrap());
            return Answer::status(401).with("WWW-Authenticate", challenge);
        }
        match (request.method.as_str(), request.path.as_str()) {
            // Another image has left all of the blobs here.
            ("HEAD", path) if path.contains("/blobs/") => Answer::status(200),
            ("PUT", path) if path.contains("/manifests/") => Answer::status(201),
            _ => Answer::status(404),
        }
    });
    port.set(fake.url()).unwrap();
    let host = fake.url().trim_start_matches("http://").to_owned();
    let (home, name) = (home_with(&image), format!("{host}/a/x:1"));
    let push = ["cache", "push", "--remote-name", &name, "local/x:1"];
    let said = home.fails(&push);
    assert!(said.contains("takes images only after a login"), "{said}");
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    home.write_docker_config(&json!({"auths": {host: {"auth": auth}}}));
    home.works(&push);
    let asked = fake.asked();
    let token = asked.iter().find(|request| request.path.starts_with("/token")).unwrap();
    assert!(token.path.contains("scope=repository%3Aa%2Fx%3Apull%2Cpush"), "{}", token.path);
    let put: Vec<&str> = asked.iter().filter(|it| it.method == "PUT").map(|it| it.path.as_str()).collect();
    let by_digest = format!("/v2/a/x/manifests/{}", digest(&image.manifest));
    assert_eq!(put.last(), Some(&"/v2/a/x/manifests/1"), "the tag comes last, when all is there");
    assert!(put.contains(&by_digest.as_str()), "{put:?}");
}
