//! `--device`: what is plugged into a machine's USB.

use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use super::super::disk::Format;

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A memory stick: `usb-storage,file=FILE[,format=raw|qcow2]`.
    Stick {
        /// Its content.
        file: PathBuf,
        /// How that is stored; without it the file tells.
        format: Option<Format>,
        /// Further properties of QEMU's device, as they are: `,removable=on`.
        properties: String,
    },
    /// As QEMU's `-device` has it: `usb-host,vendorid=0x1d6b,productid=0x0002`.
    Other(String),
}

/// Why a `--device` is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeviceError {
    /// Nothing is said.
    #[error("a device is named as for QEMU's -device, such as usb-host,vendorid=0x1d6b,productid=0x0002")]
    Empty,
    /// A stick without content.
    #[error("a memory stick needs its content: usb-storage,file=FILE[,format=raw|qcow2]")]
    NoFile,
    /// A format that sticks don't have.
    #[error("unknown format {0:?}: raw and qcow2 are possible")]
    Format(String),
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let mut parts = text.split(',');
        let stick = match parts.next() {
            None | Some("") => return Err(DeviceError::Empty),
            Some(name) => name == "usb-storage" && !text.contains(",drive="),
        };
        if !stick {
            return Ok(Self::Other(text.to_owned()));
        }
        let (mut file, mut format, mut properties) = (None, None, String::new());
        for part in parts {
            match part.split_once('=') {
                Some(("file", path)) if !path.is_empty() => file = Some(PathBuf::from(path)),
                Some(("format", "raw")) => format = Some(Format::Raw),
                Some(("format", "qcow2")) => format = Some(Format::Qcow2),
                Some(("format", other)) => return Err(DeviceError::Format(other.to_owned())),
                _ => properties += &format!(",{part}"),
            }
        }
        let file = file.ok_or(DeviceError::NoFile)?;
        Ok(Self::Stick { file, format, properties })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stick_has_its_content_and_all_else_is_qemus() {
        let stick = |file: &str, format, properties: &str| {
            Ok(Device::Stick { file: file.into(), format, properties: properties.into() })
        };
        let other = |text: &str| Ok(Device::Other(text.into()));
        for (text, device) in [
            ("usb-storage,file=s.img", stick("s.img", None, "")),
            (
                "usb-storage,removable=on,file=s,format=raw,serial=1",
                stick("s", Some(Format::Raw), ",removable=on,serial=1"),
            ),
            ("usb-storage,drive=d0", other("usb-storage,drive=d0")),
            ("usb-kbd", other("usb-kbd")),
            ("usb-host,hostbus=1,hostaddr=2", other("usb-host,hostbus=1,hostaddr=2")),
            ("", Err(DeviceError::Empty)),
            (",x", Err(DeviceError::Empty)),
            ("usb-storage", Err(DeviceError::NoFile)),
            ("usb-storage,file=", Err(DeviceError::NoFile)),
            ("usb-storage,file=a,format=vmdk", Err(DeviceError::Format("vmdk".into()))),
        ] {
            assert_eq!(text.parse(), device, "{text}");
        }
    }
}
