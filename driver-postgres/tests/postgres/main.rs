//! The PostgreSQL driver: its own behaviour, faults, foreign writers and JavaScript.

#[cfg(test)]
mod driver;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod invalidation;
#[cfg(test)]
mod javascript;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod support;
