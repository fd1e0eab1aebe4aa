//! Images from a real registry (Debian's `docker-registry`), and from servers that misbehave.

#[path = "registries/faults.rs"]
mod faults;
mod registries;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use registries::fake::{Answer, Fake, honest};
use registries::images::{Image, digest, index};
use registries::real::{PASSWORD, Registry, USER};
use registries::{Home, stderr};

const AMD64: &str = "--platform=linux/amd64";

#[test]
fn an_image_is_pulled_into_an_empty_cache() {
    let registry = Registry::plain();
    let (oci, docker) = (Image::new("amd64", &[b"one", b"two", b"two"]), Image::docker("amd64", &[b"three"]));
    registry.push("a/oci", "1", &oci);
    registry.push("docker", "latest", &docker);
    for (image, name, full) in [(&oci, "a/oci:1", "a/oci:1"), (&docker, "docker", "docker:latest")] {
        let home = Home::new();
        let (name, full) = (format!("{}/{name}", registry.host()), format!("{}/{full}", registry.host()));
        let (said, answer) = home.works(&["cache", "pull", AMD64, &name]);
        assert_eq!(answer, format!("{full} {}\n", digest(&image.manifest)));
        assert!(said.starts_with(&format!("pulling {full}\npulled {full}: ")), "{said}");
        let mut cached = image.cached();
        cached.dedup();
        assert_eq!(home.blobs(), cached);
        assert_eq!(home.works(&["cache", "ls"]).1, answer);

        let (said, _) = home.works(&["cache", "pull", AMD64, &name]);
        assert!(said.contains("the cache has it already"), "{said}");

        let by_digest = format!("{}@{}", full.rsplit_once(':').unwrap().0, digest(&image.manifest));
        home.works(&["cache", "pull", AMD64, &by_digest]);
    }
}

#[test]
fn a_damaged_layer_in_the_cache_is_pulled_again() {
    let registry = Registry::plain();
    let image = Image::new("amd64", &[b"one"]);
    registry.push("x", "1", &image);
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    home.works(&["cache", "pull", AMD64, &name]);
    let blob = home.path("cache/blobs/sha256").join(digest(&image.layers[0]).trim_start_matches("sha256:"));
    std::fs::write(&blob, vec![0; image.layers[0].len()]).unwrap();
    home.works(&["cache", "pull", AMD64, &name]);
    assert_eq!(std::fs::read(&blob).unwrap(), image.layers[0]);
}

#[test]
fn tls_needs_a_certificate_that_is_trusted() {
    let registry = Registry::with_tls();
    registry.push("x", "1", &Image::new("amd64", &[b"one"]));
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    let said = home.fails(&["cache", "pull", AMD64, &name]);
    assert!(said.contains("certificate that is not trusted") && said.contains("--cert-file PEM"), "{said}");
    home.assert_no_image();
    home.works(&["--cert-file", &registry.authority(), "cache", "pull", AMD64, &name]);

    std::fs::write(home.path("empty.pem"), "").unwrap();
    for file in ["empty.pem", "absent.pem"] {
        let said = home.fails(&["--cert-file", file, "cache", "pull", AMD64, &name]);
        assert!(said.contains(&format!("cannot read certificates from {file}: ")), "{said}");
    }
}

#[test]
fn a_password_is_dockers() {
    let registry = Registry::with_password();
    registry.push("x", "1", &Image::new("amd64", &[b"one"]));
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    let said = home.fails(&["cache", "pull", AMD64, &name]);
    assert!(said.contains(&format!("run `docker login {}`", registry.host())), "{said}");
    assert!(said.contains("docker/config.json"), "{said}");

    let login = |password: &str| {
        let auth = STANDARD.encode(format!("{USER}:{password}"));
        home.write_docker_config(&json!({"auths": {registry.host(): {"auth": auth}}}));
    };
    login("wrong-one");
    let said = home.fails(&["cache", "pull", AMD64, &name]);
    assert!(said.contains("does not accept the login") && !said.contains("wrong-one"), "{said}");
    home.assert_no_image();
    login(PASSWORD);
    home.works(&["cache", "pull", AMD64, &name]);
}

#[test]
fn a_password_may_be_kept_by_a_helper() {
    use std::os::unix::fs::PermissionsExt;
    let registry = Registry::with_password();
    registry.push("x", "1", &Image::new("amd64", &[b"one"]));
    let home = Home::new();
    let helper = home.path("docker-credential-test");
    // It answers only to whom is asked about this registry, on standard input.
    let script = format!(
        "#!/bin/sh\n[ \"$*\" = get ] && [ \"$(cat)\" = {} ] || {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
         echo '{{\"ServerURL\": \"x\", \"Username\": \"{USER}\", \"Secret\": \"{PASSWORD}\"}}'\n",
        registry.host()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", home.path("").display(), std::env::var("PATH").unwrap());
    for config in [json!({"credsStore": "test"}), json!({"credHelpers": {registry.host(): "test"}})] {
        home.write_docker_config(&config);
        let name = format!("{}/x:1", registry.host());
        let output = home.command(&["cache", "pull", AMD64, &name]).env("PATH", &path).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn a_mirror_serves_instead() {
    let registry = Registry::plain();
    registry.push("library/x", "latest", &Image::new("amd64", &[b"one"]));
    let url = format!("http://{}", registry.host());
    let home = Home::new();
    let mirror = format!("docker.io={url}");
    let (_, answer) = home.works(&["cache", "pull", AMD64, "x", "--mirror", &mirror]);
    assert!(answer.starts_with("docker.io/library/x:latest sha256:"), "{answer}");

    let home = Home::new();
    let environment = format!("a.example=http://127.0.0.1:1, {url}");
    let output =
        home.command(&["cache", "pull", AMD64, "x"]).env("LINUXKIT_MIRROR", environment).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));

    // The next one is asked when the first does not help.
    let home = Home::new();
    home.works(&["cache", "pull", AMD64, "x", "--mirror=http://127.0.0.1:1", "--mirror", &url]);
    let said = home.fails(&["cache", "pull", AMD64, "x", "--mirror", "https://anna:hush@mirror.example"]);
    assert!(said.contains("mirror 1 of --mirror: ") && !said.contains("hush"), "{said}");
}

#[test]
fn only_the_wanted_platform_of_an_index_comes() {
    let registry = Registry::plain();
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    registry.push_index("x", "1", &[&amd64, &arm64]);
    let index = index(&[&amd64, &arm64]);
    let with_index = |images: &[&Image]| {
        let mut names: Vec<String> = images.iter().flat_map(|image| image.cached()).collect();
        names.push(registries::images::hex(&index));
        names.sort();
        names
    };
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    let (_, answer) = home.works(&["cache", "pull", "--platform", "linux/arm64", &name]);
    assert_eq!(answer, format!("{name} {}\n", digest(&index)));
    assert_eq!(home.blobs(), with_index(&[&arm64]));

    let said = home.fails(&["cache", "pull", "--platform", "linux/s390x", &name]);
    assert!(said.contains("has this image for linux/amd64, linux/arm64, not for linux/s390x"), "{said}");

    // What the name has for others is pulled when it is wanted.
    let yaml = home.path("m.yml");
    std::fs::write(&yaml, format!("init: ['{name}']\n")).unwrap();
    let (said, _) = home.works(&["build", "--arch", "amd64", "--format", "tar", "m.yml"]);
    assert!(said.contains(&format!("pulling {name}")), "{said}");
    assert_eq!(home.blobs(), with_index(&[&amd64, &arm64]));
    assert_eq!(content(&home), "intel");
}

#[test]
fn a_platform_whose_pull_broke_off_is_pulled_again() {
    let registry = Registry::plain();
    let (amd64, arm64) = (Image::new("amd64", &[b"intel"]), Image::new("arm64", &[b"arm"]));
    registry.push_index("x", "1", &[&amd64, &arm64]);
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    home.works(&["cache", "pull", "--platform", "linux/arm64", &name]);

    // The index, the manifest and the configuration come, and no layer does.
    let (served, list) = (amd64.clone(), index(&[&amd64, &arm64]));
    let fake = Fake::new(move |request| match request.path.rsplit('/').next() {
        Some("1") => Answer::ok(&list).with("Content-Type", registries::images::INDEX),
        Some(last) if last == digest(&served.layers[0]) => Answer::status(400),
        _ => honest(&served, request),
    });
    std::fs::write(home.path("m.yml"), format!("init: ['{name}']\n")).unwrap();
    let build = ["build", "--arch", "amd64", "--format", "tar", "m.yml"];
    home.fails(&[&["--mirror", &fake.url()], &build[..]].concat());
    home.works(&build);
    assert_eq!(content(&home), "intel");
}

#[test]
fn what_the_cache_has_for_another_platform_stays_beside_what_is_pulled() {
    let registry = Registry::plain();
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    std::fs::write(home.path("m.yml"), format!("init: ['{name}']\n")).unwrap();
    let build = |arch| home.works(&["build", "--arch", arch, "--format", "tar", "m.yml"]);
    for arch in ["amd64", "arm64"] {
        registry.push("x", "1", &Image::new(arch, &[arch.as_bytes()]));
        build(arch);
    }
    drop(registry);
    for arch in ["amd64", "arm64"] {
        build(arch);
        assert_eq!(content(&home), arch);
    }
}

#[test]
fn a_build_pulls_what_is_missing_and_with_pull_what_is_newer() {
    let registry = Registry::plain();
    let (home, name) = (Home::new(), format!("{}/x:1", registry.host()));
    std::fs::write(home.path("m.yml"), format!("init: ['{name}']\n")).unwrap();
    let build = ["build", "--arch", "amd64", "--format", "tar", "m.yml"];
    for (pushed, more, built) in [("old", "", "old"), ("new", "", "old"), ("new", "--pull", "new")] {
        registry.push("x", "1", &Image::new("amd64", &[pushed.as_bytes()]));
        let (said, _) = home.works(&[&build[..], if more.is_empty() { &[] } else { &["--pull"] }].concat());
        assert_eq!(content(&home), built, "{said}");
    }
    drop(registry);
    let (said, _) = home.works(&build);
    assert!(!said.contains("pulling"), "{said}");
    let said = home.fails(&[&build[..], &["--pull"]].concat());
    assert!(said.contains("cannot be reached") && said.contains("without --pull"), "{said}");
}

#[test]
fn what_no_registry_has_is_named_with_whom_was_asked_and_packages_are_to_be_built() {
    let registry = Registry::plain();
    let (home, host) = (Home::new(), registry.host());
    std::fs::write(home.path("m.yml"), format!("init: ['{host}/x:1', '{host}/y']\n")).unwrap();
    let said = home.fails(&["build", "--format", "tar", "m.yml"]);
    for part in [
        &format!("m.yml:1:8: cannot pull {host}/x:1: http://{host} has no such image"),
        &format!("cannot pull {host}/y:latest: http://{host} has no such image"),
        "lkb pkg build DIR",
    ] {
        assert!(said.contains(part), "{part:?} is missing in {said}");
    }

    std::fs::create_dir(home.path("p")).unwrap();
    std::fs::write(home.path("p/build.yml"), "image: p\n").unwrap();
    std::fs::write(home.path("p/Dockerfile"), "FROM scratch\n").unwrap();
    std::fs::write(home.path("m.yml"), format!("init: ['@pkg:p', '{host}/x:1']\n")).unwrap();
    let said = home.fails(&["build", "--format", "tar", "m.yml"]);
    assert!(said.contains("is not in the cache") && said.contains("lkb pkg build DIR"), "{said}");
    assert!(!said.contains("pull"), "{said}");
}

/// What the build's tar has in `/etc/0`.
fn content(home: &Home) -> String {
    let mut archive = tar::Archive::new(std::fs::File::open(home.path("m.tar")).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with("etc/0")).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
    text
}
