//! Prepares a database and starts OpenLDAP.

fn main() {}
