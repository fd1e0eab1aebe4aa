//! Where things are.

use std::path::PathBuf;

/// Where things are in the image. Tests point it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The list of users.
    pub passwd: PathBuf,
    /// The kernel's random bytes.
    pub random: PathBuf,
    /// The server, which is also `slapadd` and `slapcat` (`-T add`, `-T cat`).
    pub slapd: PathBuf,
    /// The schemas.
    pub schemas: PathBuf,
    /// The modules; without `back_mdb` there it must be built into the server.
    pub modules: PathBuf,
    /// The configuration, the process id, the local socket.
    pub run: PathBuf,
    /// The database.
    pub data: PathBuf,
    /// Where the server listens, beside the local socket.
    pub listen: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            passwd: "/etc/passwd".into(),
            random: "/dev/urandom".into(),
            slapd: "/usr/sbin/slapd".into(),
            schemas: "/etc/ldap/schema".into(),
            modules: "/usr/lib/ldap".into(),
            run: "/run/slapd".into(),
            data: "/var/lib/openldap/openldap-data".into(),
            listen: "ldap:///".into(),
        }
    }
}

impl Paths {
    /// The configuration file.
    pub fn conf(&self) -> PathBuf {
        self.run.join("slapd.conf")
    }
}
