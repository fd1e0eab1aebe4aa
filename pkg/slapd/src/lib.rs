//! Prepares a database and starts OpenLDAP.
