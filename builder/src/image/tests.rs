//! The cache as its users see it.

use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use super::fixture::{Layer, Layout, Stored, add_image, gzip};
use super::*;

fn layer(text: &str) -> Vec<u8> {
    Layer::default().file("a", text).finish()
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

fn blobs(dir: &Path) -> usize {
    fs::read_dir(dir.join("blobs/sha256")).unwrap().count()
}

fn content(cache: &Cache, image: &Image) -> Vec<Vec<u8>> {
    let read = |layer| {
        let file = cache.layer(image, layer).unwrap();
        let mut bytes = Vec::new();
        file.stretch(0, file.len()).read_to_end(&mut bytes).unwrap();
        bytes
    };
    image.layers.iter().map(read).collect()
}

fn damage(dir: &Path, digest: Digest) {
    let path = dir.join("blobs/sha256").join(digest.hex());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn layers_come_back_uncompressed_however_they_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let layers = [(layer("1"), Stored::Plain), (layer("2"), Stored::Gzip), (layer("3"), Stored::Zstd)];
    let image = add_image(&cache, "org/x:1", json!({"Cmd": ["/a"]}), &layers);
    cache.verify([&image]).unwrap();
    assert_eq!(content(&cache, &image), layers.map(|(layer, _)| layer));
    assert_eq!(image.config.config().as_ref().unwrap().cmd().as_ref().unwrap(), &["/a"]);
    // A plain layer is used where it is; the other two are expanded once.
    assert_eq!(fs::read_dir(dir.path().join("expanded/sha256")).unwrap().count(), 2);
    let again = Cache::open(dir.path()).unwrap();
    assert_eq!(content(&again, &image).len(), 3);
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_image_is_found_by_every_way_of_writing_its_name_and_by_its_digest() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let image = add_image(&cache, "x", json!({}), &[(layer("1"), Stored::Plain)]);
    for name in ["x", "x:latest", "library/x", "docker.io/x", &format!("x@{}", image.digest)] {
        assert!(cache.resolve(&reference(name), "amd64").unwrap().is_some(), "{name}");
    }
    for name in ["x:other", "y", "org/x", &format!("y@{}", image.digest)] {
        assert!(cache.resolve(&reference(name), "amd64").unwrap().is_none(), "{name}");
    }
    let error = cache.resolve(&reference("x"), "arm64").unwrap_err();
    assert!(matches!(error, ImageError::Platform { .. }), "{error}");
    assert!(error.to_string().contains("linux/amd64, not for linux/arm64"), "{error}");
}

#[test]
fn of_an_index_the_wanted_platform_is_taken_and_others_may_be_absent() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let mut layout = Layout::new(from.path());
    let mut amd64 = layout.manifest("amd64", json!({}), &[(layer("amd"), Stored::Plain)]);
    let mut arm64 = layout.manifest("arm64", json!({}), &[(layer("arm"), Stored::Plain)]);
    let mut absent = arm64.clone();
    amd64["platform"] = json!({"os": "linux", "architecture": "amd64"});
    arm64["platform"] = json!({"os": "linux", "architecture": "arm64", "variant": "v8"});
    absent["platform"] = json!({"os": "linux", "architecture": "s390x"});
    absent["digest"] = json!(Digest::of(b"absent").to_string());
    let index = layout.index(&[absent, amd64, arm64]);
    layout.add("org/x:1", index);

    assert_eq!(cache.import(from.path(), None).unwrap(), [reference("org/x:1")]);
    for (arch, text) in [("amd64", "amd"), ("arm64", "arm")] {
        let image = cache.resolve(&reference("org/x:1"), arch).unwrap().unwrap();
        assert_eq!(content(&cache, &image), [layer(text)]);
    }
    let error = cache.resolve(&reference("org/x:1"), "riscv64").unwrap_err();
    assert!(error.to_string().contains("linux/amd64, linux/arm64, linux/s390x"), "{error}");
    let error = cache.resolve(&reference("org/x:1"), "s390x").unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");

    let written = cache.layout(&reference("org/x:1"), &["linux/amd64".into(), "linux/arm64".into()]).unwrap();
    let index = written.documents.iter().find(|(path, _)| path.starts_with("blobs/")).unwrap();
    assert!(!String::from_utf8(index.1.clone()).unwrap().contains("s390x"));
    assert_eq!(written.blobs.len(), 6);
}

#[test]
fn a_damaged_or_missing_blob_is_an_error_that_names_it_and_the_remedy() {
    for (stored, which) in [(Stored::Plain, "layer"), (Stored::Gzip, "layer"), (Stored::Plain, "manifest")] {
        for how in ["damaged", "missing", "instead of"] {
            let dir = tempfile::tempdir().unwrap();
            let cache = Cache::open(dir.path()).unwrap();
            let image = add_image(&cache, "org/x:1", json!({}), &[(layer("1"), stored)]);
            // Expanded before: what is damaged later is still found.
            cache.verify([&image]).unwrap();
            let digest = if which == "layer" { image.layers[0].blob } else { image.digest };
            let path = dir.path().join("blobs/sha256").join(digest.hex());
            match how {
                "damaged" => damage(dir.path(), digest),
                "missing" => fs::remove_file(&path).unwrap(),
                _ => fs::write(&path, b"short").unwrap(),
            }
            let cache = Cache::open(dir.path()).unwrap();
            let error = cache
                .resolve(&image.reference, "amd64")
                .and_then(|image| cache.verify(image.as_ref()))
                .unwrap_err()
                .to_string();
            for part in
                ["docker.io/org/x:1", which, &digest.to_string(), how, "lkb cache rm docker.io/org/x:1"]
            {
                assert!(error.contains(part), "{part} is not in: {error}");
            }
            // And the remedy works.
            add_image(&cache, "org/x:1", json!({}), &[(layer("1"), stored)]);
            cache.verify([&image]).unwrap();
        }
    }
}

#[test]
fn a_damaged_expansion_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let image = add_image(&cache, "x", json!({}), &[(layer("1"), Stored::Gzip)]);
    cache.verify([&image]).unwrap();
    let path = dir.path().join("expanded/sha256").join(image.layers[0].diff_id.hex());
    fs::write(&path, b"damaged").unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    assert_eq!(content(&cache, &image), [layer("1")]);
}

#[test]
fn a_layer_that_is_not_what_the_configuration_says_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    for (stored, wrong) in [(Stored::Gzip, gzip(&layer("2"))), (Stored::Plain, layer("2"))] {
        let mut image = add_image(&cache, "x", json!({}), &[(layer("1"), stored)]);
        let other = add_image(&cache, "y", json!({}), &[(layer("2"), stored)]);
        image.layers[0].blob = other.layers[0].blob;
        image.layers[0].size = other.layers[0].size;
        assert_eq!(other.layers[0].size, wrong.len() as u64);
        let error = cache.verify([&image]).unwrap_err();
        assert!(error.to_string().contains("the image's configuration says"), "{error}");
    }
}

#[test]
fn a_layer_of_zeros_stops_expanding() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    // 1.25 GiB of zeros in a few kilobytes; written as blobs by hand, without a layer of that size in memory.
    let zeros = std::io::repeat(0).take((5 << 30) / 4);
    let bomb = zstd::encode_all(zeros, 1).unwrap();
    let mut image = add_image(&cache, "x", json!({}), &[(layer("1"), Stored::Zstd)]);
    let digest = Digest::of(&bomb);
    fs::write(dir.path().join("blobs/sha256").join(digest.hex()), &bomb).unwrap();
    image.layers[0] = super::Layer { blob: digest, size: bomb.len() as u64, diff_id: Digest::of(b"") };
    let error = cache.verify([&image]).unwrap_err();
    assert!(matches!(error, ImageError::Expansion { .. }), "{error}");
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0, "the partial file is gone");
}

#[test]
fn removing_a_name_keeps_what_other_names_use() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let shared = (layer("shared"), Stored::Gzip);
    add_image(&cache, "a", json!({"Cmd": ["a"]}), &[shared.clone(), (layer("a"), Stored::Plain)]);
    let b = add_image(&cache, "b", json!({"Cmd": ["b"]}), &[shared.clone(), (layer("b"), Stored::Plain)]);
    assert_eq!(blobs(dir.path()), 7);
    let names =
        |cache: &Cache| cache.list().unwrap().into_iter().map(|listed| listed.name).collect::<Vec<_>>();
    assert_eq!(names(&cache), ["docker.io/library/a:latest", "docker.io/library/b:latest"]);

    assert!(cache.remove(&reference("a")).unwrap());
    assert!(!cache.remove(&reference("a")).unwrap());
    assert_eq!(names(&cache), ["docker.io/library/b:latest"]);
    assert_eq!(blobs(dir.path()), 4);
    let cache = Cache::open(dir.path()).unwrap();
    cache.verify([&b]).unwrap();

    assert!(cache.remove(&reference("b")).unwrap());
    assert_eq!(blobs(dir.path()), 0);
    assert_eq!(fs::read_dir(dir.path().join("expanded/sha256")).unwrap().count(), 0);
}

#[test]
fn an_import_replaces_the_name_and_refuses_what_is_damaged() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let first = add_image(&cache, "x", json!({}), &[(layer("1"), Stored::Plain)]);
    let second = add_image(&cache, "x", json!({}), &[(layer("2"), Stored::Plain)]);
    assert_ne!(first.digest, second.digest);
    assert_eq!(cache.list().unwrap().len(), 1);

    let mut layout = Layout::new(from.path());
    let manifest = layout.manifest("amd64", json!({}), &[(layer("3"), Stored::Plain)]);
    layout.add("x", manifest);
    damage(from.path(), Digest::of(&layer("3")));
    let error = cache.import(from.path(), Some(&reference("x"))).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    assert_eq!(cache.resolve(&reference("x"), "amd64").unwrap().unwrap().digest, second.digest);
}

#[test]
fn a_name_is_needed_when_the_archive_has_only_a_tag() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let mut layout = Layout::new(from.path());
    let manifest = layout.manifest("amd64", json!({}), &[]);
    layout.add("latest", manifest.clone());
    let error = cache.import(from.path(), None).unwrap_err();
    assert!(error.to_string().contains("give one"), "{error}");
    assert_eq!(cache.import(from.path(), Some(&reference("org/y:2"))).unwrap(), [reference("org/y:2")]);
    let other = layout.manifest("amd64", json!({"Cmd": ["z"]}), &[]);
    layout.add("org/z:1", other);
    let error = cache.import(from.path(), Some(&reference("org/y:2"))).unwrap_err();
    assert!(error.to_string().contains("2 images"), "{error}");
}

/// The files of a directory as a tar archive.
fn archive(dir: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", dir).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn an_archive_of_a_layout_is_imported_like_the_layout() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let written = from.path().join("layout");
    let mut layout = Layout::new(&written);
    let manifest = layout.manifest("amd64", json!({}), &[(layer("1"), Stored::Gzip)]);
    layout.add("org/x:1", manifest);
    let path = from.path().join("x.tar");
    fs::write(&path, archive(&written)).unwrap();
    assert_eq!(cache.import(&path, None).unwrap(), [reference("org/x:1")]);
    let image = cache.resolve(&reference("org/x:1"), "amd64").unwrap().unwrap();
    assert_eq!(content(&cache, &image), [layer("1")]);
}

#[test]
fn an_archive_of_docker_save_gets_a_manifest() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let saved = |diff_id: Digest| {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/a"], "Labels": null},
            "rootfs": {"type": "layers", "diff_ids": [diff_id.to_string(), diff_id.to_string()]},
        });
        let manifest = json!([{"Config": "c.json", "RepoTags": ["org/x:1", "y"], "Layers": ["1/layer.tar", "2/layer.tar"]}]);
        Layer::default()
            .file("c.json", &config.to_string())
            .dir("1/")
            .raw(tar::EntryType::Regular, "1/layer.tar", "", 0o644, &layer("1"))
            .symlink("2/layer.tar", "../1/layer.tar")
            .file("manifest.json", &manifest.to_string())
            .finish()
    };
    let path = from.path().join("x.tar");
    fs::write(&path, saved(Digest::of(&layer("1")))).unwrap();
    // A tag that is no full name does not count.
    let error = cache.import(&path, None).unwrap_err();
    assert!(error.to_string().contains("give one"), "{error}");
    assert_eq!(cache.list().unwrap(), []);

    assert_eq!(cache.import(&path, Some(&reference("z"))).unwrap(), [reference("z")]);
    let image = cache.resolve(&reference("z"), "amd64").unwrap().unwrap();
    assert_eq!(content(&cache, &image), [layer("1"), layer("1")]);

    fs::write(&path, saved(Digest::of(b"other"))).unwrap();
    let error = cache.import(&path, None).unwrap_err();
    assert!(error.to_string().contains("configuration says"), "{error}");
}

#[test]
fn what_is_no_image_is_refused() {
    let (dir, from) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = Cache::open(dir.path()).unwrap();
    let path = from.path().join("x");
    for (bytes, reason) in
        [(&b""[..], "neither"), (&[1; 512], "checksum"), (&[0; 1024], "neither"), (&b"x"[..], "truncated")]
    {
        fs::write(&path, bytes).unwrap();
        let error = cache.import(&path, None).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    assert!(cache.import(&from.path().join("absent"), None).is_err());
}

#[test]
fn parallel_writers_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let dir = dir.path();
            scope.spawn(move || {
                // Each its own, as processes have: locks are between open files, not between threads.
                let cache = Cache::open(dir).unwrap();
                for n in 0..5 {
                    let own = (layer(&format!("{writer}-{n}")), Stored::Gzip);
                    let name = format!("x{writer}:{n}");
                    let image = add_image(&cache, &name, json!({}), &[own, (layer("shared"), Stored::Plain)]);
                    cache.verify([&image]).unwrap();
                    if n % 2 == 1 {
                        assert!(cache.remove(&reference(&name)).unwrap());
                    }
                }
            });
        }
    });
    let cache = Cache::open(dir.path()).unwrap();
    let names = cache.list().unwrap();
    assert_eq!(names.len(), 12);
    for listed in names {
        let image = cache.resolve(&reference(&listed.name), "amd64").unwrap().unwrap();
        cache.verify([&image]).unwrap();
    }
}

#[test]
fn what_a_killed_writer_left_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    drop(Cache::open(dir.path()).unwrap());
    fs::write(dir.path().join("tmp/1-2-3"), b"half").unwrap();
    drop(Cache::open(dir.path()).unwrap());
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn a_damaged_index_is_an_error_not_an_empty_cache() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    fs::write(dir.path().join("index.json"), b"{").unwrap();
    assert!(matches!(cache.list(), Err(ImageError::Index { .. })));
    assert!(matches!(cache.resolve(&reference("x"), "amd64"), Err(ImageError::Index { .. })));
}
