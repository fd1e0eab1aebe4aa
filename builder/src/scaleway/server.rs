//! A server's life.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Method;

use super::cloud::Wait;
use super::{Cloud, ScalewayError};

/// How long a server may take to run, and to stop.
const PATIENCE: Duration = Duration::from_secs(600);

/// A server that there is.
pub(crate) struct Server<'a> {
    /// Where it is.
    pub(crate) cloud: &'a Cloud,
    /// Its id.
    pub(crate) id: String,
}

impl<'a> Server<'a> {
    /// Makes a server, which is off.
    pub(crate) fn make(cloud: &'a Cloud, body: Value) -> Result<Self, ScalewayError> {
        let action = format!("make server {}", body["name"].as_str().unwrap_or_default());
        let made = cloud.make("/servers", body, "server", &action)?;
        let id = made["id"].as_str().map(str::to_owned);
        Ok(Self { cloud, id: id.ok_or(ScalewayError::Answer { action, member: "id" })? })
    }

    /// What Scaleway says of it.
    pub(crate) fn look(&self) -> Result<Value, ScalewayError> {
        let action = format!("look at server {}", self.id);
        let mut answer = self.cloud.ask(Method::GET, &format!("/servers/{}", self.id), None, &action)?;
        match answer["server"].take() {
            Value::Null => Err(ScalewayError::Answer { action, member: "server" }),
            server => Ok(server),
        }
    }

    /// Turns it on, and returns what Scaleway says of it when it runs.
    pub(crate) fn start(&self) -> Result<Value, ScalewayError> {
        self.act("poweron")?;
        self.wait(&["running"], &["stopped", "starting", "locked"], Some(PATIENCE))
    }

    /// Turns it off, and waits until it is.
    pub(crate) fn stop(&self) -> Result<Value, ScalewayError> {
        self.act("poweroff")?;
        self.wait(&["stopped"], &["running", "stopping", "stopped in place", "locked"], Some(PATIENCE))
    }

    /// Waits until it has turned itself off, for as long as that takes.
    pub(crate) fn ended(&self) -> Result<Value, ScalewayError> {
        self.wait(&["stopped in place", "stopped"], &["running", "stopping", "starting", "locked"], None)
    }

    /// Deletes it and its volumes, whatever state it is in.
    pub(crate) fn delete(&self) -> Result<(), ScalewayError> {
        let server = self.look()?;
        if server["state"] != "stopped" {
            // That is both at once, and the only way for one that is on.
            return self.act("terminate");
        }
        self.cloud.delete("server", &self.id)?;
        let volumes = server["volumes"].as_object().into_iter().flat_map(|volumes| volumes.values());
        for volume in volumes.filter_map(|volume| volume["id"].as_str()) {
            self.cloud.delete("volume", volume)?;
        }
        Ok(())
    }

    fn act(&self, action: &str) -> Result<(), ScalewayError> {
        let (path, what) = (format!("/servers/{}/action", self.id), format!("{action} server {}", self.id));
        self.cloud.ask(Method::POST, &path, Some(json!({ "action": action })), &what).map(drop)
    }

    fn wait(
        &self,
        wanted: &'static [&'static str],
        passing: &'static [&'static str],
        patience: Option<Duration>,
    ) -> Result<Value, ScalewayError> {
        self.cloud.wait(&self.id, &Wait { what: "server", wanted, passing, patience })
    }
}

/// The public addresses of a server.
pub(crate) fn addresses(server: &Value) -> Vec<String> {
    let all = server["public_ips"].as_array().into_iter().flatten().chain([&server["public_ip"]]);
    let mut addresses = Vec::new();
    for address in all.filter_map(|address| address["address"].as_str()) {
        if !addresses.iter().any(|known| known == address) {
            addresses.push(address.to_owned());
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_old_place_and_the_new() {
        let server =
            json!({ "public_ips": [{ "address": "192.0.2.1" }], "public_ip": { "address": "192.0.2.1" } });
        assert_eq!(addresses(&server), ["192.0.2.1"]);
        assert_eq!(addresses(&json!({ "public_ip": { "address": "192.0.2.2" } })), ["192.0.2.2"]);
        assert_eq!(addresses(&json!({ "public_ip": null })), [""; 0]);
    }
}
