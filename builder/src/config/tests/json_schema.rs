//! The JSON schema says what the reader does: no key more, no key less.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde_json::{Map, Value as Json, json};

use super::super::{overrides, yaml};
use super::structural::{faults, resolved};
use super::*;

/// Texts of which each pattern takes one.
const SAMPLES: [&str; 12] =
    ["/x", "TERM", "x", "/x:/y", "0644", "CAP_KILL", "2MB", "rw", "core,1,2", "10s", "always", "none"];

/// Keys of which a mapping has one only.
const EXCLUSIVE: [&str; 9] =
    ["log", "tcp", "exec", "file", "contents", "symlink", "source", "metadata", "directory"];

/// A value that a schema allows, with every key in it that there is; of several keys that exclude each other, the
/// first, unless another is `wanted`.
fn sample(root: &Json, schema: &Json, wanted: &str) -> Json {
    let schema = resolved(root, schema);
    if let Some(first) = schema.get("enum").and_then(|words| words.get(0)) {
        return first.clone();
    }
    if let Some(first) = schema.get("anyOf").and_then(|any| any.get(0)) {
        return sample(root, first, wanted);
    }
    let kind = schema.get("type").map(|kind| kind.get(0).unwrap_or(kind).as_str().unwrap());
    match kind.unwrap() {
        "boolean" => json!(true),
        "integer" => schema["maximum"].clone(),
        "string" => {
            let found = SAMPLES.iter().find(|text| faults(schema, &json!(text)).is_empty());
            json!(found.unwrap_or_else(|| panic!("no sample for {schema}")))
        }
        "array" => json!([sample(root, &schema["items"], wanted)]),
        "object" => {
            let Some(properties) = schema.get("properties") else {
                return json!({"any": sample(root, &schema["additionalProperties"], wanted)});
            };
            let alone = |one: &Json| one["required"][0].as_str().unwrap().to_owned();
            let exclusive: Vec<String> =
                schema.get("oneOf").and_then(Json::as_array).into_iter().flatten().map(alone).collect();
            let chosen = exclusive.iter().find(|key| *key == wanted).or(exclusive.first());
            let entries = properties.as_object().unwrap().iter();
            let kept = entries.filter(|(key, _)| !exclusive.contains(key) || Some(*key) == chosen);
            kept.map(|(key, schema)| (key.clone(), sample(root, schema, wanted)))
                .collect::<Map<_, _>>()
                .into()
        }
        other => panic!("{other}"),
    }
}

/// The paths of all mappings with fixed keys in a sample.
fn mappings(value: &Json, path: &str, found: &mut Vec<String>) {
    match value {
        Json::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| mappings(item, &format!("{path}/{index}"), found)),
        Json::Object(map) if !map.contains_key("any") => {
            found.push(path.to_owned());
            map.iter().for_each(|(key, value)| mappings(value, &format!("{path}/{key}"), found));
        }
        _ => {}
    }
}

/// What is wrong with a document but for what it refers to.
fn complaints(document: &Json) -> Vec<String> {
    let error = match load(&[source("a.yml", &document.to_string())], &NoPackages) {
        Ok(_) => return Vec::new(),
        Err(error) => error,
    };
    // A sample names services that are not there, and the like.
    let refers = |message: &str| {
        ["is not the name of a service", "volume x not found", "cannot find id"]
            .iter()
            .any(|s| message.contains(s))
    };
    error.problems.into_iter().map(|problem| problem.message).filter(|m| !refers(m)).collect()
}

#[test]
fn every_key_of_the_schema_is_read_and_no_other_key_is() {
    let schema = json_schema();
    for wanted in EXCLUSIVE {
        let document = sample(&schema, &schema, wanted);
        assert_eq!(faults(&schema, &document), [""; 0]);
        assert_eq!(complaints(&document), [""; 0], "{document:#}");
    }
    let document = sample(&schema, &schema, "");
    let mut paths = Vec::new();
    mappings(&document, "", &mut paths);
    assert!(paths.len() > 50, "{paths:?}");
    for path in paths {
        let mut with_another = document.clone();
        with_another.pointer_mut(&path).unwrap()["another"] = json!("x");
        assert!(!faults(&schema, &with_another).is_empty(), "the schema allows a key in {path}");
        let complaints = complaints(&with_another);
        assert!(complaints[0].contains("unknown key `another`"), "{path}: {complaints:?}");
    }
}

#[test]
fn every_key_of_the_types_is_in_the_schema_and_no_other_key_is() {
    let schema = json_schema();
    let service = |key: &str| format!("/definitions/{key}");
    let resources = |key: &str| service(&format!("resources/properties/{key}"));
    let block = |key: &str| resources(&format!("blockio/properties/{key}/items"));
    for (path, fields) in [
        ("/properties/trust".to_owned(), fields::<Trust>()),
        (service("mounts/items"), fields::<Mount>()),
        (service("devices/items"), fields::<Device>()),
        (service("uidMappings/items"), fields::<IdMapping>()),
        (service("gidMappings/items"), fields::<IdMapping>()),
        (service("stop"), fields::<Stop>()),
        (service("runtime"), fields::<RuntimeOverrides>()),
        (service("runtime/properties/mounts/items"), fields::<image_layout::Mount>()),
        (service("runtime/properties/interfaces/items"), fields::<image_layout::Interface>()),
        (service("runtime/properties/bindNS"), fields::<BindNamespaces>()),
        (service("resources"), fields::<Resources>()),
        (resources("devices/items"), fields::<DeviceRule>()),
        (resources("memory"), fields::<Memory>()),
        (resources("cpu"), fields::<Cpu>()),
        (resources("pids"), fields::<Pids>()),
        (resources("blockio"), fields::<BlockIo>()),
        (block("weightDevice"), fields::<WeightDevice>()),
        (block("throttleReadBpsDevice"), fields::<ThrottleDevice>()),
        (resources("hugepageLimits/items"), fields::<HugepageLimit>()),
        (resources("network"), fields::<Network>()),
        (resources("network/properties/priorities/items"), fields::<InterfacePriority>()),
    ] {
        let keys: BTreeSet<&str> = keys(schema.pointer(&path).expect(&path)).collect();
        assert_eq!(keys, fields.iter().copied().collect(), "{path}");
    }
    let container: BTreeSet<&str> =
        schema["definitions"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected: BTreeSet<&str> = fields::<Overrides>().iter().copied().collect();
    expected.extend(["name", "image"]);
    assert_eq!(container, expected);
}

#[test]
fn the_schema_describes_a_key_as_its_type_does() {
    let schema = json_schema();
    for (key, about) in fields::<Overrides>().iter().zip(overrides::ABOUT) {
        assert_eq!(schema["definitions"][key]["description"], about.trim(), "{key}");
    }
}

#[test]
fn every_key_is_in_a_file_that_is_read_and_printed_again() {
    let mut seen = BTreeSet::new();
    let schema = json_schema();
    for path in configurations() {
        mark(&schema, &schema, &tree(&path), "", &mut seen);
    }
    let mut all = BTreeSet::new();
    for wanted in EXCLUSIVE {
        let document = sample(&schema, &schema, wanted);
        mark(&schema, &schema, &document, "", &mut all);
    }
    let unseen: Vec<&String> = all.difference(&seen).collect();
    assert_eq!(unseen, [""; 0], "extend builder/tests/data/every-field.yml");
}

#[test]
fn all_configurations_of_the_repository_satisfy_the_schema() {
    let schema = json_schema();
    let paths = configurations();
    assert!(paths.len() > 20, "{paths:?}");
    for path in paths {
        assert_eq!(faults(&schema, &tree(&path)), [""; 0], "{}", path.display());
    }
}

#[test]
fn the_schema_refuses_common_mistakes() {
    let schema = json_schema();
    for text in [
        "servces: []",
        "kernel: {image: k, cmdline: 5}",
        "services: [{name: s}]",
        "services: [{name: s, image: i, timeout: 5s}]",
        "onboot: [{name: s, image: i, restart: never}]",
        "onshutdown: [{name: s, image: i, onFailure: stop}]",
        "services: [{name: s, image: i, ready: {tcp: 1, log: x}}]",
        "services: [{name: s, image: i, ready: {timeout: 5s}}]",
        "services: [{name: s, image: i, health: off}]",
        "services: [{name: s, image: i, capabilities: [net_admin]}]",
        "services: [{name: s, image: i, stop: {grace: 5 s}}]",
        "services: [{name: s, image: i, net: hots}]",
        "files: [{path: x}]",
        "files: [{path: x, contents: a, symlink: b}]",
        "files: [{path: x, directory: false}]",
        "files: [{path: x, contents: a, mode: 0644}]",
        "volumes: [{name: A}]",
        "init: x",
    ] {
        let tree = yaml::parse(text).unwrap().unwrap().to_json();
        assert!(!faults(&schema, &tree).is_empty(), "{text}");
        assert!(!problems(text).is_empty());
    }
    for text in ["services:\ninit: [x]", "files: [{path: x, directory: false, contents: ''}]"] {
        assert_eq!(faults(&schema, &yaml::parse(text).unwrap().unwrap().to_json()), [""; 0]);
        read(text);
    }
}

/// Remembers which keys of the schema a value has.
fn mark(root: &Json, schema: &Json, value: &Json, path: &str, seen: &mut BTreeSet<String>) {
    let schema = resolved(root, schema);
    for schema in schema.get("anyOf").and_then(Json::as_array).into_iter().flatten() {
        mark(root, schema, value, path, seen);
    }
    for item in value.as_array().into_iter().flatten() {
        mark(root, &schema["items"], item, path, seen);
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        if let Some(schema) = schema["properties"].get(key) {
            // Containers have their keys in common.
            let path = match (path, key.as_str()) {
                ("", "onboot" | "onshutdown" | "services") => "/container".to_owned(),
                _ => format!("{path}/{key}"),
            };
            seen.insert(path.clone());
            mark(root, schema, value, &path, seen);
        }
    }
}

fn keys(schema: &Json) -> impl Iterator<Item = &str> {
    schema["properties"].as_object().unwrap().keys().map(String::as_str)
}

/// All configurations of the repository: what is not the manifest of a package.
fn configurations() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    let mut left = vec![root.join("examples"), root.join("tests"), root.join("builder/tests/data")];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yml")
                && !path.ends_with(crate::pkg::manifest::FILE)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn tree(path: &Path) -> Json {
    yaml::parse(&std::fs::read_to_string(path).unwrap()).unwrap().unwrap().to_json()
}

/// The keys that a type reads, as its decoder names them.
fn fields<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Asking<'a>(&'a Cell<&'static [&'static str]>);
    impl<'de> Deserializer<'de> for Asking<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("it is no struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            self.0.set(fields);
            Err(Error::custom("that is all"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
    let fields = Cell::new(&[][..]);
    assert!(T::deserialize(Asking(&fields)).is_err());
    assert!(!fields.get().is_empty());
    fields.get()
}
