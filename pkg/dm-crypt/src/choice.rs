//! What is done to a device, and to what is found in it once it is open. Pure.

use lk_format::content::Found;

/// What `blkid` calls a LUKS header.
const LUKS: &str = "crypto_LUKS";

/// What a device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// What `blkid` finds.
    pub found: Found,
    /// Whether its first and its last MiB are zero.
    pub zero: bool,
}

/// What is done to the encrypted device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// Open what is there.
    Open,
    /// Make it anew, and open it.
    Make,
    /// Leave it alone, for this reason.
    Refuse(String),
}

/// What is done to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nothing: it holds this.
    Keep(String),
    /// Make a file system.
    Make,
    /// Close it again, for this reason.
    Refuse(String),
}

/// What is done to the encrypted device.
#[must_use]
pub fn device(held: &Held, luks: bool, force: bool) -> Device {
    let is_luks = matches!(&held.found, Found::One(signature) if signature.kind.as_deref() == Some(LUKS));
    match (&held.found, luks) {
        _ if force => Device::Make,
        (Found::Nothing, _) if held.zero => Device::Make,
        (_, true) if is_luks => Device::Open,
        (Found::Nothing, false) => Device::Open,
        (_, false) if is_luks => Device::Refuse("it has a LUKS header: open it with --luks".to_owned()),
        (Found::Nothing, true) => Device::Refuse(
            "it holds data of an unknown kind and no LUKS header; -force overwrites it".to_owned(),
        ),
        (found, _) => {
            Device::Refuse(format!("it holds {found}, which is not encrypted; -force overwrites it"))
        }
    }
}

/// What is done to what is in the opened device, which has just been made, or not.
#[must_use]
pub fn content(held: &Held, made: bool) -> Content {
    match &held.found {
        _ if made => Content::Make,
        Found::Nothing if held.zero => Content::Make,
        Found::Nothing => Content::Refuse(
            "nothing known is in it: the key is another one, or it was never finished; -force makes it anew"
                .to_owned(),
        ),
        found => Content::Keep(found.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lk_format::content::Signature;

    fn held(kind: Option<&str>, zero: bool) -> Held {
        let signature =
            |kind: &str| Found::One(Signature { kind: Some(kind.into()), ..Signature::default() });
        Held { found: kind.map_or(Found::Nothing, signature), zero }
    }

    #[test]
    fn only_a_blank_device_is_made_anew_unless_that_is_asked_for() {
        for (kind, zero, luks, wanted) in [
            (None, true, false, "make"),
            (None, true, true, "make"),
            (None, false, false, "open"),
            (None, false, true, "unknown kind"),
            (Some("crypto_LUKS"), false, true, "open"),
            (Some("crypto_LUKS"), false, false, "with --luks"),
            (Some("ext4"), false, false, "it holds ext4"),
            (Some("ext4"), true, true, "it holds ext4"),
        ] {
            let decision = device(&held(kind, zero), luks, false);
            let fits = match &decision {
                Device::Open => wanted == "open",
                Device::Make => wanted == "make",
                Device::Refuse(why) => why.contains(wanted),
            };
            assert!(fits, "{kind:?} {zero} {luks}: {decision:?}");
            assert_eq!(device(&held(kind, zero), luks, true), Device::Make);
        }
        let several = Held { found: Found::Several, zero: false };
        assert!(matches!(device(&several, false, false), Device::Refuse(_)));
    }

    #[test]
    fn what_the_key_does_not_open_is_never_formatted() {
        assert!(matches!(content(&held(None, false), false), Content::Refuse(why) if why.contains("key")));
        assert_eq!(content(&held(Some("xfs"), false), false), Content::Keep("xfs".into()));
        assert_eq!(content(&held(None, true), false), Content::Make);
        assert_eq!(content(&held(None, false), true), Content::Make);
    }
}
