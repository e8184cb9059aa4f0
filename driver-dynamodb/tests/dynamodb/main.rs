//! The DynamoDB driver: its own behaviour, what it costs, errors, faults.

#[cfg(all(test, feature = "config"))]
mod by_name;
#[cfg(test)]
mod deadlines;
#[cfg(test)]
mod entries;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tables;
