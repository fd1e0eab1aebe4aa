//! Writes kernel parameters from /etc/sysctl.d.
