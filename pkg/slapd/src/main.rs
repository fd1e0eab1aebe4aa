//! `slapd-start`: prepares a database and becomes OpenLDAP.

use std::process::ExitCode;

fn main() -> ExitCode {
    match lk_slapd::run(&lk_slapd::paths::Paths::default()) {
        Ok(never) => match never {},
        Err(e) => {
            eprintln!("slapd-start: {e}");
            ExitCode::FAILURE
        }
    }
}
