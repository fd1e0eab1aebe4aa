//! What apk has installed (Alpine, "Apk spec", "Installed Database V2").

use super::package::{Distribution, Package, shown};

/// The packages of a database.
pub(super) fn packages(text: &str, distribution: &Distribution) -> Vec<Package> {
    text.split("\n\n").filter_map(|stanza| package(stanza, distribution)).collect()
}

fn package(stanza: &str, distribution: &Distribution) -> Option<Package> {
    let field = |letter: char| {
        let value = stanza.lines().find_map(|line| line.strip_prefix(letter)?.strip_prefix(':'));
        value.unwrap_or_default().trim()
    };
    let version = field('V');
    let mut package = Package::of("apk", "alpine", distribution, [field('P'), version, field('A')])?;
    package.license = shown(field('L'));
    let origin = field('o');
    let origin = if origin.is_empty() { &package.name } else { origin };
    package.source = shown(&format!("{origin} {version}"));
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_listed_with_its_licence_and_origin() {
        let text = "C:Q1x\nP:busybox\nV:1.36.1-r2\nA:x86_64\nL:GPL-2.0-only\no:busybox\nF:bin\nR:busybox\n\n\
            P:libssl3\nV:3.1.4-r5\nA:x86_64\no:openssl\n\nP:broken\n\nF:etc\n";
        let found = packages(text, &Distribution { id: "alpine".into(), version: "3.19.1".into() });
        let shown: Vec<[&str; 3]> =
            found.iter().map(|found| [&*found.purl, &*found.license, &*found.source]).collect();
        assert_eq!(
            shown,
            [
                [
                    "pkg:apk/alpine/busybox@1.36.1-r2?arch=x86_64&distro=alpine-3.19.1",
                    "GPL-2.0-only",
                    "busybox 1.36.1-r2"
                ],
                ["pkg:apk/alpine/libssl3@3.1.4-r5?arch=x86_64&distro=alpine-3.19.1", "", "openssl 3.1.4-r5"],
            ]
        );
    }
}
