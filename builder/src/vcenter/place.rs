//! Where in a vCenter: datacenter, datastore, host, network.

use serde_json::Value;

use super::{Session, VCenterError};
use crate::http::{encoded, encoded_path, form};

/// A datacenter and a datastore in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// vCenter's own name of the datacenter.
    pub(crate) datacenter: String,
    /// vCenter's own name of the datastore.
    pub(crate) datastore: String,
    datacenter_name: String,
    datastore_name: String,
}

impl Place {
    /// Finds both; without a name, the only one.
    pub(crate) fn find(
        session: &Session,
        datacenter: Option<&str>,
        datastore: Option<&str>,
    ) -> Result<Self, VCenterError> {
        let list = session.get("vcenter/datacenter", "list datacenters")?;
        let (datacenter, datacenter_name) = choose("datacenter", "--datacenter", &list, datacenter)?;
        let path = format!("vcenter/datastore?datacenters={}", encoded(&datacenter));
        let list = session.get(&path, "list datastores")?;
        let (datastore, datastore_name) = choose("datastore", "--datastore", &list, datastore)?;
        Ok(Self { datacenter, datastore, datacenter_name, datastore_name })
    }

    /// A host, by its name, or the first that is connected.
    pub(crate) fn host(&self, session: &Session, name: Option<&str>) -> Result<String, VCenterError> {
        let list = session.get(&self.path("host"), "list hosts")?;
        match (
            name,
            list.as_array()
                .and_then(|hosts| hosts.iter().find(|host| host["connection_state"] == "CONNECTED")),
        ) {
            (None, Some(host)) if host["host"].is_string() => {
                Ok(host["host"].as_str().unwrap_or_default().to_owned())
            }
            (name, _) => choose("host", "--hostname", &list, name).map(|(id, _)| id),
        }
    }

    /// A network's own name, and its kind.
    pub(crate) fn network(&self, session: &Session, name: &str) -> Result<(String, String), VCenterError> {
        let list = session.get(&self.path("network"), "list networks")?;
        let (id, _) = choose("network", "--network", &list, Some(name))?;
        let kind =
            list.as_array().and_then(|all| all.iter().find(|network| network["network"] == id.as_str()));
        let kind = kind.and_then(|network| network["type"].as_str()).unwrap_or("STANDARD_PORTGROUP");
        Ok((id, kind.to_owned()))
    }

    /// The folder of machines.
    pub(crate) fn folder(&self, session: &Session) -> Result<String, VCenterError> {
        let path = format!("{}&type=VIRTUAL_MACHINE", self.path("folder"));
        let list = session.get(&path, "list folders of machines")?;
        // Every datacenter has one of this name at its root.
        choose("folder", "the name vm", &list, Some("vm")).map(|(id, _)| id)
    }

    /// A file in the datastore, as `/folder` has it.
    pub(crate) fn address(&self, file: &str) -> String {
        let query = form(&[("dcPath", &self.datacenter_name), ("dsName", &self.datastore_name)]);
        format!("{}?{query}", encoded_path(file))
    }

    /// The same as vCenter writes it.
    pub(crate) fn written(&self, file: &str) -> String {
        format!("[{}] {file}", self.datastore_name)
    }

    fn path(&self, kind: &str) -> String {
        format!("vcenter/{kind}?datacenters={}", encoded(&self.datacenter))
    }
}

/// vCenter's own name and the usual one, of what is named or the only one in a list.
fn choose(
    kind: &'static str,
    option: &'static str,
    list: &Value,
    name: Option<&str>,
) -> Result<(String, String), VCenterError> {
    let all = list
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(|item| Some((item[kind].as_str()?.to_owned(), item["name"].as_str()?.to_owned())));
    let all: Vec<(String, String)> = all.collect();
    let known = || match all.as_slice() {
        [] => "none that this user may see".to_owned(),
        all => all.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "),
    };
    match (name, all.as_slice()) {
        (None, [only]) => Ok(only.clone()),
        (None, [_, ..]) => Err(VCenterError::Several { option, known: known() }),
        (name, all) => {
            let found = all.iter().find(|(_, own)| Some(own.as_str()) == name).cloned();
            found.ok_or_else(|| VCenterError::Unknown { kind, name: name.map(str::to_owned), known: known() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_only_one_needs_no_name() {
        let item = |id: &str, name: &str| json!({ "datastore": id, "name": name });
        let (one, two) = (json!([item("d-1", "a")]), json!([item("d-1", "a"), item("d-2", "b")]));
        for (list, name, expected) in [
            (&one, None, Ok("d-1")),
            (&two, Some("b"), Ok("d-2")),
            (&two, None, Err("name one with --datastore: a, b")),
            (&two, Some("c"), Err("vCenter has no datastore c: it has a, b")),
            (&json!([]), None, Err("vCenter has no datastore: it has none that this user may see")),
        ] {
            match (choose("datastore", "--datastore", list, name), expected) {
                (Ok((id, _)), Ok(expected)) => assert_eq!(id, expected),
                (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
                (found, expected) => panic!("{found:?} is not {expected:?}"),
            }
        }
    }

    #[test]
    fn files_are_named_as_vcenter_names_them() {
        let name = |text: &str| text.to_owned();
        let place = Place {
            datacenter: name("datacenter-2"),
            datastore: name("datastore-3"),
            datacenter_name: name("My DC"),
            datastore_name: name("ds&1"),
        };
        assert_eq!(place.address("web/a b.iso"), "web/a%20b.iso?dcPath=My%20DC&dsName=ds%261");
        assert_eq!(place.written("web/web.iso"), "[ds&1] web/web.iso");
    }
}
