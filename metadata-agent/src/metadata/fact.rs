//! Lines about the machine.

use std::net::{IpAddr, Ipv4Addr};

use crate::hostname;

/// Longest fact, in bytes.
const MAX_FACT: usize = 253;

/// One line about the machine. What one cloud calls by another name than the others has that name as well, as in
/// LinuxKit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fact {
    /// The machine's name, possibly with its domain.
    Hostname,
    /// Its name on the cloud's own network.
    LocalHostname,
    /// The address that the Internet sees.
    PublicIpv4,
    /// The address on the cloud's own network.
    LocalIpv4,
    /// The address on the customer's own network.
    PrivateIpv4,
    /// That network's mask.
    PrivateNetmask,
    /// [`Self::PublicIpv4`] on Scaleway, where it may be IPv6 too.
    PublicIp,
    /// [`Self::PrivateIpv4`] on Scaleway.
    PrivateIp,
    /// Where in its region the machine is.
    AvailabilityZone,
    /// [`Self::AvailabilityZone`] on metaldata.
    FailureDomain,
    /// [`Self::AvailabilityZone`] on Scaleway.
    InstanceLocation,
    /// Which of the cloud's places the machine is in.
    Region,
    /// [`Self::Region`] on Vultr.
    RegionCode,
    /// Flavour, size.
    InstanceType,
    /// [`Self::InstanceType`] on metaldata.
    MachineType,
    /// What the cloud calls this machine.
    InstanceId,
    /// [`Self::InstanceId`] on metaldata.
    MachineId,
    /// [`Self::InstanceId`] on DigitalOcean.
    Id,
}

impl Fact {
    /// Every fact, and the file that it is written to.
    pub const ALL: &[(Self, &str)] = &[
        (Self::Hostname, "hostname"),
        (Self::LocalHostname, "local_hostname"),
        (Self::PublicIpv4, "public_ipv4"),
        (Self::LocalIpv4, "local_ipv4"),
        (Self::PrivateIpv4, "private_ipv4"),
        (Self::PrivateNetmask, "private_netmask"),
        (Self::PublicIp, "public_ip"),
        (Self::PrivateIp, "private_ip"),
        (Self::AvailabilityZone, "availability_zone"),
        (Self::FailureDomain, "failure_domain"),
        (Self::InstanceLocation, "instance_location"),
        (Self::Region, "region"),
        (Self::RegionCode, "region_code"),
        (Self::InstanceType, "instance_type"),
        (Self::MachineType, "machine_type"),
        (Self::InstanceId, "instance_id"),
        (Self::MachineId, "machine_id"),
        (Self::Id, "id"),
    ];

    /// The file that it is written to.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        Self::ALL.iter().find(|(fact, _)| *fact == self).map_or("", |(_, name)| name)
    }

    pub(super) fn check(self, value: &str) -> Result<(), &'static str> {
        match self {
            Self::Hostname | Self::LocalHostname if !hostname::is_valid(value) => {
                Err("is not a host name by RFC 1123")
            }
            Self::PublicIpv4 | Self::LocalIpv4 | Self::PrivateIpv4 | Self::PrivateNetmask
                if value.parse::<Ipv4Addr>().is_err() =>
            {
                Err("is not an IPv4 address")
            }
            Self::PublicIp | Self::PrivateIp if value.parse::<IpAddr>().is_err() => {
                Err("is not an IP address")
            }
            // A page that somebody serves for everything is no identifier.
            Self::InstanceId | Self::Id | Self::MachineId
                if value.contains(|c: char| c.is_whitespace() || "<>".contains(c)) =>
            {
                Err("is not an identifier")
            }
            _ if value.len() > MAX_FACT => Err("is too long"),
            _ if value.chars().any(char::is_control) => Err("has control characters"),
            _ => Ok(()),
        }
    }
}
