//! Kernel uevents, as they arrive on a `NETLINK_KOBJECT_UEVENT` socket.
//!
//! Format (kernel lib/kobject_uevent.c): `ACTION@DEVPATH`, then `KEY=VALUE` strings, each ended by NUL.

/// What happened to which device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uevent {
    /// `add`, `remove`, `change`, `bind`, …
    pub action: String,
    /// The device below `/sys`.
    pub device: String,
    /// What a module must claim to drive it, where the device's bus has such names.
    pub modalias: Option<String>,
    /// Whether it is a disk or a partition.
    pub block: bool,
}

impl Uevent {
    /// Reads one datagram; `None` for what is not a kernel uevent (udev's own messages start with `libudev`).
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(datagram).ok()?;
        let (mut action, mut device, mut modalias, mut block) = (None, None, None, false);
        let mut strings = text.split('\0');
        strings.next().filter(|head| head.contains('@'))?;
        for (key, value) in strings.filter_map(|string| string.split_once('=')) {
            match key {
                "ACTION" => action = Some(value),
                "DEVPATH" => device = Some(value),
                "MODALIAS" => modalias = Some(value),
                "SUBSYSTEM" => block = value == "block",
                _ => {}
            }
        }
        Some(Self {
            action: action?.to_owned(),
            device: device?.to_owned(),
            modalias: modalias.map(str::to_owned),
            block,
        })
    }

    /// The alias of a device that has just appeared.
    #[must_use]
    pub fn into_new_modalias(self) -> Option<String> {
        self.modalias.filter(|alias| self.action == "add" && !alias.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADD: &[u8] =
        b"add@/devices/pci0/virtio0\0ACTION=add\0DEVPATH=/devices/pci0/virtio0\0SUBSYSTEM=virtio\0\
        MODALIAS=virtio:d00000002v00001AF4\0SEQNUM=1207\0";

    #[test]
    fn an_added_device_names_its_modalias() {
        let event = Uevent::parse(ADD).unwrap();
        assert_eq!((event.action.as_str(), event.device.as_str()), ("add", "/devices/pci0/virtio0"));
        assert_eq!(event.into_new_modalias().as_deref(), Some("virtio:d00000002v00001AF4"));
    }

    #[test]
    fn a_removed_device_asks_for_no_module() {
        let event = Uevent::parse(b"remove@/x\0ACTION=remove\0DEVPATH=/x\0MODALIAS=usb:v1\0").unwrap();
        assert_eq!(event.into_new_modalias(), None);
    }

    #[test]
    fn disks_are_told_from_other_devices() {
        let block = b"change@/x\0ACTION=change\0DEVPATH=/x\0SUBSYSTEM=block\0";
        assert!(Uevent::parse(block).unwrap().block && !Uevent::parse(ADD).unwrap().block);
    }

    #[test]
    fn what_is_no_uevent_is_refused() {
        for datagram in [
            &b"libudev\0\xfe\xed\xca\xfe"[..],
            b"",
            b"add@/x\0DEVPATH=/x\0",
            b"hello\0ACTION=add\0DEVPATH=/x",
        ] {
            assert_eq!(Uevent::parse(datagram), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes: Vec<u8>) {
            std::hint::black_box(Uevent::parse(&bytes));
        }
    }
}
