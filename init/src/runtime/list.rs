//! What there is: `state`, `list`, `ps`.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;

use super::RuntimeError;
use super::args::{Format, valid_id};
use super::known::{Known, Status};
use crate::rfc3339;

/// A container's state as runc prints it (OCI runtime-spec, runtime.md, "State", and runc's additions).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    oci_version: String,
    id: String,
    /// 0 when it has ended.
    pid: u32,
    status: String,
    bundle: String,
    rootfs: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<std::collections::BTreeMap<String, String>>,
    owner: String,
}

/// The state of container `id`.
pub fn state(root: &Path, id: &str) -> Result<State, RuntimeError> {
    Ok(describe(&Known::load(root, id)?))
}

fn describe(known: &Known) -> State {
    let state = &known.container.state;
    let status = known.status();
    let path = |get: fn(&super::known::Note) -> &Path| {
        known.note.as_ref().map(|note| get(note).to_string_lossy().into_owned()).unwrap_or_default()
    };
    let seconds = state.created.map_or(0, |created| u64::try_from(created.timestamp()).unwrap_or_default());
    State {
        oci_version: state.oci_version.clone(),
        id: state.id.clone(),
        pid: match status {
            Status::Stopped | Status::Creating => 0,
            _ => known.init().map_or(0, |init| init.pid),
        },
        status: status.to_string(),
        bundle: path(|note| &note.bundle),
        rootfs: path(|note| &note.rootfs),
        created: rfc3339::of_seconds(seconds),
        annotations: state
            .annotations
            .clone()
            .filter(|map| !map.is_empty())
            .map(|map| map.into_iter().collect()),
        owner: "root".to_owned(),
    }
}

/// All containers below `root`, in name order; what cannot be read is left out.
pub fn containers(root: &Path) -> Result<Vec<State>, RuntimeError> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(RuntimeError::io("read", root))?,
    };
    let mut states = Vec::new();
    for entry in entries {
        let name = entry.map_err(RuntimeError::io("read", root))?.file_name();
        match name.to_str().filter(|name| valid_id(name)).map(|id| state(root, id)) {
            Some(Ok(state)) => states.push(state),
            Some(Err(error)) => eprintln!("{}: {}", name.display(), super::chain(&error)),
            None => {}
        }
    }
    states.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(states)
}

/// A list of containers, printed.
#[must_use]
pub fn print(states: &[State], format: Format, quiet: bool) -> String {
    if quiet {
        return states.iter().map(|state| format!("{}\n", state.id)).collect();
    }
    if format == Format::Json {
        return json(&states);
    }
    let width = |get: fn(&State) -> &str, title: &str| {
        states.iter().map(|state| get(state).len()).chain([title.len()]).max().unwrap_or_default()
    };
    let (id, bundle) = (width(|state| &state.id, "ID"), width(|state| &state.bundle, "BUNDLE"));
    let mut text = format!(
        "{:<id$}  {:<7}  {:<8}  {:<bundle$}  {:<20}  OWNER\n",
        "ID", "PID", "STATUS", "BUNDLE", "CREATED"
    );
    for state in states {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<id$}  {:<7}  {:<8}  {:<bundle$}  {:<20}  {}",
            state.id, state.pid, state.status, state.bundle, state.created, state.owner
        );
    }
    text
}

/// The processes of container `id`, printed.
pub fn processes(root: &Path, id: &str, format: Format) -> Result<String, RuntimeError> {
    let pids = Known::load(root, id)?.cgroup()?.processes();
    if format == Format::Json {
        return Ok(json(&pids));
    }
    let mut text = String::from("PID      COMMAND\n");
    for pid in pids {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).trim_end_matches('\0').replace(['\0', '\n'], " ");
        // As above.
        let _ = writeln!(text, "{pid:<7}  {words}");
    }
    Ok(text)
}

/// One line of JSON.
pub fn json(value: &impl Serialize) -> String {
    // Only maps with keys that are no strings cannot be written, and there are none here.
    let mut text = serde_json::to_string(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(id: &str) -> State {
        State {
            oci_version: "1.2.1".into(),
            id: id.into(),
            pid: 7,
            status: "running".into(),
            bundle: "/c/a".into(),
            rootfs: "/c/a/rootfs".into(),
            created: "2026-01-01T00:00:00Z".into(),
            annotations: None,
            owner: "root".into(),
        }
    }

    #[test]
    fn a_state_has_runcs_keys() {
        let value: serde_json::Value = serde_json::from_str(&json(&state("a"))).unwrap();
        let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["bundle", "created", "id", "ociVersion", "owner", "pid", "rootfs", "status"]);
    }

    #[test]
    fn lists_are_for_people_or_programs() {
        let states = [state("a"), state("a-long-name")];
        let table = print(&states, Format::Table, false);
        let columns: Vec<usize> = table
            .lines()
            .map(|line| line.find("/c/a").unwrap_or_else(|| line.find("BUNDLE").unwrap()))
            .collect();
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        assert_eq!(print(&states, Format::Table, true), "a\na-long-name\n");
        assert_eq!(print(&[], Format::Json, false), "[]\n");
    }

    #[test]
    fn no_directory_is_no_containers() {
        assert!(containers(Path::new("/nonexistent/runtime")).unwrap().is_empty());
    }
}
