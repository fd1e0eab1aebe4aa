//! From the cache to a registry, by several machines at once.

use serde_json::Value;

use crate::registries::fake::{Answer, Fake};
use crate::registries::images::{Image, digest};
use crate::registries::real::Registry;
use crate::workshop::Workshop;

/// A machine whose repository has the package `a` of an organisation in this registry.
fn machine(host: &str) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("a/build.yml", format!("image: a\norg: {host}/acme\narches: [amd64, arm64]\n"));
    workshop.write("a/Dockerfile", "FROM scratch\n");
    workshop.commit();
    workshop
}

fn tag(workshop: &Workshop) -> String {
    workshop.works(&["show-tag", "a"]).trim_end().to_owned()
}

/// Puts an image into the cache as if it had been built there.
fn built(workshop: &Workshop, image: &Image) {
    let layout = workshop.home.path("layout");
    if layout.exists() {
        std::fs::remove_dir_all(&layout).unwrap();
    }
    image.write_layout(&layout);
    workshop.home.works(&["cache", "import", "layout", "--name", &tag(workshop)]);
}

/// What the registry has by a tag: platforms and digests, in order.
fn there(registry: &Registry, name: &str) -> Vec<(String, String)> {
    let (repository, tag) = name.split_once('/').unwrap().1.rsplit_once(':').unwrap();
    let Some(bytes) = registry.manifest(repository, tag) else { return Vec::new() };
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let images = document["manifests"].as_array().cloned().unwrap_or_default();
    let entry = |image: &Value| {
        let platform = image["platform"]["architecture"].as_str().unwrap().to_owned();
        (platform, image["digest"].as_str().unwrap().to_owned())
    };
    images.iter().map(entry).collect()
}

fn of(images: &[&Image]) -> Vec<(String, String)> {
    images.iter().map(|image| (image.arch.to_owned(), digest(&image.manifest))).collect()
}

#[test]
fn each_machine_adds_its_architecture_to_the_index() {
    let registry = Registry::plain();
    let (amd64, arm64) = (Image::new("amd64", &[b"one"]), Image::new("arm64", &[b"two"]));
    let (first, second) = (machine(&registry.host()), machine(&registry.host()));
    let name = tag(&first);
    assert_eq!(name, tag(&second), "both have the same sources");
    built(&first, &arm64);
    built(&second, &amd64);
    let said = first.works(&["push", "--nobuild", "a"]);
    assert!(said.starts_with(&format!("{name} sha256:")), "{said}");
    assert_eq!(there(&registry, &name), of(&[&arm64]));
    assert_eq!(
        registry.manifest("acme/a", &format!("{}-arm64", name.rsplit(':').next().unwrap())),
        Some(arm64.manifest.clone())
    );
    second.works(&["build", "--push", "--nobuild", "a"]);
    assert_eq!(there(&registry, &name), of(&[&amd64, &arm64]));
    let again = second.works(&["push", "--nobuild", "a"]);
    first.works(&["push", "--nobuild", "a"]);
    assert_eq!(first.works(&["manifest", "a"]), again, "whoever pushes last makes the same index");
}

#[test]
fn two_that_push_at_the_same_time_both_end_up_in_the_index() {
    let registry = Registry::plain();
    let machines = [machine(&registry.host()), machine(&registry.host())];
    for round in 0..20 {
        let content = format!("{round}");
        let images = ["amd64", "arm64"].map(|arch| Image::new(arch, &[content.as_bytes()]));
        let (mut pushes, release) = (Vec::new(), format!("r{round}"));
        for (machine, image) in machines.iter().zip(&images) {
            built(machine, image);
            let args = ["push", "--nobuild", "--release", &release, "a"];
            let mut command = machine.command(&args);
            pushes.push(command.stdout(std::process::Stdio::null()).spawn().unwrap());
        }
        for mut push in pushes {
            assert!(push.wait().unwrap().success());
        }
        let name = format!("{}/acme/a:{release}", registry.host());
        assert_eq!(there(&registry, &name), of(&[&images[0], &images[1]]), "round {round}");
        assert_eq!(there(&registry, &tag(&machines[0])), of(&[&images[0], &images[1]]), "round {round}");
    }
}

#[test]
fn an_index_can_be_made_later_of_what_is_there() {
    let registry = Registry::plain();
    let images = [Image::new("amd64", &[b"one"]), Image::new("arm64", &[b"two"])];
    let workshop = machine(&registry.host());
    let name = tag(&workshop);
    let said = workshop.fails(&["manifest", "a"]);
    assert!(said.contains("has no image by a tag") && said.contains("-amd64"), "{said}");
    for image in &images {
        built(&workshop, image);
        workshop.works(&["push", "--nobuild", "--manifest=false", "a"]);
        workshop.home.works(&["cache", "rm", &name]);
    }
    assert_eq!(there(&registry, &name), []);
    workshop.works(&["index", "a"]);
    assert_eq!(there(&registry, &name), of(&[&images[0], &images[1]]));
    // What the index names is lost.
    registry.lose("acme/a", &digest(&images[1].manifest));
    let said = workshop.fails(&["manifest", "a"]);
    assert!(said.contains(&digest(&images[1].manifest)) && said.contains("linux/arm64"), "{said}");
    built(&workshop, &images[0]);
    let said = workshop.fails(&["push", "--nobuild", "a"]);
    assert!(said.contains("push that platform again"), "{said}");
    built(&workshop, &images[1]);
    workshop.works(&["push", "--nobuild", "a"]);
    assert_eq!(there(&registry, &name), of(&[&images[0], &images[1]]));
}

#[test]
fn a_release_is_never_overwritten() {
    let registry = Registry::plain();
    let (amd64, arm64) = (Image::new("amd64", &[b"one"]), Image::new("arm64", &[b"two"]));
    let workshop = machine(&registry.host());
    built(&workshop, &amd64);
    workshop.git(&["tag", "v1.0"]);
    let said = workshop.works(&["push", "--nobuild", "a"]);
    let release = format!("{}/acme/a:v1.0", registry.host());
    assert!(said.contains(&release), "git's tag of the commit is the release: {said}");
    assert_eq!(there(&registry, &release), of(&[&amd64]));
    workshop.works(&["push", "--nobuild", "a"]);
    let other = Image::new("amd64", &[b"other"]);
    built(&workshop, &other);
    let said = workshop.fails(&["push", "--nobuild", "a"]);
    assert!(
        said.contains("releases are never overwritten") && said.contains(&digest(&amd64.manifest)),
        "{said}"
    );
    assert_eq!(there(&registry, &tag(&workshop)), of(&[&amd64]), "nothing was pushed");
    built(&workshop, &arm64);
    workshop.works(&["push", "--nobuild", "--release", "v1.0", "a"]);
    assert_eq!(there(&registry, &release), of(&[&amd64, &arm64]), "another platform may be added");
    workshop.git(&["tag", "also"]);
    let said = workshop.fails(&["push", "--nobuild", "a"]);
    assert!(said.contains("also, v1.0") && said.contains("--release"), "{said}");
}

#[test]
fn what_git_does_not_have_is_not_pushed() {
    let registry = Registry::plain();
    let workshop = machine(&registry.host());
    for change in [&["--force-dirty"][..], &[]] {
        workshop.write("a/Dockerfile", "FROM scratch\nENV a=1\n");
        if !change.is_empty() {
            workshop.git(&["checkout", "-q", "."]);
        }
        let said = workshop.fails(&[&["push"], change, &["a"]].concat());
        assert!(said.contains("refusing to push") && said.contains("commit them first"), "{said}");
    }
    assert_eq!(registry.repositories(), [""; 0]);
    assert_eq!(workshop.home.works(&["cache", "ls"]).1, "", "nothing is built in vain");
}

#[test]
fn a_registry_that_is_down_or_refuses_is_named() {
    let workshop = machine("127.0.0.1:1");
    built(&workshop, &Image::new("amd64", &[b"one"]));
    let listed = workshop.home.works(&["cache", "ls"]).1;
    for args in [
        &["push", "--nobuild", "a"][..],
        &["manifest", "a"],
        &["remote-tag", "127.0.0.1:1/x:1", "127.0.0.1:1/x:2"],
    ] {
        let said = workshop.fails(args);
        assert!(said.contains("127.0.0.1:1 cannot be reached"), "{args:?}: {said}");
    }
    let fake = Fake::new(|request| match request.method.as_str() {
        "GET" if request.path.contains("/manifests/") => Answer::status(404),
        "HEAD" => Answer::status(404),
        _ => Answer::status(403),
    });
    let refusing = machine(fake.url().trim_start_matches("http://"));
    built(&refusing, &Image::new("amd64", &[b"one"]));
    let said = refusing.fails(&["push", "--nobuild", "a"]);
    assert!(said.contains("docker login"), "{said}");
    assert!(fake.asked().iter().all(|asked| asked.method != "PUT"), "nothing is there by half");
    assert_eq!(workshop.home.works(&["cache", "ls"]).1, listed);
    let said = workshop.fails(&["push", "--nobuild", "--hash", "absent", "a"]);
    assert!(said.contains("absent"), "{said}");
}

#[test]
fn what_a_registry_has_is_pulled_or_left_there_instead_of_built() {
    let registry = Registry::plain();
    let image = Image::new("amd64", &[b"one"]);
    let workshop = machine(&registry.host());
    built(&workshop, &image);
    workshop.works(&["push", "--nobuild", "a"]);
    let other = machine(&registry.host());
    assert_eq!(other.works(&["push", "a"]), "", "it is there");
    assert_eq!(other.home.works(&["cache", "ls"]).1, "");
    assert_eq!(other.works(&["build", "--pull", "a"]), "");
    assert!(other.home.works(&["cache", "ls"]).1.contains(&tag(&other)));
    assert_eq!(other.works(&["build", "a"]), "", "it is in the cache");
}

#[test]
fn a_name_in_a_registry_is_given_another_without_a_pull() {
    let (registry, elsewhere) = (Registry::plain(), Registry::plain());
    let images = [Image::new("amd64", &[b"one"]), Image::new("arm64", &[b"two"])];
    registry.push_index("acme/a", "1", &[&images[0], &images[1]]);
    let workshop = Workshop::new();
    let from = format!("{}/acme/a:1", registry.host());
    for to in ["acme/a:2", "acme/b:1"] {
        let to = format!("{}/{to}", registry.host());
        let said = workshop.works(&["remote-tag", &from, &to]);
        assert!(said.starts_with(&format!("{to} sha256:")), "{said}");
        assert_eq!(there(&registry, &to), of(&[&images[0], &images[1]]));
        assert_eq!(workshop.home.blobs(), [""; 0], "nothing was transferred");
    }
    let to = format!("{}/other/a:1", elsewhere.host());
    workshop.works(&["remote-tag", &from, &to]);
    assert_eq!(there(&elsewhere, &to), of(&[&images[0], &images[1]]));
    for image in &images {
        assert!(image.blobs().all(|blob| elsewhere.has_blob("other/a", &digest(blob))));
    }
    let (said, _) = workshop.home.works(&["pkg", "remote-tag", &from, &to]);
    assert!(said.contains("is the same image already"), "{said}");
    let said = workshop.fails(&["remote-tag", &format!("{}/absent:1", registry.host()), &to]);
    assert!(said.contains("cannot pull") && said.contains("has no such image"), "{said}");
    registry.lose("acme/a", &digest(&images[1].manifest));
    let said = workshop.fails(&["remote-tag", &from, &format!("{}/new:1", elsewhere.host())]);
    assert!(said.contains(&digest(&images[1].manifest)) && said.contains("linux/arm64"), "{said}");
    assert_eq!(elsewhere.manifest("new", "1"), None, "nothing is there by half");
}
