//! `/dev/watchdog`: a timer in the hardware that resets the machine unless it is fed
//! (kernel Documentation/watchdog/watchdog-api.rst, include/uapi/linux/watchdog.h).
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc;

/// The device; opening it starts the timer.
pub const DEVICE: &str = "/dev/watchdog";
/// `WDIOF_MAGICCLOSE`: closing it stops the timer only after a `V` was written.
const MAGIC_CLOSE: u32 = 0x0100;

/// `struct watchdog_info`.
#[repr(C)]
#[derive(Debug, Default, Clone, Copy)]
struct Info {
    options: u32,
    firmware: u32,
    identity: [u8; 32],
}

// `WDIOC_GETSUPPORT`, `WDIOC_SETTIMEOUT`, `WDIOC_GETTIMEOUT`.
mod calls {
    #![allow(missing_docs)]

    use super::{Info, libc};

    nix::ioctl_read!(get_support, b'W', 0, Info);
    nix::ioctl_readwrite!(set_timeout, b'W', 6, libc::c_int);
    nix::ioctl_read!(get_timeout, b'W', 7, libc::c_int);
}

/// A running watchdog. Dropped without [`Watchdog::stop`] it goes on, and resets the machine, if the driver can tell the
/// two apart.
#[derive(Debug)]
pub struct Watchdog {
    device: File,
    info: Info,
}

impl Watchdog {
    /// Starts the watchdog.
    ///
    /// # Errors
    /// `ENOENT`, `ENODEV` or `ENXIO` where there is none, `EBUSY` where somebody else feeds it.
    pub fn open() -> Result<Self, Errno> {
        let device = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open(DEVICE)
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        let mut info = Info::default();
        // SAFETY: the kernel writes one `struct watchdog_info`, which `Info` is, and which lives until the call returns.
        // A driver that does not answer has no options.
        unsafe { calls::get_support(device.as_raw_fd(), &raw mut info) }.ok();
        Ok(Self { device, info })
    }

    /// What the driver calls it.
    #[must_use]
    pub fn identity(&self) -> String {
        let name = self.info.identity.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    /// Sets after how many seconds without food it resets the machine, and feeds it; returns what it was set to: drivers
    /// round, and some know one time only.
    ///
    /// # Errors
    /// What ioctl(2) says when the driver can neither be told nor asked.
    pub fn set_timeout(&self, seconds: u32) -> Result<u32, Errno> {
        let mut value = libc::c_int::try_from(seconds).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the kernel reads and writes one int, which lives until the call returns.
        unsafe {
            if calls::set_timeout(self.device.as_raw_fd(), &raw mut value).is_err() {
                calls::get_timeout(self.device.as_raw_fd(), &raw mut value)?;
            }
        }
        u32::try_from(value).map_err(|_| Errno::ERANGE)
    }

    /// Feeds it: any byte but `V` does.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn feed(&mut self) -> io::Result<()> {
        self.device.write_all(b"\0")
    }

    /// Stops it; whether the driver was told so, rather than the device just closed. A kernel with `nowayout` goes on.
    ///
    /// # Errors
    /// What write(2) says.
    pub fn stop(mut self) -> io::Result<bool> {
        if self.info.options & MAGIC_CLOSE == 0 {
            return Ok(false);
        }
        self.device.write_all(b"V").map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_the_kernels() {
        assert_eq!(size_of::<Info>(), 40);
        let mut identity = [0; 32];
        identity[..4].copy_from_slice(b"iTCO");
        let device = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let watchdog = Watchdog { device, info: Info { identity, ..Info::default() } };
        assert_eq!(watchdog.identity(), "iTCO");
        assert_eq!(watchdog.set_timeout(60), Err(Errno::ENOTTY));
        assert!(!watchdog.stop().unwrap(), "no magic close without the option");
    }
}
