//! The service: its protocol, hostile requests, the real unstorage as its client.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod client;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod serving;
