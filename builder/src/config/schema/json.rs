//! The same as a JSON schema, for editors.
//!
//! Draft 7, which all of them understand. What a schema cannot say is left to `lkb validate`: names that other parts
//! refer to, and what several files must have together.

use serde_json::{Map, Value, json};

use super::super::period::LONGEST_SECONDS;
use super::{BELONGS, CONTAINER_SECTIONS, CONTAINERS, FILE_KINDS, Field, Form, Kind, PROBES, SECTIONS};

/// The JSON schema of a configuration. Text after text it is the same for the same version.
#[must_use]
pub fn json_schema() -> Value {
    let sections = SECTIONS.iter().map(|field| (field.name.to_owned(), section(field)));
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "lkb",
        "description": "A machine: what `lkb build` builds. LinuxKit's YAML, and keys for supervision.",
        "type": "object",
        "additionalProperties": false,
        "properties": sections.collect::<Map<_, _>>(),
        // What containers of all sections have in common is there once.
        "definitions": container_fields().map(definition).collect::<Map<_, _>>(),
    })
}

/// A key at the top. It may stand there with nothing in it: all that is in it is commented out.
fn section(field: &Field) -> Value {
    let mut section = match CONTAINER_SECTIONS.contains(&field.name) {
        true => json!({"type": "array", "items": container(field.name)}),
        false => value(&field.kind),
    };
    let kind = section["type"].take();
    section["type"] = json!([kind, "null"]);
    section["description"] = field.about.into();
    if field.name == "files" {
        let mut kinds: Vec<Value> = FILE_KINDS.iter().map(|kind| json!({"required": [kind]})).collect();
        kinds.push(json!({"required": ["directory"], "properties": {"directory": {"const": true}}}));
        section["items"]["oneOf"] = kinds.into();
    }
    section
}

/// A container of this section.
fn container(section: &str) -> Value {
    let belongs = |field: &&Field| {
        BELONGS.iter().all(|(name, sections)| *name != field.name || sections.contains(&section))
    };
    let here = || container_fields().filter(belongs);
    let reference = |name: &str| json!({"$ref": format!("#/definitions/{name}")});
    let properties = here().map(|field| (field.name.to_owned(), reference(field.name))).collect();
    object(properties, here())
}

fn container_fields() -> impl Iterator<Item = &'static Field> {
    let groups: &[&[Field]] = match &CONTAINERS {
        Kind::List(Kind::Object(groups)) => groups,
        _ => &[],
    };
    groups.iter().flat_map(|group| group.iter())
}

fn definition(field: &Field) -> (String, Value) {
    let mut schema = value(&field.kind);
    schema["description"] = field.about.into();
    (field.name.to_owned(), schema)
}

fn object<'a>(properties: Map<String, Value>, fields: impl Iterator<Item = &'a Field>) -> Value {
    let probes = PROBES.iter().all(|probe| properties.contains_key(*probe));
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    let required: Vec<&str> = fields.filter(|field| field.required).map(|field| field.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if probes {
        schema["oneOf"] = PROBES.iter().map(|probe| json!({"required": [probe]})).collect();
    }
    schema
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Text(form) => text(*form),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int(min, max) => integer(*min, *max),
        Kind::Id => json!({"anyOf": [integer(0, u32::MAX.into()), {"type": "string"}]}),
        Kind::Period(least) => json!({"anyOf": [
            {"type": "string", "minLength": 2, "pattern": "^([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"},
            integer(least.div_ceil(1000).into(), LONGEST_SECONDS.into()),
        ]}),
        Kind::OrNone(kind) => json!({"anyOf": [value(kind), {"const": "none"}]}),
        Kind::List(kind) => json!({"type": "array", "items": value(kind)}),
        Kind::Map(kind) => json!({"type": "object", "additionalProperties": value(kind)}),
        Kind::Object(groups) => {
            let fields = || groups.iter().flat_map(|group| group.iter());
            object(fields().map(definition).collect(), fields())
        }
    }
}

/// Bounds of 64 bits, which is all that there are.
fn integer(min: i128, max: i128) -> Value {
    let bound = |bound: i128| match (i64::try_from(bound), u64::try_from(bound)) {
        (Ok(bound), _) => json!(bound),
        (_, Ok(bound)) => json!(bound),
        _ => Value::Null,
    };
    json!({"type": "integer", "minimum": bound(min), "maximum": bound(max)})
}

fn text(form: Form) -> Value {
    match form {
        Form::Any => json!({"type": "string"}),
        Form::OneOf(words) => json!({"type": "string", "enum": words}),
        Form::Checked(language) => match (language.pattern, language.words) {
            ("", _) => json!({"type": "string"}),
            (pattern, []) => json!({"type": "string", "pattern": pattern}),
            (pattern, words) => json!({"type": "string", "anyOf": [{"enum": words}, {"pattern": pattern}]}),
        },
    }
}
