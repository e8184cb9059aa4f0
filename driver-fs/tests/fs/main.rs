//! The driver of a folder: its files, changes of others, foreign writers, other processes.

#![cfg(unix)]

#[cfg(test)]
mod changes;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod layout;
#[cfg(test)]
mod mounts;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod subject;
#[cfg(test)]
mod support;
