//! Holds a tree against the schema.

use std::collections::HashMap;

use super::document::Document;
use super::period::Period;
use super::problem::Place;
use super::schema::{Field, Kind};
use super::syntax;
use super::yaml::{Key, Node, Value};

/// The most keys that are listed where none is near to the one that was found.
const LISTED: usize = 12;

/// Takes down every unknown, doubled or missing key and every value of a wrong kind or form.
pub(super) fn check(document: &mut Document<'_>, kind: &Kind) {
    let mut findings = Vec::new();
    Check { document, findings: &mut findings }.node(&document.root, kind, "");
    for (at, message) in findings {
        document.problem(at, message);
    }
}

struct Check<'a, 's> {
    document: &'a Document<'s>,
    findings: &'a mut Vec<(Place, String)>,
}

impl Check<'_, '_> {
    fn node(&mut self, node: &Node, kind: &Kind, path: &str) {
        match (kind, &node.value) {
            (Kind::Text(form), Value::Text(text)) => {
                if let Err(error) = form.check(text) {
                    self.find(node.at, path, &error);
                }
            }
            (Kind::Bool, Value::Bool(_)) => {}
            (Kind::Int(min, max), Value::Int(value)) => self.range(node.at, path, *value, *min, *max),
            (Kind::Id, Value::Text(_)) => {}
            (Kind::Id, Value::Int(value)) => self.range(node.at, path, *value, 0, i128::from(u32::MAX)),
            (Kind::Period(least), Value::Text(text)) => {
                self.period(node.at, path, Period::parse(text), *least)
            }
            (Kind::Period(least), Value::Int(value)) => {
                self.period(node.at, path, Period::from_seconds(*value), *least);
            }
            (Kind::OrNone(_), Value::Text(text)) if text == "none" => {}
            (Kind::OrNone(kind), Value::Map(_)) => self.node(node, kind, path),
            (Kind::List(item), Value::List(items)) => {
                for (index, node) in items.iter().enumerate() {
                    self.node(node, item, &format!("{path}[{index}]"));
                }
            }
            (Kind::Map(value), Value::Map(entries)) => {
                self.doubled(entries, path);
                for (key, node) in entries {
                    self.node(node, value, &join(path, &key.text));
                }
            }
            (Kind::Object(groups), Value::Map(entries)) => self.object(node.at, entries, groups, path),
            (_, value) => {
                let found = self.document.found(node);
                let hint = match (kind, value) {
                    (Kind::Text(_), Value::Bool(_) | Value::Int(_) | Value::Float) => "; put it in quotes",
                    _ => "",
                };
                self.find(node.at, path, &format!("expected {}, found {found}{hint}", expected(kind)));
            }
        }
    }

    fn object(&mut self, at: Place, entries: &[(Key, Node)], groups: &[&'static [Field]], path: &str) {
        let fields = || groups.iter().flat_map(|group| group.iter());
        self.doubled(entries, path);
        for (key, node) in entries {
            match fields().find(|field| field.name == key.text) {
                Some(field) => self.node(node, &field.kind, &join(path, field.name)),
                None => {
                    let mut near = syntax::suggestion(&key.text, fields().map(|field| field.name));
                    if near.is_empty() && fields().count() <= LISTED {
                        let known: Vec<String> = fields().map(|field| format!("`{}`", field.name)).collect();
                        near = format!("; known are {}", known.join(", "));
                    }
                    self.find(key.at, path, &format!("unknown key `{}`{near}", key.text));
                }
            }
        }
        for field in fields().filter(|field| field.required) {
            if !entries.iter().any(|(key, _)| key.text == field.name) {
                self.find(at, path, &format!("{} is required", field.name));
            }
        }
    }

    fn doubled(&mut self, entries: &[(Key, Node)], path: &str) {
        let mut first: HashMap<&str, Place> = HashMap::new();
        for (key, _) in entries {
            match first.get(key.text.as_str()) {
                None => drop(first.insert(&key.text, key.at)),
                Some(place) => {
                    let message = format!("key `{}` is given twice; first in line {}", key.text, place.line);
                    self.find(key.at, path, &message);
                }
            }
        }
    }

    fn range(&mut self, at: Place, path: &str, value: i128, min: i128, max: i128) {
        if !(min..=max).contains(&value) {
            self.find(at, path, &format!("{value} is out of range: {min} to {max}"));
        }
    }

    fn period(&mut self, at: Place, path: &str, period: Result<Period, String>, least: u64) {
        match period {
            Ok(period) if period.as_millis() >= least => {}
            Ok(period) => self.find(at, path, &format!("{period} is too short: at least {least}ms")),
            Err(error) => self.find(at, path, &error),
        }
    }

    fn find(&mut self, at: Place, path: &str, message: &str) {
        let message = if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") };
        self.findings.push((at, message));
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text(_) => "a string",
        Kind::Bool => "true or false",
        Kind::Int(..) => "an integer",
        Kind::Id => "a number or the name of a container",
        Kind::Period(_) => "a duration such as `10s`, `1m30s`, `500ms` or 10 (seconds)",
        Kind::OrNone(_) => "a mapping or `none`",
        Kind::List(_) => "a list",
        Kind::Map(_) | Kind::Object(_) => "a mapping",
    }
}
