//! A machine in Azure, from a disk that is uploaded first, with a network of its own.
//!
//! `request.rs` has what Azure is asked for.

mod request;

use std::thread;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use thiserror::Error;

use crate::azure::{Arm, AzureError, Task, api, group};
use crate::event::Event;
use crate::http::Secret;
use crate::push::azure::{self as push, Disk, PushError};

use request::Kind;

/// Most custom data that Azure takes, in bytes ("Virtual Machines: Create Or Update", `customData`).
pub const MAX_USER_DATA: usize = 65535;
/// How often the machine is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The disk, its storage account and the resource group.
    pub disk: push::Options,
    /// Where group and account are made that are not there.
    pub location: String,
    /// The machine's size.
    pub machine: String,
    /// What the machine is told when it asks for its user data.
    pub user_data: Option<Vec<u8>>,
}

/// Why no machine runs.
#[derive(Debug, Error)]
pub enum MachineError {
    /// It would be refused.
    #[error(
        "the user data has {0} bytes, and Azure takes up to {MAX_USER_DATA}: let the machine fetch the rest itself"
    )]
    UserData(usize),
    /// There are no random numbers for its names and its password.
    #[error("this system has no random numbers")]
    Random,
    /// There is no image.
    #[error(transparent)]
    Push(#[from] PushError),
    /// Azure does not do it.
    #[error(transparent)]
    Cloud(#[from] AzureError),
    /// It does not come up.
    #[error("machine {name} failed: {message}")]
    Fault {
        /// The machine.
        name: String,
        /// What Azure says.
        message: String,
    },
    /// What was begun is still there.
    #[error("{failure}; what was made for it could not all be deleted: {}", why.join("; "))]
    Left {
        /// Why it does not run.
        failure: Box<MachineError>,
        /// What is still there, and why.
        why: Vec<String>,
    },
}

/// A machine that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// The name of its address.
    pub address: Option<String>,
}

/// What a machine is made of, by LinuxKit's names with a number that is its own.
#[derive(Debug)]
struct Parts<'a> {
    options: &'a Options,
    number: u32,
    password: Secret,
}

/// Whether the user data would be taken. Nobody is asked anything.
///
/// # Errors
/// When it would not.
pub fn check(options: &Options) -> Result<(), MachineError> {
    match options.user_data.as_ref().map(Vec::len) {
        Some(len) if len > MAX_USER_DATA => Err(MachineError::UserData(len)),
        _ => Ok(()),
    }
}

/// Starts a machine, and returns when it runs. Resource group and storage account are made if they are not there.
///
/// # Errors
/// When Azure does not take the disk, or does not start the machine; the machine and its network are deleted then, and
/// the image stays.
pub fn run(
    options: &Options,
    arm: &Arm,
    disk: &Disk<'_>,
    tell: &dyn Fn(Event<'_>),
) -> Result<Machine, MachineError> {
    let parts = Parts::new(options)?;
    parts.ground(arm, tell)?;
    let image = disk.push(arm, tell)?;
    let failure = match parts.start(arm, &image, tell) {
        Ok(machine) => return Ok(machine),
        Err(failure) => failure,
    };
    // The last first: a network that is in use stays.
    let why: Vec<String> = Kind::ALL.iter().rev().filter_map(|kind| parts.delete(arm, *kind).err()).collect();
    match why.is_empty() {
        true => Err(failure),
        false => Err(MachineError::Left { failure: Box::new(failure), why }),
    }
}

impl<'a> Parts<'a> {
    fn new(options: &'a Options) -> Result<Self, MachineError> {
        let mut random = [0; 20];
        SystemRandom::new().fill(&mut random).map_err(|_| MachineError::Random)?;
        let [a, b, c, d, rest @ ..] = random;
        let hex: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        // Of each kind of character that Azure wants one of.
        Ok(Self {
            options,
            number: u32::from_be_bytes([a, b, c, d]) % 1_000_000,
            password: Secret::new(format!("Aa1!{hex}")),
        })
    }

    /// Makes the resource group and the storage account, if they are not there. What is there is left as it is.
    fn ground(&self, arm: &Arm, tell: &dyn Fn(Event<'_>)) -> Result<(), MachineError> {
        let Options { disk, location, .. } = self.options;
        let account = format!("providers/Microsoft.Storage/storageAccounts/{}", disk.account);
        for (path, version, body, what) in [
            (
                group(&disk.group, ""),
                api::GROUPS,
                request::group(location),
                format!("resource group {}", disk.group),
            ),
            (
                group(&disk.group, &account),
                api::STORAGE,
                request::account(location),
                format!("storage account {}", disk.account),
            ),
        ] {
            if arm.find(&path, version, &format!("look at {what}"))?.is_none() {
                let action = format!("make {what}");
                arm.make(&path, version, &body, Task { patience: disk.patience, action: &action })?;
                tell(Event::Note(&format!("{what} is made in {location}")));
            }
        }
        Ok(())
    }

    fn start(
        &self,
        arm: &Arm,
        image: &push::Image,
        tell: &dyn Fn(Event<'_>),
    ) -> Result<Machine, MachineError> {
        let patience = self.options.disk.patience;
        let mut address = None;
        for kind in Kind::NETWORK {
            let action = format!("make {}", self.name(kind));
            let task = Task { patience, action: &action };
            let made = arm.make(&self.path(kind), kind.version(), &self.request(arm, kind, image), task)?;
            let name = made["properties"]["dnsSettings"]["fqdn"].as_str().map(str::to_owned);
            address = address.or(name);
        }
        let (kind, name) = (Kind::Machine, self.name(Kind::Machine));
        let action = format!("start machine {name}");
        arm.begin(&self.path(kind), kind.version(), &self.request(arm, kind, image), &action)?;
        tell(Event::Note(&format!("machine {name} is being made")));
        self.wait(arm, &name, &action)?;
        Ok(Machine { name, address })
    }

    /// Waits until the machine runs. Azure itself waits on for an agent in it, which there is none of.
    fn wait(&self, arm: &Arm, name: &str, action: &str) -> Result<(), MachineError> {
        let patience = self.options.disk.patience;
        let deadline = Instant::now() + patience;
        let path = format!("{}?$expand=instanceView", self.path(Kind::Machine));
        loop {
            let machine = arm.find(&path, api::COMPUTE, action)?.unwrap_or_default();
            match state(&machine["properties"]) {
                State::Runs => return Ok(()),
                State::Failed(message) => return Err(MachineError::Fault { name: name.to_owned(), message }),
                State::Coming(_) if Instant::now() < deadline => thread::sleep(PAUSE),
                State::Coming(status) => {
                    return Err(AzureError::Late { action: action.to_owned(), status, patience }.into());
                }
            }
        }
    }

    fn delete(&self, arm: &Arm, kind: Kind) -> Result<(), String> {
        let action = format!("delete {}", self.name(kind));
        let task = Task { patience: self.options.disk.patience, action: &action };
        arm.delete(&self.path(kind), kind.version(), task).map(drop).map_err(|error| error.to_string())
    }
}

/// How far a machine is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Runs,
    Failed(String),
    Coming(String),
}

/// By a machine's properties with its instance view.
fn state(properties: &Value) -> State {
    let statuses = properties["instanceView"]["statuses"].as_array().map_or(&[][..], Vec::as_slice);
    let codes = || statuses.iter().filter_map(|status| status["code"].as_str());
    if codes().any(|code| code == "PowerState/running") {
        return State::Runs;
    }
    match properties["provisioningState"].as_str() {
        Some("Failed" | "Canceled") => {
            let failed = |status: &&Value| status["level"] == "Error";
            let message = statuses.iter().find(failed).map(|status| {
                let text = |member: &str| status[member].as_str().unwrap_or_default();
                format!("{}: {}", text("code"), text("message"))
            });
            State::Failed(message.unwrap_or_else(|| "Azure does not say why".into()))
        }
        _ => State::Coming(codes().next_back().unwrap_or("being made").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_machine_runs_when_it_has_power_and_needs_no_agent() {
        let properties = |state: &str, statuses: Value| json!({ "provisioningState": state, "instanceView": { "statuses": statuses } });
        let error = json!({ "code": "ProvisioningState/failed/AllocationFailed", "level": "Error", "message": "No room." });
        for (properties, expected) in [
            (properties("Creating", json!([])), State::Coming("being made".into())),
            (
                properties("Creating", json!([{ "code": "PowerState/starting" }])),
                State::Coming("PowerState/starting".into()),
            ),
            (
                properties(
                    "Creating",
                    json!([{ "code": "ProvisioningState/creating" }, { "code": "PowerState/running" }]),
                ),
                State::Runs,
            ),
            (
                properties("Failed", json!([error])),
                State::Failed("ProvisioningState/failed/AllocationFailed: No room.".into()),
            ),
            (json!({ "provisioningState": "Failed" }), State::Failed("Azure does not say why".into())),
            (json!(null), State::Coming("being made".into())),
        ] {
            assert_eq!(state(&properties), expected, "{properties}");
        }
    }
}
