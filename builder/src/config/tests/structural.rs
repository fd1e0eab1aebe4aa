//! Holds a value against a JSON schema: as much of draft 7 as ours has, and a panic at anything else.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

/// What is wrong, with its path.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    Checker { root: schema, faults: &mut faults }.check(schema, value, "");
    faults
}

/// The schema that this one stands for.
pub fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).expect(reference),
        None => schema,
    }
}

struct Checker<'a, 'f> {
    root: &'a Value,
    faults: &'f mut Vec<String>,
}

impl Checker<'_, '_> {
    fn holds(&self, schema: &Value, value: &Value) -> bool {
        let mut faults = Vec::new();
        Checker { root: self.root, faults: &mut faults }.check(schema, value, "");
        faults.is_empty()
    }

    fn check(&mut self, schema: &Value, value: &Value, path: &str) {
        let schema = resolved(self.root, schema);
        for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
            if let Some(fault) = self.keyword(schema, keyword, wanted, value, path) {
                self.faults.push(format!("{path}: {fault}"));
            }
        }
    }

    fn keyword(
        &mut self,
        schema: &Value,
        keyword: &str,
        wanted: &Value,
        value: &Value,
        path: &str,
    ) -> Option<String> {
        let list = || wanted.as_array().expect(keyword);
        let bound = || whole(wanted).expect(keyword);
        let ok = match keyword {
            "$schema" | "title" | "description" | "definitions" => true,
            "type" => match wanted {
                Value::Array(types) => types.iter().any(|kind| is(kind, value)),
                kind => is(kind, value),
            },
            "enum" => list().contains(value),
            "const" => wanted == value,
            "pattern" => value.as_str().is_none_or(|text| matches(wanted.as_str().unwrap(), text)),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as i128 >= bound()),
            "minimum" => whole(value).is_none_or(|number| number >= bound()),
            "maximum" => whole(value).is_none_or(|number| number <= bound()),
            "anyOf" => list().iter().any(|schema| self.holds(schema, value)),
            "oneOf" => list().iter().filter(|schema| self.holds(schema, value)).count() == 1,
            "required" => value
                .as_object()
                .is_none_or(|map| list().iter().all(|key| map.contains_key(key.as_str().unwrap()))),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(wanted, item, &format!("{path}/{index}"));
                }
                true
            }
            "properties" => {
                for (key, schema) in wanted.as_object().expect(keyword) {
                    if let Some(value) = value.get(key) {
                        self.check(schema, value, &format!("{path}/{key}"));
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |key: &String| schema["properties"].get(key).is_some();
                let mut rest = value.as_object().into_iter().flatten().filter(|(key, _)| !known(key));
                match wanted {
                    Value::Bool(false) => rest.next().is_none(),
                    schema => {
                        rest.for_each(|(key, value)| self.check(schema, value, &format!("{path}/{key}")));
                        true
                    }
                }
            }
            other => panic!("the schema has {other}, which this check does not know"),
        };
        (!ok).then(|| format!("{keyword} {wanted} does not hold for {value}"))
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema has the type {other}"),
    }
}

fn whole(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or(value.as_u64().map(i128::from))
}

fn matches(pattern: &str, text: &str) -> bool {
    thread_local! {
        // Compiling one takes longer than all the rest of a check.
        static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        let regex = compiled.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).unwrap());
        regex.is_match(text)
    })
}
