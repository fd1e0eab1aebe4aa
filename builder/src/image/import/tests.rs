//! Archives as other tools write them, and as somebody hostile does.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};
use tar::EntryType;

use super::super::fixture::{Layer, Layout, Stored, gzip};
use super::super::{Cache, Digest, Reference};
use super::Form;

/// A cache and a place for files.
struct Setting {
    cache: Cache,
    dir: tempfile::TempDir,
}

impl Setting {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("cache")).unwrap();
        Self { cache, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// An OCI layout whose images have these names, each with one layer that has its name as a file.
    fn layout(&self, name: &str, images: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut layout = Layout::new(&path);
        for image in images {
            let manifest = layout.manifest("amd64", json!({}), &[(layer(image), Stored::Plain)]);
            layout.add(image, manifest);
        }
        path
    }

    fn content(&self, reference: &Reference) -> Vec<u8> {
        let image = self.cache.resolve(reference, "amd64").unwrap().unwrap();
        let file = self.cache.layer(&image, &image.layers[0]).unwrap();
        let mut bytes = Vec::new();
        file.stretch(0, file.len()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// Nothing is named, and nothing lies about half done.
    fn assert_untouched(&self, why: &str) {
        assert_eq!(self.cache.list().unwrap(), [], "{why}");
        assert_eq!(fs::read_dir(self.path("cache/tmp")).unwrap().count(), 0, "{why}");
    }
}

fn layer(text: &str) -> Vec<u8> {
    Layer::default().file("f", text).finish()
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// The files of a directory as a tar archive.
fn archive(dir: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", dir).unwrap();
    builder.into_inner().unwrap()
}

fn config(diff_ids: &[Digest]) -> Value {
    let diff_ids: Vec<String> = diff_ids.iter().map(ToString::to_string).collect();
    json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    })
}

/// What `docker save` writes of one image whose layer's member has these bytes.
fn saved(tags: &Value, diff_id: Digest, stored: &[u8]) -> Layer {
    Layer::default()
        .file("c.json", &config(&[diff_id]).to_string())
        .raw(EntryType::Regular, "l", "", 0o644, stored)
        .file("manifest.json", &json!([{"Config": "c.json", "RepoTags": tags, "Layers": ["l"]}]).to_string())
}

#[test]
fn archives_come_compressed_and_as_streams() {
    let setting = Setting::new();
    let plain = archive(&setting.layout("layout", &["org/x:1"]));
    let zstd = zstd::encode_all(&plain[..], 1).unwrap();
    for bytes in [plain.clone(), gzip(&plain), zstd] {
        let path = setting.write("x.tar", &bytes);
        assert_eq!(setting.cache.import(&path, None).unwrap(), [reference("org/x:1")]);
        assert!(setting.cache.remove(&reference("org/x:1")).unwrap());
        let mut stream = &bytes[..];
        let named = reference("y");
        let came = setting.cache.import_stream(&mut stream, Path::new("-"), Some(&named)).unwrap();
        assert_eq!(came, [named]);
        assert_eq!(setting.content(&came[0]), layer("org/x:1"));
        assert!(setting.cache.remove(&came[0]).unwrap());
        setting.assert_untouched("removed");
    }
}

#[test]
fn layers_of_docker_archives_may_be_compressed() {
    let (setting, content) = (Setting::new(), layer("x"));
    let zstd = zstd::encode_all(&content[..], 1).unwrap();
    for stored in [content.clone(), gzip(&content), zstd] {
        let bytes = saved(&json!(["org/x:1"]), Digest::of(&content), &stored).finish();
        setting.cache.import(&setting.write("x.tar", &bytes), None).unwrap();
        assert_eq!(setting.content(&reference("org/x:1")), content);
        setting.cache.clean().unwrap();
    }
    let wrong = saved(&json!(["org/x:1"]), Digest::of(b"other"), &gzip(&content)).finish();
    let error = setting.cache.import(&setting.write("x.tar", &wrong), None).unwrap_err().to_string();
    assert!(error.contains("layer l: ") && error.contains("configuration says"), "{error}");
    setting.assert_untouched("wrong");
}

#[test]
fn a_pinned_image_has_its_digest_and_takes_nobodys_place() {
    let setting = Setting::new();
    let path = setting.layout("layout", &["org/x:1"]);
    setting.cache.import(&setting.layout("other", &["org/x:1", "y:1"]), None).unwrap();
    let pinned = setting.cache.import_pinned(&path, Form::OciDirectory, None).unwrap();
    let digest = pinned.digest().unwrap();
    assert_eq!(pinned.to_string(), format!("docker.io/org/x:1@{digest}"));
    assert_eq!(setting.content(&pinned), layer("org/x:1"));
    let again = setting.cache.import_pinned(&path, Form::OciDirectory, Some("org/x:1")).unwrap();
    assert_eq!(again, pinned);
    let named =
        setting.cache.list().unwrap().iter().filter(|listed| listed.name == "docker.io/org/x:1").count();
    assert_eq!(named, 1, "the name itself is the other image's");
}

#[test]
fn a_file_that_becomes_another_image_leaves_nothing_of_the_first_one_named() {
    let setting = Setting::new();
    let save = |text: &str| {
        let content = layer(text);
        setting.write("My App_1.tar", &saved(&Value::Null, Digest::of(&content), &content).finish())
    };
    let first = setting.cache.import_pinned(&save("1"), Form::DockerArchive, None).unwrap();
    assert_eq!(first.name(), "localhost/my-app-1");
    assert_eq!(setting.cache.import_pinned(&save("1"), Form::DockerArchive, None).unwrap(), first);
    let second = setting.cache.import_pinned(&save("2"), Form::DockerArchive, None).unwrap();
    assert_ne!(first, second);
    let names: Vec<_> = setting.cache.list().unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, [second.to_string()]);
}

#[test]
fn of_several_images_one_must_be_named() {
    let setting = Setting::new();
    let path = setting.write("two.tar", &archive(&setting.layout("layout", &["org/x:1", "latest"])));
    let pin = |name| setting.cache.import_pinned(&path, Form::OciArchive, name);
    let error = pin(None).unwrap_err().to_string();
    assert!(error.contains("2 images (org/x:1, latest)") && error.contains("PATH:NAME"), "{error}");
    let error = pin(Some("z")).unwrap_err().to_string();
    assert!(error.contains("no image z; it has org/x:1, latest"), "{error}");
    for (name, content) in [("docker.io/org/x:1", "org/x:1"), ("latest", "latest")] {
        assert_eq!(setting.content(&pin(Some(name)).unwrap()), layer(content), "{name}");
    }
}

#[test]
fn a_file_must_be_what_it_is_said_to_be() {
    let setting = Setting::new();
    let layout = setting.layout("layout", &["org/x:1"]);
    let tar = setting.write("oci.tar", &archive(&layout));
    let content = layer("x");
    let docker =
        setting.write("docker.tar", &saved(&json!(["x:1"]), Digest::of(&content), &content).finish());
    for (path, form, said) in [
        (&layout, Form::OciArchive, "it is a directory"),
        (&layout, Form::DockerArchive, "it is a directory"),
        (&tar, Form::OciDirectory, "it is no directory"),
        (&tar, Form::DockerArchive, "no manifest.json"),
        (&docker, Form::OciArchive, "no index.json"),
        (&setting.path("absent"), Form::OciArchive, "No such file"),
    ] {
        let error = setting.cache.import_pinned(path, form, None).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(path.to_str().unwrap()), "{error}");
    }
    setting.assert_untouched("refused");
}

#[test]
fn hostile_archives_end_in_an_error_that_says_what_is_wrong() {
    let setting = Setting::new();
    let content = layer("x");
    let digest = Digest::of(&content);
    let sound = || saved(&json!(["org/x:1"]), digest, &content);
    let lie = |bytes: Vec<u8>, at: usize, size: &str| {
        let mut bytes = bytes;
        bytes[at + 124..at + 136].copy_from_slice(size.as_bytes());
        bytes[at + 148..at + 156].copy_from_slice(b"        ");
        let sum: u32 = bytes[at..at + 512].iter().map(|&byte| u32::from(byte)).sum();
        bytes[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes
    };
    let manifest = |layer: &str| {
        let list = json!([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": [layer]}]);
        Layer::default()
            .file("c.json", &config(&[digest]).to_string())
            .file("manifest.json", &list.to_string())
    };
    let many = json!([{"Config": "c.json", "RepoTags": ["x:1"], "Layers": vec!["l"; 200]}]);
    let images: Vec<Value> = (0..5000).map(|_| json!({"Config": "c.json", "Layers": []})).collect();
    for (bytes, said) in [
        (sound().file("/etc/passwd", "x").finish(), "\"/etc/passwd\" leads out"),
        (sound().file("a/../../b", "x").finish(), "\"a/../../b\" leads out"),
        (sound().symlink("../out", "l").finish(), "leads out"),
        (sound().file("manifest.json", "[]").finish(), "two entries \"manifest.json\""),
        (sound().file("./manifest.json", "[]").finish(), "two entries \"manifest.json\""),
        (manifest("k").symlink("k", "/etc/passwd").finish(), "k is a link to etc/passwd"),
        (manifest("k").hardlink("k", "../../etc/passwd").finish(), "k is a link to etc/passwd"),
        (manifest("k").symlink("k", "k").finish(), "k is a link to k"),
        (manifest("k").raw(EntryType::Fifo, "k", "", 0o644, b"").finish(), "layer k is missing"),
        (manifest("../../etc/passwd").finish(), "layer ../../etc/passwd is missing"),
        (manifest("k").file("k", "other").finish(), "configuration says"),
        (lie(sound().finish(), 0, "77777777777\0"), "end after the archive does"),
        (sound().finish()[..700].to_vec(), "end after the archive does"),
        (sound().finish()[..300].to_vec(), "truncated"),
        (gzip(&sound().finish())[..100].to_vec(), "cannot read"),
        (
            Layer::default().file("manifest.json", &"[".repeat(100_000)).finish(),
            "manifest.json: invalid type",
        ),
        (Layer::default().file("manifest.json", "[]").finish(), "names no image, or too many"),
        (Layer::default().file("manifest.json", &json!(images).to_string()).finish(), "or too many"),
        (
            Layer::default()
                .file("c.json", &config(&[digest; 200]).to_string())
                .file("manifest.json", &many.to_string())
                .finish(),
            "at most 128",
        ),
        (
            Layer::default()
                .file("index.json", &json!({"schemaVersion": 2, "manifests": []}).to_string())
                .finish(),
            "names 0 images",
        ),
    ] {
        let path = setting.write("x.tar", &bytes);
        let error = setting.cache.import(&path, None).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("x.tar"), "{said}: {error}");
        setting.assert_untouched(said);
    }
}

#[test]
fn an_archive_that_expands_without_end_is_stopped() {
    let setting = Setting::new();
    let zeros = std::io::repeat(0).take((5 << 30) / 4);
    let path = setting.write("x.tar.zst", &zstd::encode_all(zeros, 1).unwrap());
    let error = setting.cache.import(&path, None).unwrap_err().to_string();
    assert!(error.contains("more than 1073741824 bytes"), "{error}");
    setting.assert_untouched("stopped");
}

#[test]
fn a_layout_whose_blobs_are_not_what_they_are_called_is_refused() {
    let setting = Setting::new();
    let layout = setting.layout("layout", &["org/x:1"]);
    let blobs: Vec<PathBuf> =
        fs::read_dir(layout.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()).collect();
    for blob in blobs {
        let content = fs::read(&blob).unwrap();
        let mut flipped = content.clone();
        flipped[0] ^= 1;
        for (bytes, said) in [(flipped, "is damaged"), (content[1..].to_vec(), "bytes instead of")] {
            fs::write(&blob, bytes).unwrap();
            for path in [layout.clone(), setting.write("x.tar", &archive(&layout))] {
                let error = setting.cache.import(&path, None).unwrap_err().to_string();
                assert!(error.contains(said), "{error}");
                setting.assert_untouched(said);
                // What was copied before the fault was found is sound, and would be taken from there.
                setting.cache.clean().unwrap();
            }
        }
        fs::write(&blob, content).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_damage_to_an_archive_is_refused_or_changes_nothing(at in 0_usize..4000, bit in 0_u8..8) {
        let setting = Setting::new();
        let content = layer("x");
        let mut bytes = saved(&json!(["org/x:1"]), Digest::of(&content), &content).finish();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let path = setting.write("x.tar", &bytes);
        if let Ok(names) = setting.cache.import(&path, None) {
            for name in names {
                if let Ok(Some(image)) = setting.cache.resolve(&name, "amd64") {
                    prop_assert!(setting.cache.verify([&image]).is_ok());
                }
            }
        }
        prop_assert_eq!(fs::read_dir(setting.path("cache/tmp")).unwrap().count(), 0);
    }
}
