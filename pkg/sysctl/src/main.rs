//! Writes kernel parameters from /etc/sysctl.d.

fn main() {}
