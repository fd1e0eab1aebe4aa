//! An instance in EC2, from an image that is there already.

use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::aws::{self, Account, AwsError, Element};

/// Most user data that EC2 takes, in bytes, before it is written in base64 (EC2 User Guide, "User data").
pub const MAX_USER_DATA: usize = 16 << 10;
/// How long an instance may take to run, and to be gone.
const PATIENCE: Duration = Duration::from_secs(600);
/// The longest pause between two looks at it; the first is a second, and each further one twice as long.
const PAUSE: Duration = Duration::from_secs(15);

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The image's name, or its id.
    pub image: String,
    /// The type of machine.
    pub machine: String,
    /// The zone in the region: `a`.
    pub zone: String,
    /// A second disk, in GiB; none if 0.
    pub disk_size: u32,
    /// Its type.
    pub disk_type: String,
    /// The id of a security group; the default one without.
    pub security_group: Option<String>,
    /// What the machine is told when it asks for its user data.
    pub user_data: Option<Vec<u8>>,
}

/// Why no instance runs.
#[derive(Debug, Error)]
pub enum InstanceError {
    /// It would be refused.
    #[error(
        "the user data has {0} bytes, and EC2 takes up to {MAX_USER_DATA}: let the machine fetch the rest itself"
    )]
    UserData(usize),
    /// AWS does not do it.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There is no such image.
    #[error("the account has no image {0} in region {1}: push one with `lkb push aws`, or set AWS_REGION")]
    Unknown(String, String),
    /// It does not come up.
    #[error("instance {id} is {state}: {reason}")]
    Failed {
        /// The instance.
        id: String,
        /// Its state.
        state: String,
        /// What EC2 says.
        reason: String,
    },
    /// It takes too long.
    #[error("instance {id} is still {state} after {} s", PATIENCE.as_secs())]
    Late {
        /// The instance.
        id: String,
        /// Its state.
        state: String,
    },
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its addresses, the public one first.
    pub addresses: Vec<String>,
}

/// Starts an instance, and returns when it runs. `started` is told its id as soon as there is one.
///
/// # Errors
/// When there is no such image, AWS refuses, or the instance does not come up.
pub fn start(
    options: &Options,
    log_in: impl FnOnce() -> Result<Account, AwsError>,
    started: &dyn Fn(&str),
) -> Result<(Account, Instance), InstanceError> {
    if let Some(len) = options.user_data.as_ref().map(Vec::len).filter(|len| *len > MAX_USER_DATA) {
        return Err(InstanceError::UserData(len));
    }
    let account = log_in()?;
    let image = find(&account, &options.image)?;
    let fields = request(options, &image, account.region());
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let token = aws::token(&options.image);
    fields.push(("ClientToken", &token));
    let action = format!("start an instance of {}", options.image);
    let answer = account.ec2("RunInstances", &fields, true, &action)?;
    let id = answer.text("instancesSet/item/instanceId");
    let id = id.ok_or(AwsError::Answer { action, member: "instanceId" })?.to_owned();
    started(&id);
    let instance = wait(&account, &id, Some(PATIENCE), |state| match state {
        "running" => Some(true),
        "pending" => None,
        _ => Some(false),
    })?;
    let addresses = ["ipAddress", "privateIpAddress"].map(|member| instance.text(member).map(str::to_owned));
    Ok((account, Instance { id, addresses: addresses.into_iter().flatten().collect() }))
}

/// Waits until an instance has stopped, terminates it, and returns what its serial console has shown: the last 64 KiB.
///
/// # Errors
/// When AWS refuses; the instance is left there then.
pub fn finish(account: &Account, id: &str) -> Result<Vec<u8>, InstanceError> {
    wait(account, id, None, |state| match state {
        "stopped" | "terminated" => Some(true),
        _ => None,
    })?;
    let answer =
        account.ec2("GetConsoleOutput", &[("InstanceId", id)], true, &format!("read the console of {id}"))?;
    let shown: String = answer.text("output").unwrap_or_default().split_whitespace().collect();
    let console = STANDARD.decode(shown).map_err(|_| AwsError::Answer {
        action: format!("read the console of {id}"),
        member: "output in base64",
    })?;
    account.ec2("TerminateInstances", &[("InstanceId.1", id)], true, &format!("terminate {id}"))?;
    wait(account, id, Some(PATIENCE), |state| (state == "terminated").then_some(true))?;
    Ok(console)
}

/// Looks at an instance until a state is good or bad.
fn wait(
    account: &Account,
    id: &str,
    patience: Option<Duration>,
    good: impl Fn(&str) -> Option<bool>,
) -> Result<Element, InstanceError> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut pause = Duration::from_secs(1);
    let action = format!("look at instance {id}");
    loop {
        let found = account.ec2("DescribeInstances", &[("InstanceId.1", id)], true, &action);
        // It may be known everywhere only after a while.
        let unknown =
            matches!(&found, Err(AwsError::Refused { code, .. }) if code == "InvalidInstanceID.NotFound");
        let answer = if unknown { Element::default() } else { found? };
        let instance = answer.at("reservationSet/item/instancesSet/item");
        let state = instance.and_then(|instance| instance.text("instanceState/name")).unwrap_or("unknown");
        match (good(state), instance) {
            (Some(true), Some(instance)) => return Ok(instance.clone()),
            (Some(false), Some(instance)) => {
                let reason = instance.text("stateReason/message").or(instance.text("reason"));
                let reason = reason.unwrap_or("EC2 does not say why").to_owned();
                return Err(InstanceError::Failed { id: id.to_owned(), state: state.to_owned(), reason });
            }
            _ if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                return Err(InstanceError::Late { id: id.to_owned(), state: state.to_owned() });
            }
            _ => {
                thread::sleep(pause);
                pause = (pause * 2).min(PAUSE);
            }
        }
    }
}

/// The id of an image of one's own, or an id itself: names of others' images are no one's in particular.
fn find(account: &Account, name: &str) -> Result<String, InstanceError> {
    let id = name.strip_prefix("ami-");
    if id.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        return Ok(name.to_owned());
    }
    let fields = [("Owner.1", "self"), ("Filter.1.Name", "name"), ("Filter.1.Value.1", name)];
    let answer = account.ec2("DescribeImages", &fields, true, &format!("find image {name}"))?;
    let found = answer.text("imagesSet/item/imageId").map(str::to_owned);
    found.ok_or_else(|| InstanceError::Unknown(name.to_owned(), account.region().to_owned()))
}

/// What EC2 is asked for.
fn request(options: &Options, image: &str, region: &str) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("ImageId", image.to_owned()),
        ("InstanceType", options.machine.clone()),
        ("MinCount", "1".into()),
        ("MaxCount", "1".into()),
        ("Placement.AvailabilityZone", format!("{region}{}", options.zone)),
    ];
    fields.extend(options.security_group.clone().map(|group| ("SecurityGroupId.1", group)));
    fields.extend(options.user_data.as_ref().map(|data| ("UserData", STANDARD.encode(data))));
    if options.disk_size > 0 {
        fields.extend([
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda2".into()),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", options.disk_size.to_string()),
            ("BlockDeviceMapping.1.Ebs.VolumeType", options.disk_type.clone()),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true".into()),
        ]);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options {
            image: "web".into(),
            machine: "t2.micro".into(),
            zone: "a".into(),
            disk_size: 0,
            disk_type: "gp2".into(),
            security_group: None,
            user_data: None,
        }
    }

    #[test]
    fn a_request_has_what_was_asked_for_and_no_more() {
        let usual = [
            ("ImageId", "ami-1"),
            ("InstanceType", "t2.micro"),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("Placement.AvailabilityZone", "eu-west-1a"),
        ];
        let more = [
            ("SecurityGroupId.1", "sg-1"),
            ("UserData", "AP9h"),
            ("BlockDeviceMapping.1.DeviceName", "/dev/sda2"),
            ("BlockDeviceMapping.1.Ebs.VolumeSize", "8"),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp2"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ];
        let all = Options {
            security_group: Some("sg-1".into()),
            user_data: Some(b"\x00\xffa".to_vec()),
            disk_size: 8,
            ..options()
        };
        let said = |options: &Options| request(options, "ami-1", "eu-west-1");
        let owned = |fields: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
            fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
        };
        assert_eq!(said(&options()), owned(&usual));
        assert_eq!(said(&all), owned(&[&usual[..], &more[..]].concat()));
    }

    #[test]
    fn too_much_user_data_is_said_before_anybody_is_asked() {
        for (len, fits) in [(16384, true), (16385, false)] {
            let options = Options { user_data: Some(vec![b'x'; len]), ..options() };
            let refuse = || Err(AwsError::NoRegion("nothing was asked".into()));
            let error = start(&options, refuse, &|_| {}).unwrap_err();
            assert_eq!(matches!(error, InstanceError::Aws(_)), fits, "{len}: {error}");
        }
    }
}
