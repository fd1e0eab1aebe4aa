//! What dpkg has installed (deb-status(5); deb822(5) for the syntax).

use super::package::{Distribution, Package, shown};

/// The packages of a status file, or of one file of `status.d`, where there is no status: what is there is installed.
pub(super) fn packages(text: &str, distribution: &Distribution) -> Vec<Package> {
    // A line that begins with a blank goes on with the field before it; none of those matters here.
    text.split("\n\n").filter_map(|stanza| package(stanza, distribution)).collect()
}

fn package(stanza: &str, distribution: &Distribution) -> Option<Package> {
    let field = |name: &str| {
        let value = stanza.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        value.unwrap_or_default().trim()
    };
    let status = field("Status");
    if !status.is_empty() && status.rsplit(' ').next() != Some("installed") {
        return None;
    }
    let version = field("Version");
    let found = [field("Package"), version, field("Architecture")];
    let mut package = Package::of("deb", "debian", distribution, found)?;
    let source = field("Source");
    package.source = match source.split_once(" (") {
        _ if source.is_empty() => shown(&format!("{} {version}", package.name)),
        Some((name, version)) => shown(&format!("{name} {}", version.trim_end_matches(')'))),
        None => shown(&format!("{source} {version}")),
    };
    Some(package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_is_listed_and_nothing_else() {
        let text = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\n\
            Version: 2.36-9+deb12u7\nDescription: x\n Package: not-a-field\n\n\
            Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: openssl\nStatus: hold ok installed\nVersion: 1:3.0~rc1\nSource: src (2)\n\n\
            Package: none\nStatus: install ok installed\n\n\
            Version: 1\n\nPackage: a b\nVersion: 1\n\n:::\n\n\u{0}\n";
        let distribution = Distribution { id: "debian".into(), version: "12".into() };
        let found = packages(text, &distribution);
        let shown: Vec<(&str, &str)> =
            found.iter().map(|found| (found.purl.as_str(), found.source.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("pkg:deb/debian/libc6@2.36-9%2Bdeb12u7?arch=amd64&distro=debian-12", "glibc 2.36-9+deb12u7"),
                ("pkg:deb/debian/openssl@1:3.0~rc1?distro=debian-12", "src 2"),
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s)(Package: |Version: |Status: |Source: |[a-z(: \n]|.){0,200}") {
            packages(&text, &Distribution::default());
        }
    }
}
