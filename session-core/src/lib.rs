//! session storage with pluggable drivers: the driver contract, configuration and sessions
