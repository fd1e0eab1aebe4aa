//! `clouds.yaml`, as OpenStack's own clients read it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::OpenStackError;

/// No such file is larger, in bytes.
const MAX: u64 = 1 << 20;

#[derive(Deserialize)]
struct Document {
    clouds: BTreeMap<String, BTreeMap<String, Value>>,
}

/// Where it is looked for, in this order.
pub fn places(home: Option<&Path>) -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("clouds.yaml")];
    places.extend(home.map(|home| home.join(".config/openstack/clouds.yaml")));
    places.push("/etc/openstack/clouds.yaml".into());
    places
}

/// What a cloud's entry says, by the names that variables have.
pub fn read(path: &Path, cloud: &str) -> Result<BTreeMap<String, String>, OpenStackError> {
    let failed = |reason: String| OpenStackError::Clouds { path: path.to_owned(), reason };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX + 1).read_to_string(&mut text));
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX {
        return Err(failed("it has more than 1 MiB".into()));
    }
    variables(&text, cloud).map_err(failed)
}

fn variables(text: &str, cloud: &str) -> Result<BTreeMap<String, String>, String> {
    let document: Document = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let Some(entry) = document.clouds.get(cloud) else {
        let known: Vec<&str> = document.clouds.keys().map(String::as_str).collect();
        return Err(format!("it has no cloud {cloud}; it has {}", known.join(", ")));
    };
    for (key, value, instead) in [("verify", Value::Bool(false), "cacert"), ("profile", Value::Null, "auth")]
    {
        let refused = entry.get(key).is_some_and(|found| value.is_null() || *found == value);
        if refused {
            return Err(format!("`{key}` of cloud {cloud} is not supported; use `{instead}`"));
        }
    }
    let mut variables = BTreeMap::new();
    let mut add = |key: &str, value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        variables.insert(format!("OS_{}", key.to_uppercase()), text);
    };
    for (key, value) in entry {
        match (key.as_str(), value) {
            ("auth", Value::Object(auth)) => auth.iter().for_each(|(key, value)| add(key, value)),
            _ => add(key, value),
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "clouds:\n  one:\n    auth:\n      auth_url: http://k\n      username: u\n      project_id: 12\n    \
                        region_name: R\n  two:\n    verify: false\n";

    #[test]
    fn a_cloud_is_read_as_variables() {
        let variables = variables(TEXT, "one").unwrap();
        let expected = [
            ("OS_AUTH_URL", "http://k"),
            ("OS_PROJECT_ID", "12"),
            ("OS_REGION_NAME", "R"),
            ("OS_USERNAME", "u"),
        ];
        assert_eq!(variables, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_is_not_there_or_not_safe_is_said() {
        assert_eq!(variables(TEXT, "three").unwrap_err(), "it has no cloud three; it has one, two");
        assert!(variables(TEXT, "two").unwrap_err().contains("`verify` of cloud two is not supported"));
        assert!(variables("clouds: 1", "one").is_err());
    }
}
