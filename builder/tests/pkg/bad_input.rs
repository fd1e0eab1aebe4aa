//! What cannot be built is told by name, before anything is changed.

use crate::registries::stderr;
use crate::workshop::{Workshop, path_without};

#[test]
fn what_is_wrong_with_a_package_is_told() {
    let workshop = Workshop::new();
    workshop.write("nothing/file", "");
    workshop.write("bare/build.yml", "image: bare\n");
    workshop.write("unknown/build.yml", "image: a\nnetwrk: true\nconfig:\n  bind: [/a:/b]\n");
    workshop.write("nameless/build.yml", "org: acme\n");
    workshop.write("arm/build.yml", "image: arm\narches: [arm64]\n");
    workshop.write("arm/Dockerfile", "FROM scratch\n");
    workshop.write("circle/build.yml", "image: c\nbuildArgs: [X=@pkg:.]\n");
    workshop.write("lost/build.yml", "image: l\nbuildArgs: [X=@pkg:../absent]\n");
    workshop.write("outside/build.yml", "image: o\nextra-sources: [../../../absent:x]\n");
    workshop.write("outside/Dockerfile", "FROM scratch\n");
    workshop.commit();
    for (args, said) in [
        (&["absent"][..], "no package in absent"),
        (&["nothing"], "no package in"),
        (&["bare"], "has no Dockerfile: can't read"),
        (&["unknown"], "unknown/build.yml:2:1: unknown key `netwrk`; did you mean `network`?"),
        (&["unknown"], "unknown/build.yml:4:3: config: unknown key `bind`; did you mean `binds`?"),
        (&["nameless"], "nameless/build.yml:1:1: image is required"),
        (
            &["--platforms", "linux/amd64", "arm"],
            "can't be built for amd64: `arches` in its build.yml has arm64",
        ),
        (&["--platforms", "amd64", "arm"], "write linux/ARCH"),
        (&["circle"], "packages need each other in a circle"),
        (&["lost"], "absent"),
        (&["outside"], "absent"),
        (&["--builders", "arm64=x", "arm"], "names no builder"),
        (&["--release", "1", "arm"], "add --push"),
        (&["--progress", "plain", "--jobs", "2", "arm"], "shows one build at a time"),
        (&["--builder-config", "absent.toml", "arm"], "no file absent.toml"),
    ] {
        let text = workshop.fails(&[&["build"], args].concat());
        assert!(text.contains(said), "{args:?}: {said:?} is not in {text}");
    }
    assert_eq!(workshop.home.works(&["cache", "ls"]).1, "");
    assert_eq!(workshop.litter(), [""; 0]);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let workshop = Workshop::new();
    for (args, said) in [
        (&["--force", "--pull", "."][..], "cannot be used with"),
        (&["--platforms", "linux/amd64", "--skip-platforms", "linux/arm64", "."], "cannot be used with"),
        (&["--network", "--nonetwork", "."], "cannot be used with"),
        (&["--registry-creds", "host=user:secret", "."], "everybody who lists processes sees it"),
        (&["--sbom-scanner", "image", "."], "runs no scanner"),
        (&["--dockerfile", "../Dockerfile", "."], "outside the package"),
        (&["--jobs", "0", "."], "0 is not in 1..=256"),
    ] {
        let output = workshop.command(&[&["build"], args].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_driver_that_is_missing_is_named_with_what_installs_it() {
    let workshop = Workshop::new();
    workshop.write("build.yml", "image: a\n");
    workshop.write("Dockerfile", "FROM scratch\nCOPY build.yml /\n");
    workshop.commit();
    let bin = path_without(&workshop.home.path("without"), &["buildah", "docker"]);
    for (args, program, remedy) in [
        (&["build", "."][..], "`buildah` is not installed", "apt-get install buildah"),
        (&["build", "--docker", "."], "`docker` is not installed", "apt-get install docker.io"),
        (
            &["build", "--builders", "linux/amd64=far", "."],
            "`docker` is not installed",
            "apt-get install docker.io",
        ),
    ] {
        let output = workshop.command(args).env("PATH", &bin).output().unwrap();
        let said = stderr(&output);
        assert!(
            !output.status.success() && said.contains(program) && said.contains(remedy),
            "{args:?}: {said}"
        );
    }
    assert_eq!(workshop.home.works(&["cache", "ls"]).1, "");
}
