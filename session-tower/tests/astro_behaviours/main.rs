//! The 38 behaviours of Astro's sessions, one by one: `docs/astro-behaviours.md` says of each whether ours is
//! the same, and names the tests here that show it, which begin with its number.

#[cfg(test)]
mod cookie;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod persisting;
#[cfg(test)]
mod records;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod support;
#[cfg(test)]
mod values;
