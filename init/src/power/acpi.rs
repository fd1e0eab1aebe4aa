//! The power button: the generic netlink family `acpi_event` (kernel drivers/acpi/event.c).
//!
//! It needs no daemon and no input device; the kernel's `button` module must be there.

use nix::errno::Errno;

use crate::sys::netlink::{Group, Protocol, Socket, attributes, family_request, messages, multicast_group};

/// The family and its only group.
const FAMILY: &str = "acpi_event";
const GROUP: &str = "acpi_mc_group";
/// `ACPI_GENL_CMD_EVENT` and `ACPI_GENL_ATTR_EVENT`.
const CMD_EVENT: u8 = 1;
const ATTR_EVENT: u16 = 1;
/// Bytes of `struct genlmsghdr`.
const HEADER: usize = 4;
/// Bytes of `device_class` in `struct acpi_genl_event`.
const CLASS: usize = 20;
const POWER_BUTTON: &str = "button/power";

/// A socket that hears of ACPI events.
#[derive(Debug)]
pub struct Events {
    socket: Socket,
    group: Group,
}

impl Events {
    /// Subscribes to the kernel's ACPI events.
    ///
    /// # Errors
    /// `ENOENT` on a machine without ACPI.
    pub fn open() -> Result<Self, Errno> {
        let socket = Socket::open(Protocol::Generic)?;
        let mut group = None;
        socket
            .ask(&family_request(1, FAMILY), |payload| group = group.or(multicast_group(payload, GROUP)))?;
        let group = group.ok_or(Errno::ENOENT)?;
        socket.join(group.id)?;
        Ok(Self { socket, group })
    }

    /// The socket, for poll(2).
    #[must_use]
    pub const fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Reads all events that are there; whether the power button was pressed.
    #[must_use]
    pub fn power_button_pressed(&self) -> bool {
        let mut pressed = false;
        // An error means lost events; the next press is heard again.
        let mut buffer = Vec::new();
        while let Ok(Some(datagram)) = self.socket.receive(&mut buffer) {
            pressed |= is_power_button(datagram, self.group.family);
        }
        pressed
    }
}

/// Whether a datagram has an event of the power button.
#[must_use]
pub fn is_power_button(datagram: &[u8], family: u16) -> bool {
    messages(datagram).filter(|message| message.kind == family).any(|message| {
        let is_event = message.payload.first() == Some(&CMD_EVENT);
        let mut values = attributes(message.payload.get(HEADER..).unwrap_or_default());
        is_event
            && values.any(|value| value.kind == ATTR_EVENT && device_class(value.value) == Some(POWER_BUTTON))
    })
}

/// The first field of `struct acpi_genl_event`: a string padded with NUL.
fn device_class(event: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(event.get(..CLASS)?).ok()?;
    text.split('\0').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An event as Linux 6.12 sends it.
    fn event(family: u16, class: &str) -> Vec<u8> {
        let mut event = vec![0; 44];
        event[..class.len()].copy_from_slice(class.as_bytes());
        event[20..32].copy_from_slice(b"LNXPWRBN:00\0");
        event[36] = 0x80;
        event[40] = 1;
        let mut bytes = 68u32.to_ne_bytes().to_vec();
        bytes.extend(family.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([CMD_EVENT, 1, 0, 0]);
        bytes.extend(48u16.to_ne_bytes());
        bytes.extend(ATTR_EVENT.to_ne_bytes());
        bytes.extend(event);
        bytes
    }

    #[test]
    fn the_power_button_is_told_apart_from_other_events_and_families() {
        let cases = [
            (24, "button/power", true),
            (24, "button/sleep", false),
            (24, "ac_adapter", false),
            (25, "button/power", false),
        ];
        for (family, class, expected) in cases {
            assert_eq!(is_power_button(&event(family, class), 24), expected, "{family} {class}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_or_damaged_event_is_no_panic(length in 0usize..70, at in 0usize..68, value: u8) {
            let mut bytes = event(24, "button/power");
            bytes[at] = value;
            std::hint::black_box(is_power_button(&bytes[..length.min(bytes.len())], 24));
        }
    }
}
