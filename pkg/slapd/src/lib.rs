//! Prepares a database and becomes OpenLDAP.
//!
//! | step | module |
//! | --- | --- |
//! | read the suffix, the organisation's name and the root password from the environment or from files | [`settings`] |
//! | take the suffix apart, so that nothing in it can end up as configuration | [`dn`] |
//! | hash the password, write `slapd.conf` | [`password`], [`conf`] |
//! | make the database's directory, look at what it holds, add the base entry to an empty one | [`database`], [`ldif`] |
//! | become slapd | [`start`] |

use std::convert::Infallible;

pub mod account;
pub mod conf;
pub mod database;
pub mod dn;
pub mod ldif;
pub mod password;
pub mod paths;
pub mod settings;
pub mod start;

/// Why slapd was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for is not sensible.
    #[error(transparent)]
    Settings(#[from] settings::SettingsError),
    /// The password cannot be hashed.
    #[error(transparent)]
    Password(#[from] password::PasswordError),
    /// The user that slapd runs as is not there.
    #[error(transparent)]
    Account(#[from] account::AccountError),
    /// The configuration cannot be written.
    #[error(transparent)]
    Conf(#[from] conf::ConfError),
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] database::DatabaseError),
    /// slapd cannot be started.
    #[error(transparent)]
    Start(#[from] start::StartError),
}

/// Does all of it; returns only when something failed.
pub fn run(paths: &paths::Paths) -> Result<Infallible, Error> {
    let settings = settings::read(&|name| std::env::var_os(name))?;
    for line in settings.sources() {
        println!("slapd-start: {line}");
    }
    let account = account::Account::find(paths)?;
    let hash = password::hash(settings.root_password.value.as_bytes(), &paths.random)?;
    let conf = conf::render(paths, &settings.suffix.value, &hash);
    conf::write(paths, &account, &conf)?;
    let lock = database::prepare(paths, &account, &settings)?;
    Ok(start::become_slapd(paths, &account, lock)?)
}
