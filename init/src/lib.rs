//! PID 1, supervisor, OCI runtime and service command of an appliance, in one static binary.
