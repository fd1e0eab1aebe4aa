//! A machine in vCenter, with a CD image that is there already.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use thiserror::Error;

use crate::http::Trouble;
use crate::push::vcenter::{PushError, folder};
use crate::size::Size;
use crate::vcenter::{Place, Session, VCenterError};

/// How often a machine is asked for its address.
const PAUSE: Duration = Duration::from_secs(2);

/// What is made, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The CD image; its name alone counts.
    pub image: PathBuf,
    /// The datacenter's name, if there are several.
    pub datacenter: Option<String>,
    /// The datastore's name, if there are several.
    pub datastore: Option<String>,
    /// The network's name; without, the machine has none.
    pub network: Option<String>,
    /// The host's name; without, the first that is connected.
    pub host: Option<String>,
    /// The machine's name, and the folder of its CD image; called as the image, if there is none.
    pub name: Option<String>,
    /// How large its disk is; without, it has none.
    pub disk: Option<Size>,
    /// Processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// Turn it on.
    pub power: bool,
    /// Wait until it says its address, by open-vm-tools.
    pub address: bool,
    /// How long it may take to say it.
    pub patience: Duration,
}

/// Why no machine runs.
#[derive(Debug, Error)]
pub enum MachineError {
    /// Nothing that it has as a CD.
    #[error(transparent)]
    Image(#[from] PushError),
    /// vCenter does not do it.
    #[error(transparent)]
    Cloud(#[from] VCenterError),
    /// What was begun is still there.
    #[error("{failure}; machine {name} could not be deleted either: {why}")]
    Left {
        /// The machine.
        name: String,
        /// Why it does not run.
        failure: Box<VCenterError>,
        /// Why it is still there.
        why: VCenterError,
    },
}

/// A machine that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// vCenter's own name.
    pub id: String,
    /// Its address, if it was waited for.
    pub address: Option<String>,
}

/// Makes a machine. One that cannot be turned on is deleted.
///
/// # Errors
/// When something that it needs is not there, vCenter refuses, or it does not say its address in time; it runs on then.
pub fn run(
    options: &Options,
    log_in: impl FnOnce() -> Result<Session, VCenterError>,
) -> Result<Machine, MachineError> {
    let stem = folder(&options.image)?;
    let session = log_in()?;
    let place = Place::find(&session, options.datacenter.as_deref(), options.datastore.as_deref())?;
    let name = options.name.as_ref().unwrap_or(&stem);
    let file = format!("{name}/{stem}.iso");
    let iso = place.written(&file);
    session.length(&place.address(&file), &format!("find {iso}, which `lkb push vcenter` puts there"))?;
    let network = options.network.as_ref().map(|name| place.network(&session, name)).transpose()?;
    let placement = json!({
        "folder": place.folder(&session)?,
        "host": place.host(&session, options.host.as_deref())?,
        "datastore": place.datastore,
    });
    let request = request(options, name, &iso, placement, network);
    let made = session.post("vcenter/vm", Some(&request), &format!("make machine {name}"))?;
    let id = made.as_str().map(str::to_owned).ok_or_else(|| VCenterError::Request {
        action: format!("make machine {name}"),
        trouble: Trouble::Unexpected("the answer does not name it".into()),
        advice: "",
    })?;
    if !options.power {
        return Ok(Machine { id, address: None });
    }
    let path = format!("vcenter/vm/{id}");
    if let Err(failure) =
        session.post(&format!("{path}/power?action=start"), None, &format!("turn on machine {name}"))
    {
        return match session.delete(&path, &format!("delete machine {name}")) {
            Ok(()) => Err(failure.into()),
            Err(why) => Err(MachineError::Left { name: name.clone(), failure: Box::new(failure), why }),
        };
    }
    let address = options.address.then(|| wait(&session, &path, name, options.patience)).transpose()?;
    Ok(Machine { id, address })
}

/// Waits until the machine says its address; until then, that is no service of it.
fn wait(session: &Session, path: &str, name: &str, patience: Duration) -> Result<String, VCenterError> {
    let deadline = Instant::now() + patience;
    let action = format!("learn the address of machine {name} from open-vm-tools in it");
    loop {
        match session.get_once(&format!("{path}/guest/identity"), &action) {
            Ok(identity) => {
                if let Some(address) = identity["ip_address"].as_str().filter(|address| !address.is_empty()) {
                    return Ok(address.to_owned());
                }
            }
            Err(VCenterError::Request { trouble: Trouble::Refused { status: 503, .. }, .. }) => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(VCenterError::Late { action, patience });
        }
        thread::sleep(PAUSE);
    }
}

/// What vCenter is asked for ("VM: create"), with LinuxKit's devices.
fn request(
    options: &Options,
    name: &str,
    iso: &str,
    placement: Value,
    network: Option<(String, String)>,
) -> Value {
    let mut request = json!({
        "name": name,
        "guest_OS": "OTHER_LINUX_64",
        "placement": placement,
        "cpu": { "count": options.cpus },
        "memory": { "size_MiB": options.memory },
        "scsi_adapters": [{ "type": "PVSCSI" }],
        "cdroms": [{ "type": "IDE", "start_connected": true, "backing": { "type": "ISO_FILE", "iso_file": iso } }],
        "disks": [],
        "nics": [],
    });
    if let Some(size) = options.disk {
        let disk = json!({ "name": "linuxkit", "capacity": size.bytes() });
        request["disks"] = json!([{ "type": "SCSI", "new_vmdk": disk }]);
    }
    if let Some((network, kind)) = network {
        let backing = json!({ "type": kind, "network": network });
        request["nics"] = json!([{ "type": "VMXNET3", "start_connected": true, "backing": backing }]);
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_what_was_asked_for_and_no_more() {
        let options = Options {
            image: "web.iso".into(),
            datacenter: None,
            datastore: None,
            network: None,
            host: None,
            name: None,
            disk: None,
            cpus: 2,
            memory: 512,
            power: false,
            address: false,
            patience: PAUSE,
        };
        let plain = request(&options, "web", "[ds] web/web.iso", json!({}), None);
        assert_eq!((&plain["disks"], &plain["nics"]), (&json!([]), &json!([])));
        assert_eq!((&plain["cpu"]["count"], &plain["memory"]["size_MiB"]), (&json!(2), &json!(512)));
        assert_eq!(
            plain["cdroms"][0]["backing"],
            json!({ "type": "ISO_FILE", "iso_file": "[ds] web/web.iso" })
        );
        let options = Options { disk: Some(Size::mebibytes(100)), ..options };
        let full =
            request(&options, "web", "i", json!({}), Some(("network-7".into(), "OPAQUE_NETWORK".into())));
        assert_eq!(full["disks"][0]["new_vmdk"]["capacity"], 100 << 20);
        assert_eq!(full["nics"][0]["backing"], json!({ "type": "OPAQUE_NETWORK", "network": "network-7" }));
    }
}
