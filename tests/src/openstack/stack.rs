//! What is asked of the cloud: servers, networks, keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use lkb::openstack::{Cloud, Login, Service};
use serde_json::{Value, json};
use ureq::http::Method;

use super::{script, variable};
use crate::image::lkb;

/// The cloud that `make openstack` has started.
#[derive(Debug)]
pub struct Stack {
    cloud: Cloud,
}

/// A server of the cloud.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its id.
    pub id: String,
    /// Its project's id.
    pub project: String,
    /// Its address.
    pub address: String,
    /// The address of its network card.
    pub mac: String,
    /// Where Nova's metadata service listens on 127.0.0.1.
    pub metadata_port: u16,
}

/// A network without DHCP, whose addresses the machines must take by themselves.
#[derive(Debug, Clone, Copy)]
pub struct StaticNetwork<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its addresses.
    pub cidr: &'a str,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// Who is asked for names.
    pub name_server: &'a str,
    /// Another network, and who leads there.
    pub route: (&'a str, &'a str),
}

impl Stack {
    /// Logs in to it.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn running() -> Self {
        let login = Login::from_environment().expect("a login: run `make openstack`");
        Self { cloud: Cloud::log_in(login).expect("logging in") }
    }

    /// Uploads an image by `lkb push openstack`; returns its id.
    ///
    /// # Panics
    /// When the cloud does not take it.
    #[must_use]
    pub fn push(&self, image: &Path, name: &str) -> String {
        let mut command = Command::new(lkb());
        command.args(["push", "openstack", "--img-name", name]).arg(image);
        printed(command)
    }

    /// Starts a server by `lkb run openstack`.
    ///
    /// # Panics
    /// When it does not become active.
    #[must_use]
    pub fn run(&self, image: &str, options: &[&str]) -> Server {
        let mut command = Command::new(lkb());
        command.args(["run", "openstack"]).args(options).arg(image);
        self.server(&printed(command))
    }

    fn server(&self, id: &str) -> Server {
        let answer =
            self.ask(Service::Compute, Method::GET, &format!("/servers/{id}"), None, "look at a server");
        let server = &answer["server"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let port = server["addresses"].as_object().expect("networks").values().next().expect("a network");
        let base: u16 = variable("OPENSTACK_PORT_BASE").parse().expect("a port");
        Server {
            id: id.to_owned(),
            project: text(&server["tenant_id"]),
            address: text(&port[0]["addr"]),
            mac: text(&port[0]["OS-EXT-IPS-MAC:mac_addr"]),
            metadata_port: base + 3,
        }
    }

    /// Makes an ssh key known by `name`.
    pub fn add_key(&self, name: &str, public: &str) {
        let body = json!({"keypair": {"name": name, "public_key": public}});
        self.ask(Service::Compute, Method::POST, "/os-keypairs", Some(&body), "add a key");
    }

    /// Makes a network without DHCP.
    ///
    /// # Panics
    /// When the answer has no id.
    pub fn add_static_network(&self, network: &StaticNetwork<'_>) {
        let body = json!({"network": {"name": network.name, "mtu": network.mtu}});
        let made = self.ask(Service::Network, Method::POST, "/networks", Some(&body), "make a network");
        let id = made["network"]["id"].as_str().expect("the network's id");
        let (destination, nexthop) = network.route;
        let body = json!({"subnet": {
            "network_id": id, "ip_version": 4, "cidr": network.cidr, "enable_dhcp": false,
            "dns_nameservers": [network.name_server],
            "host_routes": [{"destination": destination, "nexthop": nexthop}],
        }});
        self.ask(Service::Network, Method::POST, "/subnets", Some(&body), "make a subnet");
    }

    /// The config drive that Nova gives a server, written to `file`.
    ///
    /// # Panics
    /// When Nova cannot.
    #[must_use]
    pub fn config_drive(&self, server: &Server, file: PathBuf) -> PathBuf {
        let python = Path::new(&variable("OPENSTACK_VENV")).join("bin/python");
        let mut command = Command::new(python);
        command.arg(script("nova-configdrive.py")).arg("--config-dir");
        command.arg(Path::new(&variable("OPENSTACK_ROOT")).join("etc/nova"));
        command.args(["--server", &server.id]).arg("--out").arg(&file);
        printed(command);
        file
    }

    fn ask(&self, service: Service, method: Method, what: &str, body: Option<&Value>, action: &str) -> Value {
        self.cloud.ask(service, method, what, body, action).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Runs a command; returns the last line that it printed.
fn printed(mut command: Command) -> String {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().last().unwrap_or_default().trim().to_owned()
}
