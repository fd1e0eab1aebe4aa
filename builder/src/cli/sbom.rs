//! What the command line says of the bill of materials.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::build;
use crate::sbom;
use crate::tree::GENERATED_MTIME;

/// The options of the bill of materials.
#[derive(Debug, clap::Args)]
pub struct SbomOptions {
    /// Leave the list of packages out of the image
    #[arg(long)]
    pub no_sbom: bool,

    /// The file in the image that has the list of packages, in SPDX
    #[arg(long, value_name = "PATH", default_value = sbom::NAME)]
    pub sbom_output: String,

    /// Have the list say when it was made; otherwise that is $SOURCE_DATE_EPOCH, or a fixed time
    #[arg(long)]
    pub sbom_current_time: bool,
}

impl SbomOptions {
    /// What is asked of a build.
    pub fn choose(&self) -> Result<Option<sbom::Options>, String> {
        if self.no_sbom {
            return Ok(None);
        }
        let created = match self.sbom_current_time {
            true => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            false => epoch(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?,
        };
        Ok(Some(sbom::Options { path: self.sbom_output.clone(), created }))
    }
}

/// What a build is asked for that has none of its options, for those who look at what it would make.
pub fn plain_build() -> Result<build::Options, String> {
    let created = epoch(std::env::var("SOURCE_DATE_EPOCH").ok().as_deref())?;
    let sbom = Some(sbom::Options { path: sbom::NAME.to_owned(), created });
    Ok(build::Options { sbom, ..build::Options::default() })
}

/// The time of everything that builds make (reproducible-builds.org, "SOURCE_DATE_EPOCH").
fn epoch(variable: Option<&str>) -> Result<u64, String> {
    match variable.filter(|text| !text.is_empty()) {
        None => Ok(GENERATED_MTIME),
        Some(text) => {
            text.parse().map_err(|_| format!("SOURCE_DATE_EPOCH is {text:?}, not a number of seconds"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_a_fixed_one_unless_the_environment_has_another() {
        assert_eq!(epoch(None), Ok(GENERATED_MTIME));
        assert_eq!(epoch(Some("")), Ok(GENERATED_MTIME));
        assert_eq!(epoch(Some("0")), Ok(0));
        assert!(epoch(Some("yesterday")).is_err());
    }
}
