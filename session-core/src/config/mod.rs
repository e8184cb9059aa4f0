//! Drivers by name, typed options, and configuration from TOML.
