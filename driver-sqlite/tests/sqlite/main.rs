//! The SQLite driver: its own behaviour, faults, foreign writers, JavaScript, other processes.

#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod driver;
#[cfg(test)]
mod faults;
#[cfg(all(test, unix))]
mod files;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod support;
