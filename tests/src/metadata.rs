//! An OpenStack metadata service on 169.254.169.254, with the answers that Nova gives.
//!
//! Both trees: `/openstack/latest/…` and `/latest/…` (EC2 style). Values end without a newline; what is not there is a 404.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use crate::netns::Netns;

/// Where every cloud of this kind answers.
pub const ADDRESS: &str = "169.254.169.254";

/// What the cloud says of one machine.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// What its owner gave it.
    pub user_data: Option<Vec<u8>>,
    /// Public ssh keys, by name.
    pub keys: Vec<(String, String)>,
}

/// A running metadata service.
#[derive(Debug)]
pub struct Service {
    requests: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// Starts one in `netns`, which must have [`ADDRESS`] on its loopback.
    ///
    /// # Panics
    /// When the address can't be bound.
    #[must_use]
    pub fn start(netns: &Netns, instance: &Instance) -> Self {
        let answers = Arc::new(answers(instance));
        let listener = netns.run(|| TcpListener::bind((ADDRESS, 80)).expect("binding the metadata address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, log) = (Arc::clone(&answers), Arc::clone(&log));
                // A guest that goes away in the middle of an answer is no fault of the service.
                std::thread::spawn(move || drop(answer(stream, &answers, &log)));
            }
        });
        Self { requests }
    }

    /// The paths that were asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(
    stream: TcpStream,
    answers: &BTreeMap<String, Vec<u8>>,
    log: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split_whitespace().nth(1).unwrap_or_default().to_string();
        let mut close = false;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            close |= header.to_ascii_lowercase().starts_with("connection: close");
        }
        log.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        let (status, body) = match answers.get(path.trim_end_matches('/')) {
            Some(body) => ("200 OK", body.as_slice()),
            None => ("404 Not Found", &b"404 Not Found\n\nThe resource could not be found.\n"[..]),
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body)?;
        if close {
            return Ok(());
        }
    }
}

fn answers(instance: &Instance) -> BTreeMap<String, Vec<u8>> {
    let hostname = format!("{}.novalocal", instance.name);
    let keys: BTreeMap<_, _> = instance.keys.iter().cloned().collect();
    let meta_data = json!({
        "uuid": "b5d9d0cc-b331-4952-8df6-04eac550a9ab",
        "name": instance.name,
        "hostname": hostname,
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": "39247e3fc4a140d08f8a600329f6e0e0",
        "random_seed": "bm90IHZlcnkgcmFuZG9t",
        "public_keys": keys,
        "keys": instance.keys.iter().map(|(n, k)| json!({"name": n, "type": "ssh", "data": k})).collect::<Vec<_>>(),
        "devices": [],
        "dedicated_cpus": [],
    });
    let network_data = json!({
        "links": [{"id": "tap22bd0c0a-c6", "type": "ovs", "mtu": 1500, "ethernet_mac_address": "52:54:00:12:34:56",
            "vif_id": "22bd0c0a-c650-4134-ba80-f834901a73c2"}],
        "networks": [{"id": "network0", "type": "ipv4_dhcp", "link": "tap22bd0c0a-c6",
            "network_id": "cb45c4f7-f18d-40c1-9597-6e668cee08f8"}],
        "services": [],
    });
    let mut tree: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut put = |path: &str, body: &[u8]| tree.insert(path.to_string(), body.to_vec());
    put("/openstack", b"2012-08-10\n2013-04-04\n2018-08-27\n2020-10-14\n2025-04-04\nlatest");
    put(
        "/openstack/latest",
        b"meta_data.json\npassword\nvendor_data.json\nnetwork_data.json\nvendor_data2.json",
    );
    put("/openstack/latest/meta_data.json", meta_data.to_string().as_bytes());
    put("/openstack/latest/network_data.json", network_data.to_string().as_bytes());
    put("/openstack/latest/vendor_data.json", b"{}");
    put("/openstack/latest/vendor_data2.json", b"{\"static\": {}}");
    put("/latest/meta-data/hostname", hostname.as_bytes());
    put("/latest/meta-data/local-hostname", hostname.as_bytes());
    put("/latest/meta-data/instance-id", b"i-00000001");
    put("/latest/meta-data/instance-type", b"m1.tiny");
    put("/latest/meta-data/local-ipv4", b"10.0.2.15");
    put("/latest/meta-data/public-ipv4", b"");
    put("/latest/meta-data/placement/availability-zone", b"nova");
    for (index, (name, key)) in instance.keys.iter().enumerate() {
        put("/latest/meta-data/public-keys", format!("{index}={name}").as_bytes());
        put(&format!("/latest/meta-data/public-keys/{index}/openssh-key"), key.as_bytes());
    }
    if let Some(user_data) = &instance.user_data {
        put("/openstack/latest/user_data", user_data);
        put("/latest/user-data", user_data);
    }
    tree
}
