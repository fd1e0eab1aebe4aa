//! What the kernel's command line says about metadata.

use thiserror::Error;

/// Ours: names of providers, joined by commas.
const OURS: &str = "lkb.metadata";
/// Ours: who describes the network that is configured.
const NETWORK: &str = "lkb.network";
/// The only one who can.
const DESCRIBED_BY_METADATA: &str = "metadata";
/// cloud-init's: the name of a data source, with arguments behind semicolons.
const CLOUD_INIT: &str = "ds";

/// cloud-init's names, in lower case, and the providers that they mean.
const DATA_SOURCES: &[(&str, &[&str])] = &[
    ("azure", &["azure"]),
    ("configdrive", &["openstack"]),
    ("digitalocean", &["digitalocean"]),
    ("ec2", &["aws"]),
    ("gce", &["gcp"]),
    ("hetzner", &["hetzner"]),
    // With arguments there may be no disk, and without there is nothing else.
    ("nocloud", &["cdrom", "nocloud"]),
    ("nocloud-net", &["nocloud"]),
    ("openstack", &["openstack"]),
    ("scaleway", &["scaleway"]),
    ("vmware", &["vmware"]),
    ("vultr", &["vultr"]),
];

/// What the kernel's command line says about metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Names of providers, as given.
    pub providers: Vec<String>,
    /// What stands behind `ds=`, with its arguments.
    pub data_source: Option<String>,
    /// What stands behind `lkb.network=`; none if nothing does.
    pub network: Option<String>,
}

/// `lkb.network=` names somebody who can't describe a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "lkb.network={} on the kernel's command line: only lkb.network=metadata is known; the network stays as it is",
    crate::tree::Quoted(.0)
)]
pub struct UnknownNetwork(pub String);

impl CommandLine {
    /// Words are apart by blanks, and double quotes hold blanks together; the last of a name counts.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut parsed = Self::default();
        for word in words(line) {
            match word.split_once('=') {
                Some((OURS, names)) => {
                    let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
                    parsed.providers = names.map(str::to_owned).collect();
                }
                Some((CLOUD_INIT, source)) => parsed.data_source = Some(source.to_owned()),
                Some((NETWORK, who)) => {
                    parsed.network = Some(who.to_owned()).filter(|who| !who.is_empty());
                }
                _ => {}
            }
        }
        parsed
    }

    /// Whether the network is to be configured as metadata describes it.
    ///
    /// # Errors
    /// [`UnknownNetwork`] if somebody else is to describe it.
    pub fn wants_network(&self) -> Result<bool, UnknownNetwork> {
        match self.network.as_deref() {
            None => Ok(false),
            Some(DESCRIBED_BY_METADATA) => Ok(true),
            Some(other) => Err(UnknownNetwork(other.to_owned())),
        }
    }

    /// The providers that cloud-init's name means; none if it means none of ours.
    #[must_use]
    pub fn data_source_providers(&self) -> Vec<String> {
        let source = self.data_source.as_deref().unwrap_or_default();
        let name = source.split(';').next().unwrap_or_default().to_ascii_lowercase();
        let found = DATA_SOURCES.iter().find(|(theirs, _)| *theirs == name);
        found.map(|(_, ours)| ours.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }
}

/// Words without their quotes, as the kernel reads them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_a_data_source_are_found_among_other_words() {
        for (line, providers, source) in [
            ("console=ttyS0 lkb.metadata=openstack,cdrom quiet", &["openstack", "cdrom"][..], None),
            ("lkb.metadata=aws lkb.metadata=gcp", &["gcp"], None),
            ("lkb.metadata=", &[], None),
            ("ds=nocloud;h=a;s=http://169.254.1.1/", &[], Some("nocloud;h=a;s=http://169.254.1.1/")),
            ("\"ds=nocloud;h=a b\" x", &[], Some("nocloud;h=a b")),
            ("xlkb.metadata=aws", &[], None),
        ] {
            let parsed = CommandLine::parse(line);
            assert_eq!(
                (parsed.providers, parsed.data_source.as_deref()),
                (providers.iter().map(ToString::to_string).collect(), source)
            );
        }
    }

    #[test]
    fn the_network_is_configured_only_when_metadata_is_to_describe_it() {
        for (line, wanted) in [
            ("quiet", Ok(false)),
            ("lkb.metadata=openstack", Ok(false)),
            ("quiet lkb.network=metadata", Ok(true)),
            ("lkb.network=metadata lkb.network=", Ok(false)),
            ("lkb.network=dhcp", Err(UnknownNetwork("dhcp".into()))),
            ("lkb.network=dhcp lkb.network=metadata", Ok(true)),
        ] {
            assert_eq!(CommandLine::parse(line).wants_network(), wanted, "{line}");
        }
        assert_eq!(
            UnknownNetwork("no\ne".into()).to_string(),
            "lkb.network=\"no\\ne\" on the kernel's command line: only lkb.network=metadata is known; \
             the network stays as it is"
        );
    }

    #[test]
    fn data_sources_mean_providers_that_there_are() {
        for (theirs, ours) in DATA_SOURCES {
            assert!(ours.iter().all(|name| crate::provider::by_name(name).is_ok()), "{theirs}");
        }
        let providers = |line: &str| CommandLine::parse(line).data_source_providers();
        assert_eq!(providers("ds=OpenStack"), ["openstack"]);
        assert_eq!(providers("ds=nocloud;h=a"), ["cdrom", "nocloud"]);
        assert_eq!(providers("ds=smartos"), Vec::<String>::new());
    }
}
