//! Partition tables, for what the kernel does not tell of its partitions: their UUIDs and labels. Pure.
//!
//! The kernel numbers them, so a partition is looked up by the kernel's number.

mod crc32;
mod gpt;
mod mbr;

use super::identify::Read;

/// A disk's partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// GUID partition table (UEFI specification, chapter 5).
    Gpt(Vec<gpt::Entry>),
    /// DOS table, with its disk's signature.
    Mbr(u32),
}

/// What a table says of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partition {
    /// PARTUUID, as the kernel and blkid write it.
    pub uuid: Option<String>,
    /// PARTLABEL; only GPT has them.
    pub label: Option<String>,
}

/// Reads a disk's table; `sector` is the size of its logical sectors in bytes, `sectors` their number.
#[must_use]
pub fn table(sector: u64, sectors: u64, read: &mut Read<'_>) -> Option<Table> {
    let boot = read(0, mbr::SECTOR);
    let signature = mbr::signature(&boot)?;
    if mbr::is_protective(&boot) {
        return gpt::entries(sector, sectors, read).map(Table::Gpt);
    }
    Some(Table::Mbr(signature))
}

impl Table {
    /// blkid's name for the kind of table.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Gpt(_) => "gpt",
            Self::Mbr(_) => "dos",
        }
    }

    /// What is known of the partition with the kernel's number, counted from 1.
    #[must_use]
    pub fn partition(&self, number: u32) -> Partition {
        match self {
            Self::Gpt(entries) => entries
                .iter()
                .find(|entry| entry.number == number)
                .map(|entry| Partition { uuid: Some(entry.uuid.clone()), label: entry.label.clone() })
                .unwrap_or_default(),
            Self::Mbr(signature) => {
                Partition { uuid: Some(format!("{signature:08x}-{number:02x}")), label: None }
            }
        }
    }
}

#[cfg(test)]
mod tests;
