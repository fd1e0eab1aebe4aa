//! Turns what the cloud says into files under /var/config.

fn main() {}
