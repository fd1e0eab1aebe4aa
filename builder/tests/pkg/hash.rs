//! Tags are what LinuxKit makes of the same tree. What they must be is computed by git and coreutils alone.

use crate::workshop::{Workshop, success};

/// A repository with `pkg/a`, and with `lib` beside it.
fn workshop() -> Workshop {
    let workshop = Workshop::new();
    workshop.write("pkg/a/build.yml", "image: a\norg: acme\n");
    workshop.write("pkg/a/Dockerfile", "FROM scratch\n");
    workshop.write("pkg/a/deep/file", "one\n");
    workshop.write("lib/x.c", "x\n");
    workshop.write("include/x.h", "h\n");
    workshop.write(".gitignore", "*.o\n");
    workshop.commit();
    workshop
}

fn tag(workshop: &Workshop, args: &[&str]) -> String {
    workshop.works(&[&["show-tag"], args].concat()).trim_end().to_owned()
}

#[test]
fn a_clean_package_has_the_hash_of_its_tree() {
    let workshop = workshop();
    let tree = workshop.sh("", "git ls-tree --full-tree HEAD -- pkg/a | cut -f1 | cut -d' ' -f3");
    assert_eq!(tag(&workshop, &["pkg/a"]), format!("acme/a:{tree}"));
    assert_eq!(tag(&workshop, &["--canonical", "pkg/a"]), format!("docker.io/acme/a:{tree}"));
    workshop.write("pkg/a/ignored.o", "o");
    workshop.write("elsewhere", "new");
    workshop.sh("pkg/a", "touch -d tomorrow Dockerfile");
    assert_eq!(tag(&workshop, &["pkg/a"]), format!("acme/a:{tree}"), "nothing of the package has changed");
}

#[test]
fn extra_sources_are_hashed_with_the_package() {
    let workshop = workshop();
    workshop
        .write("pkg/a/build.yml", "image: a\norg: acme\nextra-sources: [../../lib:lib, ../../include:/i]\n");
    workshop.commit();
    let of = |path: &str| format!("git rev-parse HEAD:{path} | tr -d '\\n'");
    let all = format!("( {}; {}; {} ) | sha1sum | cut -d' ' -f1", of("pkg/a"), of("lib"), of("include"));
    let hash = workshop.sh("", &all);
    assert_eq!(tag(&workshop, &["pkg/a"]), format!("acme/a:{hash}"));
    // LinuxKit does not see this.
    workshop.write("lib/x.c", "y\n");
    let contents = workshop.sh("lib", "cat x.c | sha256sum | cut -c1-7");
    assert_eq!(tag(&workshop, &["pkg/a"]), format!("acme/a:{hash}-dirty-{contents}"));
}

#[test]
fn what_was_changed_is_hashed_by_its_contents() {
    let workshop = workshop();
    let tree = workshop.git(&["rev-parse", "HEAD:pkg/a"]);
    let contents = "( git ls-files -z; git ls-files -z --others --exclude-standard ) \
                    | while IFS= read -r -d '' f; do if [ -f \"$f\" ] && [ ! -L \"$f\" ]; then cat \"$f\"; fi; done \
                    | sha256sum | cut -c1-7";
    let expected = |workshop: &Workshop| {
        let script = format!("bash -euc '{}'", contents.replace('\'', r"'\''"));
        format!("acme/a:{tree}-dirty-{}", workshop.sh("pkg/a", &script))
    };
    let unchanged = tag(&workshop, &["pkg/a"]);
    assert_eq!(tag(&workshop, &["--force-dirty", "pkg/a"]), expected(&workshop), "--force-dirty");
    workshop.write("pkg/a/deep/file", "two\n");
    let changed = tag(&workshop, &["pkg/a"]);
    assert_eq!(changed, expected(&workshop), "a changed file");
    workshop.write("pkg/a/new", "new\n");
    assert_eq!(tag(&workshop, &["pkg/a"]), expected(&workshop), "an untracked file");
    workshop.sh("pkg/a", "rm Dockerfile; ln -s deep/file link");
    assert_eq!(tag(&workshop, &["pkg/a"]), expected(&workshop), "a removed file, and a link");
    workshop.git(&["add", "--all"]);
    assert_eq!(tag(&workshop, &["pkg/a"]), expected(&workshop), "what is in the index is not in a commit");
    workshop.git(&["reset", "-q", "--hard"]);
    assert_eq!(tag(&workshop, &["pkg/a"]), unchanged);
    workshop.write("pkg/a/untracked", "u\n");
    assert_eq!(tag(&workshop, &["pkg/a"]), expected(&workshop), "nothing but an untracked file");
}

#[test]
fn another_directory_or_commit_may_be_hashed() {
    let workshop = workshop();
    let first = workshop.git(&["rev-parse", "HEAD:pkg/a"]);
    let before = workshop.git(&["rev-parse", "HEAD"]);
    workshop.write("pkg/a/deep/file", "two\n");
    workshop.write("pkg/b", "b\n");
    workshop.commit();
    let all = workshop.git(&["rev-parse", "HEAD:pkg"]);
    assert_eq!(tag(&workshop, &["--hash-path", "pkg", "pkg/a"]), format!("acme/a:{all}"));
    assert_eq!(tag(&workshop, &["--hash-commit", &before, "pkg/a"]), format!("acme/a:{first}"));
    workshop.write("pkg/b", "c\n");
    let clean = workshop.git(&["rev-parse", "HEAD:pkg/a"]);
    assert_eq!(tag(&workshop, &["pkg/a"]), format!("acme/a:{clean}"), "the change is beside the package");
    let contents = workshop.sh("pkg/a", "git ls-files | xargs cat | sha256sum | cut -c1-7");
    assert_eq!(tag(&workshop, &["--hash-path", "pkg", "pkg/a"]), format!("acme/a:{all}-dirty-{contents}"));
    assert_eq!(tag(&workshop, &["--hash-commit", &before, "pkg/a"]), format!("acme/a:{first}"));
    let said = workshop.fails(&["show-tag", "--hash-path", "lib", "pkg/a"]);
    assert!(said.contains("does not hold the package"), "{said}");
    let said = workshop.fails(&["show-tag", "--hash-commit", "nonsense", "pkg/a"]);
    assert!(said.contains("nonsense"), "{said}");
    let said = workshop.fails(&["build", "--hash-commit", &before, "pkg/a"]);
    assert!(said.contains("check that commit out first"), "{said}");
}

#[test]
fn the_top_of_a_repository_has_the_tree_of_its_commit() {
    let workshop = Workshop::new();
    workshop.write("build.yml", "image: top\n");
    workshop.commit();
    let tree = workshop.git(&["show", "--format=%T", "-s", "HEAD"]);
    assert_eq!(tag(&workshop, &["."]), format!("linuxkit/top:{tree}"));
}

#[test]
fn what_is_not_in_git_is_the_latest() {
    let workshop = Workshop::new();
    std::fs::remove_dir_all(workshop.path(".git")).unwrap();
    workshop.write("build.yml", "image: a\n");
    assert_eq!(tag(&workshop, &["."]), "linuxkit/a:latest");
    assert_eq!(tag(&workshop, &["--hash", "h", "."]), "linuxkit/a:h");
}

#[test]
fn organisation_and_tag_are_said_by_options_the_environment_or_the_manifest() {
    let workshop = Workshop::new();
    workshop.write("build.yml", "image: a\norg: acme\ntag: v1-{{.Hash}}\n");
    for (args, expected) in [
        (&["--hash", "h", "."][..], "acme/a:v1-h"),
        (&["--hash", "h", "--tag", "{{ .Hash }}-x", "."], "acme/a:h-x"),
        (&["--tag", "1.2", "."], "acme/a:1.2"),
        (&["--org", "host:5000/other", "--hash", "h", "."], "host:5000/other/a:v1-h"),
        (&["--dev", "--tag", "{{.Hash}}", "."], "anna/a:dev"),
        (&["--dev", "--org", "x", "--hash", "h", "."], "x/a:v1-h"),
    ] {
        let mut command = workshop.command(&[&["show-tag"], args].concat());
        let output = command.env("USER", "anna").output().unwrap();
        assert_eq!(success(&output, args).trim_end(), expected, "{args:?}");
    }
    let show = ["show-tag", "--hash", "h", "."];
    let output = workshop.command(&show).env("LINUXKIT_PKG_ORG", "env").output().unwrap();
    assert_eq!(success(&output, &show), "env/a:v1-h\n");
    // The options may also stand before the command.
    assert_eq!(workshop.works(&["--org", "b", "--hash", "h", "show-tag", "."]), "b/a:v1-h\n");
    let output = workshop.command(&["show-tag", "--dev", "."]).env_remove("USER").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("USER, which is not set"));
    let said = workshop.fails(&["show-tag", "--tag", "{{.Tag}}", "."]);
    assert!(said.contains("no template of a tag"), "{said}");
}

#[test]
fn the_images_of_packages_in_build_arguments_are_those_of_show_tag() {
    let workshop = workshop();
    workshop.write("pkg/b-c/build.yml", "image: b-c\norg: acme\n");
    workshop.write("pkg/user/Dockerfile", "FROM scratch\n");
    workshop.write(
        "pkg/user/build.yml",
        "image: user\nbuildArgs: [ONE=@lkt:pkg:../a, \"OF_%=@lkt:pkgs:../[ab]*\", PLAIN=x, OVER=1]\n",
    );
    workshop.write("args", "# comment\nOVER=2\nMORE=@lkt:pkg:pkg/b-c\n");
    workshop.commit();
    let (a, b) = (tag(&workshop, &["pkg/a"]), tag(&workshop, &["pkg/b-c"]));
    let line = workshop.works(&["build", "--dry-run", "--build-arg-file", "args", "pkg/user"]);
    for part in [
        "docker buildx build --tag linuxkit/user:".to_owned(),
        "--network none".to_owned(),
        format!("--build-arg ONE={a} "),
        format!("--build-arg OF_ACME_A={a} "),
        format!("--build-arg OF_ACME_B_C={b} "),
        "--build-arg PLAIN=x ".to_owned(),
        "--build-arg OVER=2 ".to_owned(),
        format!("--build-arg MORE={b} "),
    ] {
        assert!(line.contains(&part), "{part}: {line}");
    }
    assert!(!line.contains("OVER=1"), "{line}");
}
