//! Images that stand in for LinuxKit's: the same names and labels, a few files in each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

/// The images that a merged configuration names.
pub fn images(config: &Value) -> BTreeSet<String> {
    let sections = ["onboot", "onshutdown", "services", "volumes"];
    let items = sections.iter().flat_map(|section| config[section].as_array().into_iter().flatten());
    let named = items.chain([&config["kernel"]]).filter_map(|item| item["image"].as_str());
    let init = config["init"].as_array().into_iter().flatten().filter_map(Value::as_str);
    named.chain(init).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The `config` of each package of a checkout by the package's image name.
pub fn labels(checkout: &Path) -> BTreeMap<String, Value> {
    let mut labels = BTreeMap::new();
    for entry in std::fs::read_dir(checkout.join("pkg")).unwrap() {
        let Ok(text) = std::fs::read_to_string(entry.unwrap().path().join("build.yml")) else { continue };
        let manifest: Value = serde_saphyr::from_str(&text).unwrap();
        if let (Some(image), Some(_)) = (manifest["image"].as_str(), manifest["config"].as_object()) {
            let mut config = manifest["config"].clone();
            quote_modes(&mut config);
            labels.insert(image.to_owned(), config);
        }
    }
    labels
}

/// In a `build.yml` LinuxKit reads `mode: 0666` as text, and writes text into the label.
fn quote_modes(config: &mut Value) {
    for device in config.get_mut("devices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(mode) = device.get("mode").and_then(Value::as_f64) {
            device["mode"] = format!("{mode:04}").into();
        }
    }
}

/// The image configuration of the stand-in for `name`.
pub fn config(name: &str, labels: &BTreeMap<String, Value>) -> Value {
    let short = name.rsplit('/').next().unwrap_or(name).split([':', '@']).next().unwrap_or(name);
    let label = labels.get(short).map(|label| json!({"org.mobyproject.config": label.to_string()}));
    json!({"Cmd": ["/bin/sh"], "Labels": label.unwrap_or_else(|| json!({}))})
}
