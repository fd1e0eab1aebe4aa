//! What comes from several files, from packages and from labels.

use super::*;

struct Packages;

impl PackageResolver for Packages {
    fn tag(&self, dir: &Path) -> Result<String, String> {
        match dir.to_str() {
            Some("/src/pkg/good") => Ok("lkb/good:abc".to_owned()),
            _ => Err("no build.yml".to_owned()),
        }
    }
}

#[test]
fn later_files_override_the_kernels_scalars_and_append_to_lists() {
    let first = "kernel: {image: k1, cmdline: a, tar: none, ucode: u}\ninit: [i1]\nvolumes: [{name: v}]\n\
        services: [{name: s1, image: i}]\ntrust: {org: [x]}";
    let second = "kernel: {cmdline: b, binary: bz}\ninit: [i2]\n\
        services: [{name: s2, image: i, binds: ['v:/data'], uid: s1}]\ntrust: {org: [y]}";
    let loaded = load(&[source("1", first), source("2", second)], &NoPackages).unwrap();
    let Config { kernel, init, volumes, services, trust, .. } = loaded.config;
    let kernel = kernel.unwrap();
    assert_eq!(kernel.image.reference, "k1");
    assert_eq!((kernel.cmdline.as_str(), kernel.binary.as_str()), ("b", "bz"));
    assert_eq!((kernel.tar, kernel.ucode.as_deref()), (None, Some("u")));
    let init: Vec<String> = init.iter().map(|image| format!("{image} {}", image.spot)).collect();
    assert_eq!(init, ["i1 1:2:8", "i2 2:2:8"]);
    assert_eq!((volumes.len(), services.len(), trust.org.len()), (1, 2, 2));
}

#[test]
fn names_must_be_unique_over_all_files() {
    let text = "services: [{name: s, image: i}]";
    let error = load(&[source("1", text), source("2", text)], &NoPackages).unwrap_err();
    assert_eq!(error.problems[0].to_string(), "2:1:19: duplicate service name: s; first at 1:1:19");
}

#[test]
fn empty_scalars_do_not_override_but_an_empty_tar_means_none() {
    let first = source("1", "kernel: {image: k, cmdline: a, binary: b}");
    let second = source("2", "kernel: {cmdline: '', binary: '', tar: ''}");
    let kernel = load(&[first, second], &NoPackages).unwrap().config.kernel.unwrap();
    assert_eq!((kernel.cmdline.as_str(), kernel.binary.as_str(), kernel.tar), ("a", "b", None));
}

#[test]
fn packages_are_resolved_relative_to_their_file() {
    let text = "kernel: {image: '@pkg:./pkg/good'}\ninit: ['@lkt:pkg:pkg/good', '@pkg:./pkg/bad']\n\
        volumes: [{name: v, image: '@pkg:pkg/good'}]\nservices: [{name: s, image: '@pkg:pkg/good'}]\n\
        files: [{path: x, contents: '@pkg:pkg/good'}]";
    let mut source = source("/src/a.yml", text);
    source.dir = Some("/src".into());
    let error = load(std::slice::from_ref(&source), &Packages).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert_eq!(
        error.problems[0].to_string(),
        "/src/a.yml:2:29: cannot resolve `@pkg:./pkg/bad` as the package in /src/pkg/bad: no build.yml"
    );
    source.text = source.text.replace("'@pkg:./pkg/bad'", "x");
    let config = load(&[source], &Packages).unwrap().config;
    let images: Vec<&str> = config.images().map(|image| image.reference.as_str()).collect();
    assert_eq!(images, ["lkb/good:abc", "lkb/good:abc", "x", "lkb/good:abc", "lkb/good:abc"]);
    assert_eq!(config.files[0].kind, FileKind::Contents("@pkg:pkg/good".to_owned()));
}

#[test]
fn a_label_is_read_with_the_same_schema_without_name_and_image() {
    let label =
        r#"{"binds":["/dev:/dev"],"capabilities":["all"],"uid":"sshd","runtime":{"mkdir":["/var/x"]}}"#;
    let overrides = Overrides::from_label(label).unwrap();
    assert_eq!(overrides.binds.as_deref(), Some(&["/dev:/dev".to_owned()][..]));
    assert_eq!(overrides.uid, Some(Id::Name("sshd".to_owned())));
    assert_eq!(overrides.runtime.unwrap().mkdir.unwrap(), ["/var/x"]);
    for (label, expected) in [
        (r#"{"name":"x"}"#, "label org.mobyproject.config:1:2: name cannot be set in a label"),
        (r#"{"image":"x"}"#, "image cannot be set in a label"),
        (r#"{"after":["x"]}"#, "after cannot be set in a label"),
        (
            r#"{"ready":{"tcp":1,"file":"/x"}}"#,
            "label org.mobyproject.config:1:10: ready: can be only one of tcp, file",
        ),
        (r#"{"timeout":"0s"}"#, "timeout: 0s is too short"),
        (r#"{"bind":[]}"#, "unknown key `bind`; did you mean `binds`?"),
        (r#"{"binds":"x"}"#, "binds: expected a list, found `x`"),
        ("[]", "expected a mapping, found a list"),
        ("{", "label org.mobyproject.config:1:"),
        ("", "the file is empty"),
    ] {
        let error = Overrides::from_label(label).unwrap_err();
        assert!(error.to_string().contains(expected), "{label}: {error}");
    }
    assert_eq!(Overrides::from_label("{}").unwrap(), Overrides::default());
    assert_eq!(Overrides::from_label("{\n\t\"readonly\": true\n}").unwrap().readonly, Some(true));
}
