//! Docker's HEALTHCHECK, which the OCI image specification does not have (moby, api/types/container, `HealthcheckConfig`).

use serde::Deserialize;

/// A HEALTHCHECK as the image's configuration has it; durations in nanoseconds, 0 for Docker's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` and arguments, `CMD-SHELL` and a line for the shell; nothing to inherit what a base image has.
    #[serde(deserialize_with = "null_as_default")]
    pub test: Vec<String>,
    /// Time from one check to the next.
    pub interval: i64,
    /// How long a check may take.
    pub timeout: i64,
    /// How long after the start failures do not count.
    pub start_period: i64,
    /// How many checks in a row must fail.
    pub retries: i64,
    /// The image's SHELL, for `CMD-SHELL`; Docker's default is `/bin/sh -c`.
    #[serde(skip)]
    pub shell: Vec<String>,
}

/// The part of an image's configuration that this is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DockerConfiguration {
    config: Option<DockerConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DockerConfig {
    healthcheck: Option<Healthcheck>,
    #[serde(deserialize_with = "null_as_default")]
    shell: Vec<String>,
}

impl DockerConfiguration {
    /// The image's HEALTHCHECK, if it has one of its own.
    pub(super) fn healthcheck(self) -> Option<Healthcheck> {
        let config = self.config?;
        let check = config.healthcheck.filter(|check| !check.test.is_empty())?;
        Some(Healthcheck { shell: config.shell, ..check })
    }
}

/// Go programs write `null` for a list that nobody filled.
fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Healthcheck> {
        serde_json::from_str::<DockerConfiguration>(json).unwrap().healthcheck()
    }

    #[test]
    fn an_image_may_have_a_healthcheck() {
        let check = read(
            r#"{"os":"linux","config":{"Cmd":["/c"],"Shell":["/bin/ash","-c"],
                "Healthcheck":{"Test":["CMD-SHELL","x"],"Interval":5000000000,"Retries":2}}}"#,
        )
        .unwrap();
        assert_eq!(
            (check.test.join(" ").as_str(), check.interval, check.retries),
            ("CMD-SHELL x", 5_000_000_000, 2)
        );
        assert_eq!(check.shell, ["/bin/ash", "-c"]);
        for json in [
            "{}",
            r#"{"config":null}"#,
            r#"{"config":{"Shell":null}}"#,
            r#"{"config":{"Healthcheck":null}}"#,
            r#"{"config":{"Healthcheck":{"Test":null}}}"#,
            r#"{"config":{"Healthcheck":{"Interval":1}}}"#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
