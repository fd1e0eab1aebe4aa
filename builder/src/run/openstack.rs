//! A server in OpenStack, from an image that is there already.

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use thiserror::Error;
use ureq::http::Method;

use crate::http::encoded;
use crate::openstack::{Cloud, OpenStackError, Service};

/// Most user data that Nova takes, in bytes: 65535 characters of base64.
pub const MAX_USER_DATA: usize = 65535 / 4 * 3;
/// How often the server is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image's id or name.
    pub image: String,
    /// The server's name.
    pub name: String,
    /// The flavour's id or name.
    pub flavor: String,
    /// The id or name of a network; without it, the project's only one.
    pub network: Option<String>,
    /// Names of security groups.
    pub security_groups: Vec<String>,
    /// The name of an ssh key.
    pub key: Option<String>,
    /// What the server is told when it asks for its user data.
    pub user_data: Option<Vec<u8>>,
    /// Give it its metadata on a disk, too.
    pub config_drive: bool,
    /// How long it may take to be active.
    pub patience: Duration,
}

/// Why no server runs.
#[derive(Debug, Error)]
pub enum ServerError {
    /// It would be refused.
    #[error(
        "the user data has {0} bytes, and Nova takes up to {MAX_USER_DATA}: let the machine fetch the rest itself"
    )]
    UserData(usize),
    /// The cloud does not do it.
    #[error(transparent)]
    Cloud(#[from] OpenStackError),
    /// There is no such thing.
    #[error("the cloud has no {kind} {name}{}", known_names(.known))]
    Unknown {
        /// `image`, `flavour`, `network`.
        kind: &'static str,
        /// Its name or id.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The name is not one's own.
    #[error("the cloud has several with the name of {kind} {name}; name it by its id: {}", ids.join(", "))]
    Several {
        /// `image`, `flavour`, `network`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// All that have it.
        ids: Vec<String>,
    },
    /// An answer is not as documented.
    #[error("the cloud's answer about {what} has no {member}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is missing.
        member: &'static str,
    },
    /// It does not come up.
    #[error("server {id} is in status ERROR: {fault}")]
    Fault {
        /// The server.
        id: String,
        /// What Nova says.
        fault: String,
    },
    /// It takes too long.
    #[error("server {id} is still {status} after {} s", patience.as_secs())]
    Late {
        /// The server.
        id: String,
        /// Its status.
        status: String,
        /// How long was waited.
        patience: Duration,
    },
}

fn known_names(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!("; it has {}", known.join(", ")),
    }
}

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: String,
    /// Its addresses.
    pub addresses: Vec<String>,
}

/// Starts a server, and returns when it is active.
///
/// # Errors
/// When something that it needs is not there, the cloud refuses, or the server does not come up; it is left there then,
/// to be looked at.
pub fn run(
    options: &Options,
    log_in: impl FnOnce() -> Result<Cloud, OpenStackError>,
    started: &dyn Fn(&str),
) -> Result<Server, ServerError> {
    if let Some(len) = options.user_data.as_ref().map(Vec::len).filter(|len| *len > MAX_USER_DATA) {
        return Err(ServerError::UserData(len));
    }
    let cloud = log_in()?;
    let image = find(&cloud, Service::Image, "image", "/images", "images", &options.image)?;
    let flavor = find(&cloud, Service::Compute, "flavour", "/flavors", "flavors", &options.flavor)?;
    let network = options.network.as_deref();
    let network = network
        .map(|name| find(&cloud, Service::Network, "network", "/networks", "networks", name))
        .transpose()?;
    let body = request(options, &image, &flavor, network.as_deref());
    let action = format!("start server {}", options.name);
    let answer = cloud.ask(Service::Compute, Method::POST, "/servers", Some(&body), &action)?;
    let id = answer["server"]["id"].as_str().map(str::to_owned);
    let id =
        id.ok_or_else(|| ServerError::Answer { what: format!("server {}", options.name), member: "id" })?;
    started(&id);
    wait(&cloud, id, options.patience)
}

fn wait(cloud: &Cloud, id: String, patience: Duration) -> Result<Server, ServerError> {
    let deadline = Instant::now() + patience;
    loop {
        let what = format!("/servers/{id}");
        let answer =
            cloud.ask(Service::Compute, Method::GET, &what, None, &format!("look at server {id}"))?;
        let server = &answer["server"];
        match server["status"].as_str() {
            Some("ACTIVE") => return Ok(Server { id, addresses: addresses(server) }),
            Some("ERROR") => {
                let fault = server["fault"]["message"].as_str().unwrap_or("Nova does not say why").to_owned();
                return Err(ServerError::Fault { id, fault });
            }
            Some(_) if Instant::now() < deadline => thread::sleep(PAUSE),
            Some(status) => return Err(ServerError::Late { id, status: status.to_owned(), patience }),
            None => return Err(ServerError::Answer { what: format!("server {id}"), member: "status" }),
        }
    }
}

/// The id of something that is named, or an id itself.
fn find(
    cloud: &Cloud,
    service: Service,
    kind: &'static str,
    path: &str,
    list: &str,
    name: &str,
) -> Result<String, ServerError> {
    // Flavours cannot be asked for by name; there are few.
    let (path, few) = match service {
        Service::Compute => (path.to_owned(), true),
        Service::Image | Service::Network => {
            let member = if is_uuid(name) { "id" } else { "name" };
            (format!("{path}?{member}={}", encoded(name)), false)
        }
    };
    if service == Service::Image && is_uuid(name) {
        // Images cannot be listed by id.
        let answer = cloud.ask(
            service,
            Method::GET,
            &format!("/images/{name}"),
            None,
            &format!("find image {name}"),
        )?;
        let id = answer["id"].as_str().map(str::to_owned);
        return id.ok_or_else(|| ServerError::Answer { what: format!("image {name}"), member: "id" });
    }
    let answer = cloud.ask(service, Method::GET, &path, None, &format!("find {kind} {name}"))?;
    choose(kind, name, answer[list].as_array().map_or(&[], Vec::as_slice), few)
}

/// The one of a list that has this name or id; an id counts more.
fn choose(kind: &'static str, name: &str, list: &[Value], few: bool) -> Result<String, ServerError> {
    let all = |member: &str| -> Vec<String> {
        list.iter()
            .filter(|item| item[member] == name)
            .filter_map(|item| item["id"].as_str())
            .map(str::to_owned)
            .collect()
    };
    let mut ids = all("id");
    if ids.is_empty() {
        ids = all("name");
    }
    match (ids.len(), ids.pop()) {
        (1, Some(id)) => Ok(id),
        (_, Some(last)) => {
            ids.push(last);
            Err(ServerError::Several { kind, name: name.to_owned(), ids })
        }
        (_, None) => {
            let names = list.iter().filter(|_| few).filter_map(|item| item["name"].as_str());
            Err(ServerError::Unknown {
                kind,
                name: name.to_owned(),
                known: names.map(str::to_owned).collect(),
            })
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    plain && lengths == [8, 4, 4, 4, 12]
}

/// What Nova is asked for, in version 2.1 of its interface, which every cloud has.
fn request(options: &Options, image: &str, flavor: &str, network: Option<&str>) -> Value {
    let groups: Vec<Value> = options.security_groups.iter().map(|name| json!({ "name": name })).collect();
    let mut server =
        json!({ "name": options.name, "imageRef": image, "flavorRef": flavor, "security_groups": groups });
    if let Some(network) = network {
        server["networks"] = json!([{ "uuid": network }]);
    }
    if let Some(key) = &options.key {
        server["key_name"] = key.as_str().into();
    }
    if let Some(user_data) = &options.user_data {
        server["user_data"] = STANDARD.encode(user_data).into();
    }
    if options.config_drive {
        server["config_drive"] = true.into();
    }
    json!({ "server": server })
}

fn addresses(server: &Value) -> Vec<String> {
    let networks = server["addresses"].as_object().into_iter().flat_map(|networks| networks.values());
    let all = networks.filter_map(Value::as_array).flatten();
    all.filter_map(|address| address["addr"].as_str()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            image: "m".into(),
            name: "s".into(),
            flavor: "m1.tiny".into(),
            network: None,
            security_groups: vec!["default".into(), "web".into()],
            key: None,
            user_data: None,
            config_drive: false,
            patience: Duration::from_secs(600),
        }
    }

    #[test]
    fn a_request_has_what_was_asked_for_and_no_more() {
        assert_eq!(
            request(&options(), "i", "f", None),
            json!({ "server": {
                "name": "s", "imageRef": "i", "flavorRef": "f",
                "security_groups": [{ "name": "default" }, { "name": "web" }],
            } })
        );
        let all = Options {
            key: Some("k".into()),
            user_data: Some(b"\x00\xffa".to_vec()),
            config_drive: true,
            security_groups: Vec::new(),
            ..options()
        };
        assert_eq!(
            request(&all, "i", "f", Some("n")),
            json!({ "server": {
                "name": "s", "imageRef": "i", "flavorRef": "f", "security_groups": [],
                "networks": [{ "uuid": "n" }], "key_name": "k", "user_data": "AP9h", "config_drive": true,
            } })
        );
    }

    #[test]
    fn too_much_user_data_is_said_before_anybody_is_asked() {
        for (len, fits) in [(49149, true), (49150, false)] {
            let options = Options { user_data: Some(vec![b'x'; len]), ..options() };
            let refuse = || Err(OpenStackError::NotSet("nothing was asked"));
            let error = run(&options, refuse, &|_| {}).unwrap_err();
            assert_eq!(matches!(error, ServerError::Cloud(_)), fits, "{len}: {error}");
        }
        assert!(STANDARD.encode(vec![0; MAX_USER_DATA]).len() <= 65535);
    }

    #[test]
    fn a_name_must_be_that_of_one() {
        let list = [
            json!({ "id": "1", "name": "a" }),
            json!({ "id": "2", "name": "b" }),
            json!({ "id": "3", "name": "b" }),
            json!({ "id": "b2", "name": "1" }),
        ];
        assert_eq!(choose("flavour", "a", &list, true).unwrap(), "1");
        assert_eq!(choose("flavour", "1", &list, true).unwrap(), "1", "an id counts more");
        let several = choose("flavour", "b", &list, true).unwrap_err().to_string();
        assert!(several.ends_with("name it by its id: 2, 3"), "{several}");
        let unknown = choose("flavour", "c", &list, true).unwrap_err().to_string();
        assert_eq!(unknown, "the cloud has no flavour c; it has a, b, b, 1");
        assert_eq!(choose("image", "c", &[], false).unwrap_err().to_string(), "the cloud has no image c");
    }

    #[test]
    fn names_are_told_from_ids() {
        assert!(is_uuid("0f7a9a3e-2c1b-4d5e-8f90-123456789abc"));
        for name in ["", "web", "0f7a9a3e-2c1b-4d5e-8f90-123456789abg", "0f7a9a3e2c1b4d5e8f90123456789abc"] {
            assert!(!is_uuid(name), "{name}");
        }
    }
}
