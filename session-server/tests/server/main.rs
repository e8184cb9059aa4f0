//! The service: its protocol, hostile requests, and the real unstorage as a client.

#[cfg(test)]
mod authorization;
#[cfg(test)]
mod client;
#[cfg(test)]
mod every_driver;
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
