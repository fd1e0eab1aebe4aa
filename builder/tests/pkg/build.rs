//! From a directory to an image in the cache, by buildah.

use std::io::Write;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::registries::images::Image;
use crate::registries::real::Registry;
use crate::workshop::{Workshop, failure};

/// The statement about an image that goes with it in its index.
fn statement(workshop: &Workshop, index: &Value, image: &Value) -> Value {
    let about = |other: &&Value| other["annotations"]["vnd.docker.reference.digest"] == image["digest"];
    let attestation = index["manifests"].as_array().unwrap().iter().find(about).unwrap();
    assert_eq!(attestation["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(attestation["platform"]["os"], "unknown");
    let manifest = workshop.blob(attestation["digest"].as_str().unwrap());
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.in-toto+json");
    assert_eq!(layer["annotations"]["in-toto.io/predicate-type"], "https://spdx.dev/Document");
    workshop.blob(layer["digest"].as_str().unwrap())
}

#[test]
fn a_package_has_its_files_its_labels_and_a_list_of_its_software() {
    let workshop = Workshop::new();
    workshop.write(
        "a/build.yml",
        "image: a\norg: acme\ngitrepo: https://git.example/a\nextra-sources: [../common:shared]\n\
         buildArgs: [WORD=hello]\nconfig: {net: host, binds: [/a:/b]}\n",
    );
    workshop.write(
        "a/Dockerfile",
        "FROM scratch\nARG WORD\nARG REVISION\nARG PKG_HASH\nARG PKG_IMAGE\nCOPY shared/text /text\n\
         COPY status /var/lib/dpkg/status\nLABEL own=1\nENV A=$WORD R=$REVISION H=$PKG_HASH I=$PKG_IMAGE\n",
    );
    workshop.write(
        "a/status",
        "Package: tool\nStatus: install ok installed\nVersion: 1.2\nArchitecture: amd64\n\n",
    );
    workshop.write("common/text", "shared\n");
    workshop.commit();
    let revision = workshop.git(&["rev-parse", "HEAD"]);
    workshop.write("elsewhere", "");
    workshop.commit();
    let tag = workshop.works(&["show-tag", "a"]);
    assert_eq!(workshop.works(&["build", "a"]), tag);
    let name = format!("docker.io/{}", tag.trim_end());

    let files = workshop.files(&name);
    let text = files.iter().find(|(path, _)| path == "text").unwrap();
    assert_eq!(text.1, b"shared\n");
    let config = workshop.config(&name, "amd64");
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["org.mobyproject.config"], r#"{"binds":["/a:/b"],"net":"host"}"#);
    assert_eq!(labels["org.opencontainers.image.source"], "https://git.example/a");
    assert_eq!(labels["org.opencontainers.image.revision"], revision, "the commit that changed the sources");
    assert!(labels["org.mobyproject.linuxkit.version"].as_str().unwrap().starts_with("lkb-"));
    assert_eq!(labels["own"], "1");
    let hash = tag.trim_end().rsplit(':').next().unwrap();
    let env = config["config"]["Env"].to_string();
    for part in ["A=hello", &format!("R={revision}"), &format!("H={hash}"), "I=acme/a"] {
        assert!(env.contains(part), "{part}: {env}");
    }
    let index = workshop.cached(&name);
    let image = &index["manifests"][0];
    assert_eq!(image["platform"]["architecture"], "amd64");
    let statement = statement(&workshop, &index, image);
    assert_eq!(statement["predicateType"], "https://spdx.dev/Document");
    let digest = image["digest"].as_str().unwrap();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest.trim_start_matches("sha256:"));
    let packages = statement["predicate"]["packages"].to_string();
    assert!(packages.contains("pkg:deb/debian/tool@1.2"), "{packages}");

    assert_eq!(workshop.works(&["build", "a"]), "", "it is in the cache");
    assert_eq!(workshop.works(&["build", "--force", "a"]), tag);
    assert_eq!(workshop.cached(&name), index, "the same sources make the same image");
    workshop.works(&["build", "--force", "--sbom-scanner", "false", "a"]);
    assert_eq!(workshop.cached(&name)["manifests"][1]["annotations"]["vnd.docker.reference.digest"], digest);
    assert_eq!(workshop.litter(), [""; 0]);
}

#[test]
fn a_package_is_built_for_several_architectures_under_one_name() {
    let workshop = Workshop::new();
    workshop.write("a/build.yml", "image: a\norg: acme\narches: [amd64, arm64]\n");
    workshop.write("a/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY build.yml /\nENV FOR=$TARGETARCH\n");
    workshop.commit();
    let name = format!("docker.io/{}", workshop.works(&["build", "a"]).trim_end());
    workshop.works(&["build", "--platforms", "linux/arm64", "a"]);
    for arch in ["amd64", "arm64"] {
        let config = workshop.config(&name, arch);
        assert_eq!(config["architecture"], arch);
        assert!(config["config"]["Env"].to_string().contains(&format!("FOR={arch}")), "{config}");
    }
    let index = workshop.cached(&name);
    assert_eq!(
        index["manifests"].as_array().unwrap().len(),
        4,
        "two images, and a statement about each: {index}"
    );
    assert_eq!(workshop.works(&["build", "--skip-platforms", "linux/riscv64", "a"]), "", "both are there");
}

#[test]
fn a_package_may_be_made_of_another_and_of_images_of_others() {
    let registry = Registry::plain();
    registry.push("tools", "1", &Image::new("amd64", &[b"from a registry"]));
    let workshop = Workshop::new();
    workshop.write("base/build.yml", "image: base\norg: acme\n");
    workshop.write("base/Dockerfile", "FROM scratch\nCOPY build.yml /base\n");
    workshop.write(
        "a/build.yml",
        "image: a\norg: acme\nbuildArgs: [BASE=@lkt:pkg:../base, WHAT=@pkg:../base]\n\
         depends: {docker-images: {target-dir: images, from-file: list}}\n",
    );
    let tools = format!("{}/tools:1", registry.host());
    workshop.write(
        "a/Dockerfile",
        format!("ARG BASE\nFROM {tools} AS tools\nFROM ${{BASE}}\nARG WHAT\nENV WHAT=$WHAT\nCOPY --from=tools /etc/0 /tool\nCOPY images /images\n"),
    );
    let image = Image::new("amd64", &[b"from a registry"]);
    let digest = crate::registries::images::digest(&image.manifest);
    workshop.write("a/list", format!("# images\n{tools}@{digest}\n"));
    workshop.commit();
    let built = workshop.works(&["build", "a"]);
    let names: Vec<&str> = built.lines().collect();
    let [base, a] = names.as_slice() else { panic!("{built}") };
    let name = format!("docker.io/{a}");
    let files = workshop.files(&name);
    let content =
        |path: &str| files.iter().find(|(name, _)| name == path).map(|(_, content)| content.as_slice());
    assert_eq!(content("base"), Some(&b"image: base\norg: acme\n"[..]));
    assert_eq!(content("tool"), Some(&b"from a registry"[..]));
    let archive = content(&format!("images/tools@{digest}.tar")).unwrap();
    assert!(archive.windows(13).any(|window| window == b"manifest.json"));
    let config = workshop.config(&name, "amd64");
    assert!(
        config["config"]["Env"].to_string().contains(&format!("WHAT={base}")),
        "as text it is the name: {config}"
    );
}

#[test]
fn the_shell_and_the_health_check_of_a_dockerfile_are_kept_and_the_image_is_the_same_each_time() {
    let workshop = Workshop::new();
    workshop.write("a/build.yml", "image: a\norg: acme\n");
    let dockerfile = "\
FROM scratch AS build
COPY root/ /
SHELL [\"/bin/bash\", \"-c\"]
RUN [[ a == a ]] && echo made >/made
FROM scratch
COPY --from=build /made /made
HEALTHCHECK --interval=5s CMD [\"/made\"]
SHELL [\"/made\", \"-c\"]
";
    workshop.write("a/Dockerfile", dockerfile);
    workshop.add_shell("a");
    workshop.commit();
    let name = format!("docker.io/{}", workshop.works(&["build", "a"]).trim_end());
    let first = workshop.cached(&name);
    assert_eq!(workshop.files(&name), [("made".to_owned(), b"made\n".to_vec())]);
    let config = workshop.config(&name, "amd64");
    assert_eq!(
        config["config"]["Healthcheck"],
        json!({"Interval": 5_000_000_000_u64, "Test": ["CMD", "/made"]})
    );
    assert_eq!(config["config"]["Shell"], json!(["/made", "-c"]));
    workshop.works(&["build", "--force", "a"]);
    assert_eq!(workshop.cached(&name), first);
}

#[test]
fn a_build_reaches_the_network_only_where_its_manifest_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let workshop = Workshop::new();
    workshop.write("a/build.yml", "image: a\norg: acme\n");
    let reach = format!("echo reaching out; exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached");
    workshop.write(
        "a/Dockerfile",
        format!("FROM scratch\nCOPY root/ /\nRUN [\"/bin/bash\", \"-c\", \"{reach}\"]\n"),
    );
    workshop.add_shell("a");
    workshop.commit();
    let said = workshop.fails(&["build", "a"]);
    assert!(
        said.contains("reaching out") && said.contains("/dev/tcp/127.0.0.1"),
        "the last lines are shown: {said}"
    );
    assert!(!said.lines().any(|line| line == "reached"), "{said}");
    assert_eq!(workshop.home.works(&["cache", "ls"]).1, "", "the cache is as it was");
    assert_eq!(workshop.litter(), [""; 0]);
    workshop.works(&["build", "--network", "a"]);
    workshop.write("a/build.yml", "image: a\norg: acme\nnetwork: true\n");
    workshop.works(&["build", "a"]);
    let said = workshop.fails(&["build", "--force", "--nonetwork", "a"]);
    assert!(said.contains("reaching out"), "{said}");
}

#[test]
fn packages_that_do_not_need_each_other_are_built_at_the_same_time_and_what_was_on_its_way_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let workshop = Workshop::new();
    // Each says its name, and ends when it is told how.
    for name in ["a", "b"] {
        let script =
            format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo {name} >&3 && read -r code <&3 && exit $code");
        workshop.write(&format!("{name}/build.yml"), format!("image: {name}\norg: acme\nnetwork: true\n"));
        workshop.write(
            &format!("{name}/Dockerfile"),
            format!("FROM scratch\nCOPY root/ /\nRUN [\"/bin/bash\", \"-c\", \"{script}\"]\n"),
        );
        workshop.add_shell(name);
    }
    workshop.write("never/build.yml", "image: never\norg: acme\nbuildArgs: [A=@pkg:../a]\n");
    workshop.write("never/Dockerfile", "ARG A\nFROM ${A}\n");
    workshop.commit();

    let mut command = workshop.command(&["build", "--jobs", "2", "a", "b", "never"]);
    let mut builds = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, met) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..2 {
            let (connection, _) = listener.accept().unwrap();
            // Nobody listens any more when the test has failed.
            sender.send(connection).ok();
        }
    });
    let mut there = Vec::new();
    for _ in 0..2 {
        let Ok(connection) = met.recv_timeout(Duration::from_secs(120)) else {
            builds.kill().unwrap();
            panic!("only {} build was begun: {:?}", there.len(), builds.wait_with_output().unwrap());
        };
        there.push(connection);
    }
    for connection in &mut there {
        let mut name = [0; 1];
        std::io::Read::read_exact(connection, &mut name).unwrap();
        writeln!(connection, "{}", u8::from(name == *b"a")).unwrap();
    }
    let output = builds.wait_with_output().unwrap();
    let said = failure(&output, &["build"]);
    assert!(said.contains("building acme/a:") && !said.contains("building acme/never"), "{said}");
    let built = String::from_utf8(output.stdout).unwrap();
    assert!(built.starts_with("acme/b:") && built.lines().count() == 1, "{built}");
    assert_eq!(workshop.works(&["build", "b"]), "", "it is in the cache");
    assert_eq!(workshop.litter(), [""; 0]);
}
