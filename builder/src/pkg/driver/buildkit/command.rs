//! The command lines of builds.

use std::ffi::OsString;
use std::path::Path;

use crate::image::Reference;
use crate::pkg::driver::Job;
use crate::tree::GENERATED_MTIME;

/// The build argument that says when an image was made (BuildKit, "Build reproducibility").
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// `docker buildx build` with the builder `name`; the image becomes the archive `out`, an OCI layout.
pub(super) fn buildx(name: &str, job: &Job<'_>, out: &Path) -> Vec<OsString> {
    let mut args = words(&["buildx", "build", "--builder", name, "--progress", "plain"]);
    // A layout has no names that BuildKit could look up, and needs none.
    let needs = job.needs.iter().map(|need| (canonical(&need.reference), need.digest));
    for (name, digest) in needs.chain(job.bases.iter().map(|base| (base.reference.to_string(), base.digest)))
    {
        let mut context = OsString::from(format!("{name}=oci-layout://"));
        context.push(job.images);
        if let Some(digest) = digest {
            context.push(format!("@{digest}"));
        }
        args.extend([OsString::from("--build-context"), context]);
    }
    // BuildKit's own, from 0.13 on, give files that time, too; an engine has no word for that.
    let mut output = OsString::from("type=oci,rewrite-timestamp=true,dest=");
    output.push(out);
    args.extend([OsString::from("--output"), output]);
    args.extend(common(job));
    args
}

/// `docker build` in an engine, which keeps the image under this name.
pub(super) fn engine(name: &str, job: &Job<'_>) -> Vec<OsString> {
    let mut args = words(&["build", "--progress", "plain", "--tag", name]);
    args.extend(common(job));
    args
}

fn common(job: &Job<'_>) -> Vec<OsString> {
    let mut args = words(&["--platform", &format!("linux/{}", job.arch)]);
    if !job.network {
        args.extend(words(&["--network", "none"]));
    }
    if job.fresh {
        args.extend(words(&["--pull"]));
    }
    if !job.cache {
        args.extend(words(&["--no-cache"]));
    }
    if job.args.iter().all(|(name, _)| name != EPOCH) {
        args.extend(words(&["--build-arg", &format!("{EPOCH}={GENERATED_MTIME}")]));
    }
    for (name, value) in job.args {
        let text = value.as_ref().map_or_else(|| name.clone(), |value| format!("{name}={value}"));
        args.extend(words(&["--build-arg", &text]));
    }
    for need in job.needs {
        args.extend(words(&["--build-arg", &format!("{}={}", need.argument, need.reference)]));
    }
    for (name, value) in job.labels {
        args.extend(words(&["--label", &format!("{name}={value}")]));
    }
    for ssh in job.ssh {
        args.extend(words(&["--ssh", ssh]));
    }
    args.extend([OsString::from("--file"), job.dockerfile.into(), job.context.into()]);
    args
}

/// The command that a build amounts to, for people: `dir` is the package's directory.
#[must_use]
pub fn equivalent(job: &Job<'_>, dir: &Path) -> String {
    let mut line = vec!["docker".to_owned(), "buildx".to_owned(), "build".to_owned()];
    line.extend(["--tag".to_owned(), job.reference.to_owned()]);
    let shown = Job { context: dir, ..*job };
    line.extend(common(&shown).iter().map(|word| quoted(&word.to_string_lossy())));
    line.join(" ")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.:,@+%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// The name in full; a package's reference is one that can be read.
fn canonical(reference: &str) -> String {
    reference.parse::<Reference>().map_or_else(|_| reference.to_owned(), |reference| reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::pkg::driver::{Base, Need};

    fn text(args: &[OsString]) -> Vec<String> {
        args.iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_build_is_this_command_line() {
        let digest = Digest::of(b"x");
        let job = Job {
            context: Path::new("/s/context"),
            dockerfile: Path::new("/s/context/Dockerfile"),
            reference: "acme/a:1",
            arch: "arm64",
            args: &[("A".into(), Some("b c".into())), ("HTTP_PROXY".into(), None)],
            needs: &[Need { argument: "BASE".into(), reference: "acme/base:2".into(), digest: Some(digest) }],
            bases: &[Base { reference: "alpine:3".parse().unwrap(), digest: Some(digest) }],
            images: Path::new("/cache"),
            save: &|_, _| Ok(()),
            labels: &[("l".into(), "{\"a\":1}".into())],
            ssh: &["default".into()],
            network: false,
            cache: false,
            fresh: true,
            shown: false,
        };
        let common = "--platform linux/arm64 --network none --pull --no-cache \
                      --build-arg SOURCE_DATE_EPOCH=1492533000 --build-arg A=b_c --build-arg HTTP_PROXY \
                      --build-arg BASE=acme/base:2 --label l={\"a\":1} --ssh default --file /s/context/Dockerfile /s/context";
        let line = text(&buildx("far", &job, Path::new("/s/image"))).join(" ").replace("b c", "b_c");
        let expected = format!(
            "buildx build --builder far --progress plain \
             --build-context docker.io/acme/base:2=oci-layout:///cache@{digest} \
             --build-context docker.io/library/alpine:3=oci-layout:///cache@{digest} \
             --output type=oci,rewrite-timestamp=true,dest=/s/image {common}"
        );
        assert_eq!(line, expected);
        let line = text(&engine("lkb/build:1", &job)).join(" ").replace("b c", "b_c");
        assert_eq!(line, format!("build --progress plain --tag lkb/build:1 {common}"));
        let line = equivalent(&job, Path::new("pkg/a"));
        assert!(line.starts_with("docker buildx build --tag acme/a:1 --platform linux/arm64 "), "{line}");
        assert!(line.contains("--build-arg 'A=b c'") && line.contains("--label 'l={\"a\":1}'"), "{line}");
        let own = Job { args: &[(EPOCH.into(), Some("7".into()))], ..job };
        assert_eq!(text(&engine("x", &own)).iter().filter(|word| word.starts_with(EPOCH)).count(), 1);
        let open = Job { network: true, cache: true, fresh: false, ..job };
        let line = text(&engine("x", &open));
        assert!(
            !line.iter().any(|word| ["--network", "--no-cache", "--pull"].contains(&word.as_str())),
            "{line:?}"
        );
    }
}
