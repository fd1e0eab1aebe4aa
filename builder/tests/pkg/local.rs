//! Images whose names were given on this machine alone: no registry has them, and BuildKit is handed them.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::registries::stderr;
use crate::workshop::{Workshop, answer, failure, success};

const BASE: &str = "localhost/acme/base:1";

/// A `docker` that notes what it is told, keeps what it is handed, and builds nothing.
const DOCKER: &str = "#!/bin/sh
echo \"$BUILDX_BUILDER $*\" >>$NOTES
case \"$*\" in
'image inspect '*) exit ${INSPECT:-1} ;;
'load --quiet '*) cp $4 $NOTES.tar ;;
rmi*) ;;
*'build --progress '*) echo 'nothing is built here'; exit 1 ;;
esac
";

struct Bench {
    workshop: Workshop,
    path: String,
    notes: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let workshop = Workshop::new();
        let bin = workshop.home.path("stub");
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(bin.join("docker"), DOCKER).unwrap();
        answer(Command::new("chmod").arg("755").arg(bin.join("docker")));
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let notes = workshop.home.path("notes");
        workshop.write("a/build.yml", "image: a\norg: acme\n");
        workshop.write("a/Dockerfile", format!("FROM {BASE}\nCOPY build.yml /\n"));
        workshop.commit();
        Self { workshop, path, notes }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.workshop.command(args);
        command.env("PATH", &self.path).env("NOTES", &self.notes);
        command
    }

    fn build(&self, args: &[&str]) -> Output {
        self.command(&[&["build"], args, &["a"]].concat()).output().unwrap()
    }

    /// What docker was told.
    fn told(&self) -> String {
        std::fs::read_to_string(&self.notes).unwrap()
    }
}

#[test]
fn an_image_that_only_buildah_has_is_handed_to_docker_as_it_is_now() {
    let bench = Bench::new();
    for word in ["old", "new"] {
        bench.workshop.write("root/word", format!("WORD={word}"));
        bench.workshop.make_image(BASE, Some("root"));
        let said = failure(&bench.build(&["--docker"]), &["build"]);
        assert!(said.contains("nothing is built here"), "{said}");
        let mut saved = tar::Archive::new(std::fs::File::open(bench.notes.with_extension("tar")).unwrap());
        let mut text = String::new();
        for entry in saved.entries().unwrap() {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry.unwrap(), &mut bytes).unwrap();
            text += &String::from_utf8_lossy(&bytes);
        }
        assert!(text.contains(BASE) && text.contains(&format!("WORD={word}")), "{text}");
    }
    assert!(bench.told().contains(&format!("rmi {BASE}")), "it was only lent: {}", bench.told());
}

#[test]
fn a_builder_that_fails_is_named() {
    let bench = Bench::new();
    bench.workshop.write("a/Dockerfile", "FROM scratch\n");
    let said = failure(&bench.build(&["--builders", "linux/amd64=ssh://me@far"]), &["build"]);
    assert!(said.contains("with ssh://me@far: `docker` exit status: 1"), "{said}");
}

#[test]
fn the_engine_builds_whatever_builder_the_environment_names() {
    let bench = Bench::new();
    bench.workshop.write("a/Dockerfile", "FROM scratch\n");
    let output = bench.command(&["build", "--docker", "a"]).env("BUILDX_BUILDER", "mine").output().unwrap();
    assert!(failure(&output, &[]).contains("nothing is built here"));
    assert!(bench.told().contains(" build ") && !bench.told().contains("mine"), "{}", bench.told());
}

#[test]
fn an_image_that_the_engine_has_is_its_own() {
    let bench = Bench::new();
    let said =
        failure(&bench.command(&["build", "--docker", "a"]).env("INSPECT", "0").output().unwrap(), &[]);
    assert!(said.contains("nothing is built here"), "{said}");
    assert!(!bench.told().contains("load") && !bench.told().contains("rmi"), "{}", bench.told());
}

#[test]
fn an_image_that_is_nowhere_is_named_with_what_makes_it() {
    let bench = Bench::new();
    let said = failure(&bench.build(&["--docker"]), &["build"]);
    assert!(said.contains(BASE) && said.contains("lkb cache import"), "{said}");
    assert!(!bench.told().contains("build"), "{}", bench.told());
}

#[test]
fn buildah_builds_with_what_it_has_and_asks_no_registry_for_it() {
    let bench = Bench::new();
    bench.workshop.make_image(BASE, None);
    for args in [&[][..], &["--force", "--precache-images"]] {
        success(&bench.build(args), args);
    }
    assert!(!bench.notes.exists(), "docker is not asked");
    bench.workshop.write("a/Dockerfile", "FROM localhost/acme/other:1\n");
    let output = bench.build(&[]);
    assert!(
        !output.status.success() && stderr(&output).contains("localhost/acme/other:1"),
        "{}",
        stderr(&output)
    );
}
