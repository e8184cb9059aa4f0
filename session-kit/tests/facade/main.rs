//! What the façade adds: sessions by the name of a driver, the README's code, servers that share their sessions.

#[cfg(test)]
mod open;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod readme_key_value;
#[cfg(test)]
mod readme_storage;
#[cfg(test)]
mod support;
