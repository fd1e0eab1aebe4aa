//! Whole machines, from YAML and images.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::config::{self, PackageResolver, Source};
use crate::image::fixture::{Layer, Stored, add_image};
use crate::tree::{GENERATED_MTIME, display};

struct NoPackages;

impl PackageResolver for NoPackages {
    fn tag(&self, _dir: &Path) -> Result<String, String> {
        Err("no packages here".into())
    }
}

struct World {
    dir: tempfile::TempDir,
    cache: Cache,
}

impl World {
    /// A cache with a kernel, two init images and a service's image.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(&dir.path().join("cache")).unwrap();
        let modules = Layer::default().file("lib/modules/6.12/x.ko", "module").finish();
        let kernel = Layer::default()
            .file("kernel", "bzImage")
            .file("ucode.cpio", "ucode")
            .raw(tar::EntryType::Regular, "kernel.tar", "", 0o644, &modules)
            .finish();
        let init = Layer::default()
            .raw(tar::EntryType::Directory, "etc", "", 0o711, b"")
            .file("etc/hostname", "build-host")
            .file("etc/hosts", "evil")
            .file(".dockerenv", "")
            .file("dev/console", "a file")
            .file("init", "init")
            .symlink("lib", "usr/lib")
            .file("usr/lib/libc.so", "libc")
            .finish();
        let second =
            Layer::default().dir("bin").file("bin/tool", "tool").file("lib/libtool.so", "libtool").finish();
        let lower = Layer::default()
            .file("bin/server", "old")
            .file("gone/x", "x")
            .file("etc/passwd", "web:x:70:71::/:\n")
            .finish();
        let upper = Layer::default().file("bin/server", "new").file("gone/.wh..wh..opq", "").finish();
        for (name, config, layers) in [
            ("test/kernel:1", json!({}), vec![kernel]),
            ("test/init:1", json!({}), vec![init]),
            ("test/second:1", json!({}), vec![second]),
            ("test/server:1", json!({"Cmd": ["/bin/server"], "User": "web"}), vec![lower, upper]),
        ] {
            let layers: Vec<_> = layers.into_iter().map(|layer| (layer, Stored::Gzip)).collect();
            add_image(&cache, name, config, &layers);
        }
        Self { dir, cache }
    }

    fn config(&self, yaml: &str) -> Config {
        let source = Source { name: "test.yml".into(), text: yaml.into(), dir: None };
        config::load(&[source], &NoPackages).unwrap_or_else(|error| panic!("{error}")).config
    }

    fn build(&self, yaml: &str) -> Result<Machine, BuildError> {
        assemble(&self.config(yaml), &self.cache, "amd64", &Options::default())
    }

    fn error(&self, yaml: &str) -> String {
        self.build(yaml).expect_err(yaml).to_string()
    }
}

fn text(tree: &Tree, path: &str) -> String {
    let content = tree.file(path.as_bytes()).unwrap_or_else(|| panic!("{path} is not there"));
    String::from_utf8(content.read_all(1 << 20).unwrap()).unwrap()
}

fn json_at(tree: &Tree, path: &str) -> Value {
    serde_json::from_str(&text(tree, path)).unwrap()
}

fn names(tree: &Tree, dir: &str) -> Vec<String> {
    let below = tree.below(dir.as_bytes()).map(|(path, _)| display(&path[dir.len() + 1..]));
    below.map(|path| path[1..].to_owned()).collect()
}

#[test]
fn the_kernel_image_gives_kernel_modules_and_microcode() {
    let world = World::new();
    let machine =
        world.build("kernel: {image: 'test/kernel:1', cmdline: console=ttyS0, ucode: ucode.cpio}\n").unwrap();
    assert_eq!(machine.kernel.unwrap().read_all(100).unwrap(), b"bzImage");
    assert_eq!(machine.ucode.unwrap().read_all(100).unwrap(), b"ucode");
    assert_eq!(machine.cmdline, "console=ttyS0");
    assert_eq!(text(&machine.root, "lib/modules/6.12/x.ko"), "module");
    assert!(machine.root.get(b"kernel").is_none());
    assert_eq!(machine.boot.to_string(), "kernel (docker.io/test/kernel:1)");

    let error = world.error("kernel: {image: 'test/kernel:1', binary: vmlinuz}\n");
    assert!(error.contains("test.yml:1:17: did not find kernel in kernel image"), "{error}");
    let error = world.error("kernel: {image: 'test/init:1', binary: init}\n");
    assert!(error.contains("did not find kernel tar in kernel image"), "{error}");
    world.build("kernel: {image: 'test/init:1', binary: init, tar: none}\n").unwrap();
}

#[test]
fn init_images_are_unpacked_over_the_root_and_furnished() {
    let world = World::new();
    let root = world
        .build("kernel: {image: 'test/kernel:1'}\ninit: ['test/init:1', 'test/second:1']\n")
        .unwrap()
        .root;
    assert_eq!(root.get(b"etc").unwrap().mode, 0o711, "the image's own mode stays");
    assert!(text(&root, "etc/hosts").starts_with("127.0.0.1       localhost\n"));
    assert_eq!(
        root.get(b"etc/resolv.conf").unwrap().kind,
        Kind::Symlink(b"/run/resolvconf/resolv.conf".to_vec())
    );
    assert_eq!(root.get(b"etc/mtab").unwrap().kind, Kind::Symlink(b"/proc/mounts".to_vec()));
    for gone in [".dockerenv", "etc/hostname", "dev/console"] {
        assert!(root.get(gone.as_bytes()).is_none(), "{gone} is still there");
    }
    for made in ["dev/pts", "dev/shm", "proc", "sys"] {
        assert!(root.get(made.as_bytes()).unwrap().is_directory(), "{made}");
    }
    // Modules, and a later image's library, are where the link of the first image leads.
    assert_eq!(root.get(b"lib").unwrap().kind, Kind::Symlink(b"usr/lib".to_vec()));
    for path in ["usr/lib/libc.so", "usr/lib/libtool.so", "usr/lib/modules/6.12/x.ko"] {
        assert!(root.get(path.as_bytes()).is_some(), "{path}");
    }
    assert_eq!(root.get(b"bin/tool").unwrap().origin.to_string(), "init[1] (docker.io/test/second:1)");
    assert_eq!(root.get(b"init").unwrap().mtime, 1000);
    assert_eq!(root.get(b"proc").unwrap().mtime, GENERATED_MTIME);
}

#[test]
fn containers_are_laid_out_and_share_the_files_of_an_image() {
    let world = World::new();
    let root = world
        .build(
            "onboot:\n  - {name: first, image: 'test/server:1'}\n  - {name: ro, image: 'test/server:1', readonly: true}\n\
             onshutdown:\n  - {name: last, image: 'test/second:1', command: [/bin/tool], readonly: true}\n\
             services:\n  - {name: web, image: 'test/server:1'}\n",
        )
        .unwrap()
        .root;
    let first = "containers/onboot/000-first";
    assert_eq!(
        names(&root, first).into_iter().filter(|name| !name.starts_with("lower/")).collect::<Vec<_>>(),
        ["config.json", "lower", "rootfs", "runtime.json", "tmp"]
    );
    assert_eq!(text(&root, &format!("{first}/lower/bin/server")), "new");
    assert!(root.get(format!("{first}/lower/gone/x").as_bytes()).is_none(), "an opaque whiteout counts");
    assert_eq!(text(&root, &format!("{first}/lower/etc/resolv.conf")), "\n# no resolv.conf configured\n");
    let config = json_at(&root, &format!("{first}/config.json"));
    assert_eq!(config["process"]["user"]["uid"], 70, "the image's USER, from its own passwd");

    assert_eq!(names(&root, "containers/onboot/001-ro"), ["config.json", "rootfs", "runtime.json"]);
    let runtime = json_at(&root, "containers/onboot/001-ro/runtime.json");
    assert_eq!(runtime["mounts"][0]["source"], "/containers/onboot/000-first/lower");

    assert_eq!(names(&root, "containers/services/web"), ["config.json", "rootfs", "runtime.json", "tmp"]);
    let runtime = json_at(&root, "containers/services/web/runtime.json");
    assert_eq!(runtime["mounts"][2]["options"][0], "lowerdir=/containers/onboot/000-first/lower");
    assert_eq!(json_at(&root, "containers/services/web/config.json")["process"]["user"]["uid"], 70);

    assert_eq!(text(&root, "containers/onshutdown/000-last/rootfs/bin/tool"), "tool");
    assert!(root.get(b"containers/onshutdown/000-last/tmp").is_none());
    let origin = &root.get(b"containers/services/web/config.json").unwrap().origin;
    assert_eq!(origin.to_string(), "services[0] (docker.io/test/server:1)");
}

#[test]
fn read_only_containers_share_files_that_nothing_is_mounted_over() {
    let world = World::new();
    let services: String = ["one", "two"]
        .map(|name| format!("  - {{name: {name}, image: 'test/server:1', readonly: true}}\n"))
        .concat();
    let root = world.build(&format!("services:\n{services}")).unwrap().root;
    assert_eq!(text(&root, "containers/services/one/lower/bin/server"), "new");
    for name in ["one", "two"] {
        assert!(names(&root, &format!("containers/services/{name}/rootfs")).is_empty());
        let mount = json_at(&root, &format!("containers/services/{name}/runtime.json"))["mounts"][0].take();
        assert_eq!(mount["source"], "/containers/services/one/lower");
        assert_eq!(mount["options"], serde_json::json!(["bind", "private"]));
    }
}

#[test]
fn volumes_are_blank_or_an_images_files_or_an_oci_layout() {
    let world = World::new();
    let root = world
        .build(
            "volumes:\n  - {name: blank}\n  - {name: files, image: 'test/server:1'}\n  - {name: oci, image: 'test/server:1', format: oci}\n",
        )
        .unwrap()
        .root;
    assert_eq!(names(&root, "containers/volumes/blank"), ["lower", "merged", "tmp"]);
    assert_eq!(text(&root, "containers/volumes/files/lower/bin/server"), "new");
    let resolv = root.get(b"containers/volumes/files/lower/etc/resolv.conf").unwrap();
    assert!(matches!(resolv.kind, Kind::Symlink(_)));

    let oci = "containers/volumes/oci/lower";
    let index = json_at(&root, &format!("{oci}/index.json"));
    let manifest = index["manifests"][0]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
    let manifest = json_at(&root, &format!("{oci}/{manifest}"));
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    for descriptor in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let blob = descriptor["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
        let content = root.file(format!("{oci}/{blob}").as_bytes()).unwrap();
        assert_eq!(content.len(), descriptor["size"].as_u64().unwrap());
    }
}

#[test]
fn files_are_written_over_the_images_and_parents_keep_their_mode() {
    let world = World::new();
    let source = world.dir.path().join("source");
    fs::write(&source, b"from the host").unwrap();
    let yaml = format!(
        "init: ['test/init:1']\nfiles:\n\
         - {{path: /etc/secret, contents: hidden, uid: 5}}\n\
         - {{path: etc/issue, source: {}, mode: '0644'}}\n\
         - {{path: etc/absent, source: /nowhere/at/all, optional: true}}\n\
         - {{path: new/dir, directory: true, mode: '0750'}}\n\
         - {{path: new/link, symlink: /etc/issue}}\n\
         - {{path: etc/config.yml, metadata: yaml}}\n",
        source.display()
    );
    let root = world.build(&yaml).unwrap().root;
    assert_eq!(root.get(b"etc").unwrap().mode, 0o711);
    let secret = root.get(b"etc/secret").unwrap();
    assert_eq!((secret.mode, secret.uid, secret.gid), (0o600, 5, 0));
    assert_eq!(text(&root, "etc/secret"), "hidden");
    assert_eq!(text(&root, "new/link"), "from the host");
    assert!(root.get(b"etc/absent").is_none());
    assert_eq!((root.get(b"new").unwrap().mode, root.get(b"new/dir").unwrap().mode), (0o755, 0o750));
    assert!(text(&root, "etc/config.yml").contains("docker.io/test/init:1"));

    let error = world.error("files:\n  - {path: x, source: /nowhere/at/all}\n");
    assert!(error.starts_with("test.yml:2:") && error.contains("/nowhere/at/all"), "{error}");
    let error = world.error("init: ['test/init:1']\nfiles:\n  - {path: etc, contents: x}\n");
    assert!(error.contains("would replace the directory"), "{error}");
}

#[test]
fn missing_images_are_all_named_with_their_places_and_what_to_do() {
    let world = World::new();
    let error = world.error(
        "init: ['test/init:1', 'test/absent:1']\nservices:\n  - {name: a, image: other, command: [x]}\n  - {name: b, image: other, command: [x]}\n",
    );
    assert_eq!(
        error,
        "test.yml:1:23: image docker.io/test/absent:1 is not in the cache\n\
         test.yml:3:22: image docker.io/library/other:latest is not in the cache\n\
         build a package with `lkb pkg build DIR`, or bring an image with `lkb cache import FILE`"
    );
}

#[test]
fn a_hostile_layer_is_an_error_that_names_image_layer_and_entry() {
    let world = World::new();
    let layer = Layer::default().file("ok", "").file("../../etc/passwd", "x").finish();
    let image = add_image(&world.cache, "test/evil:1", json!({}), &[(layer, Stored::Gzip)]);
    let error = world.error("init: ['test/evil:1']\n");
    assert_eq!(
        error,
        format!(
            "image docker.io/test/evil:1: layer {}: entry \"../../etc/passwd\": its name leads out with ..",
            image.layers[0].blob
        )
    );
}

#[test]
fn packages_of_all_init_images_are_listed_together() {
    let world = World::new();
    for name in ["a", "b"] {
        let layer = Layer::default().file("lib/apk/db/installed", &format!("P:{name}\n\n")).finish();
        add_image(&world.cache, name, json!({}), &[(layer, Stored::Plain)]);
    }
    let root = world.build("init: [a, b]\n").unwrap().root;
    assert_eq!(text(&root, "lib/apk/db/installed"), "P:a\n\nP:b\n\n");
}

#[test]
fn the_bill_of_materials_lists_what_every_image_holds() {
    let world = World::new();
    let debian = Layer::default()
        .file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        .file("bin/sh", "sh")
        .file("var/lib/dpkg/status", "Package: dash\nStatus: install ok installed\nVersion: 0.5\n\n")
        .file("var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\n")
        .finish();
    let alpine = Layer::default().file("lib/apk/db/installed", "P:musl\nV:1.2\nA:x86_64\nL:MIT\n\n").finish();
    add_image(&world.cache, "test/debian:1", json!({"Cmd": ["sh"]}), &[(debian, Stored::Gzip)]);
    add_image(&world.cache, "test/alpine:1", json!({"Cmd": ["sh"]}), &[(alpine, Stored::Plain)]);
    let yaml = "init: ['test/alpine:1']\nservices: [{name: s, image: 'test/debian:1'}]";
    let build = |options: sbom::Options| {
        let options = Options { sbom: Some(options), ..Options::default() };
        assemble(&world.config(yaml), &world.cache, "amd64", &options).unwrap().root
    };
    let options = |path: &str, created| sbom::Options { path: path.into(), created };
    let root = build(options(sbom::NAME, 0));
    let bill: Value = serde_json::from_str(&text(&root, sbom::NAME)).unwrap();
    let purls: Vec<&str> = bill["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| package["externalRefs"][0]["referenceLocator"].as_str())
        .filter(|purl| !purl.starts_with("pkg:oci/"))
        .collect();
    assert_eq!(
        purls,
        [
            "pkg:apk/alpine/musl@1.2?arch=x86_64",
            "pkg:deb/debian/dash@0.5?distro=debian-12",
            "pkg:deb/debian/tzdata@2024a?distro=debian-12",
        ]
    );
    // From the cache, the same bytes; elsewhere when it is asked for.
    assert_eq!(text(&build(options(sbom::NAME, 0)), sbom::NAME), text(&root, sbom::NAME));
    let elsewhere = build(options("/usr/share/sbom.json", 1));
    assert!(elsewhere.get(b"sbom.spdx.json").is_none());
    assert!(text(&elsewhere, "usr/share/sbom.json").contains("1970-01-01T00:00:01Z"));
}

#[test]
fn packages_that_are_attested_beside_an_image_are_in_the_bill() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    let mut layout = crate::image::fixture::Layout::new(dir.path());
    let layer = Layer::default().file("bin/app", "app").finish();
    let manifest = layout.manifest("amd64", json!({"Cmd": ["/bin/app"]}), &[(layer, Stored::Plain)]);
    let statement = json!({"predicate": {"packages": [{
        "name": "golang.org/x/net", "versionInfo": "v0.1.0",
        "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:golang/golang.org/x/net@v0.1.0"}],
    }]}});
    let with = |mut descriptor: Value, more: Value| {
        descriptor.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        descriptor
    };
    let statement = with(
        layout.blob(statement.to_string().as_bytes()),
        json!({
            "mediaType": "application/vnd.in-toto+json",
            "annotations": {"in-toto.io/predicate-type": "https://spdx.dev/Document"},
        }),
    );
    let config = with(layout.blob(b"{}"), json!({"mediaType": "application/vnd.oci.image.config.v1+json"}));
    let attestation = json!({"schemaVersion": 2, "config": config, "layers": [statement]});
    let attestation = with(
        layout.blob(attestation.to_string().as_bytes()),
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": manifest["digest"],
            },
        }),
    );
    let index = layout.index(&[manifest, attestation]);
    layout.add("test/app:1", index);
    world.cache.import(dir.path(), None).unwrap();
    let sbom = Some(sbom::Options { path: sbom::NAME.into(), created: 0 });
    let options = Options { sbom, ..Options::default() };
    let config = world.config("init: ['test/app:1']");
    let root = assemble(&config, &world.cache, "amd64", &options).unwrap().root;
    assert!(text(&root, sbom::NAME).contains("pkg:golang/golang.org/x/net@v0.1.0"));
}
