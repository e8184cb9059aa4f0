//! The service: its protocol, hostile requests, the real unstorage as its client.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod client;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod protocol;
