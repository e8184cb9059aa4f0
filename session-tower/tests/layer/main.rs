//! What the layer promises: for each kind of request and response, with other layers, in failures, and in the log.

#[cfg(test)]
mod contract;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod guarantees;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod other_layers;
#[cfg(test)]
mod support;
