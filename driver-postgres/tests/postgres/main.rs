//! The PostgreSQL driver: its own behaviour, faults and foreign writers.

#[cfg(test)]
mod driver;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod invalidation;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod support;
