//! A key-value storage over any drivers, on the bytes of unstorage: typed values, mounts, metadata, snapshots.
//!
//! ```
//! use std::sync::Arc;
//! use serde::{Deserialize, Serialize};
//! use session_core::{Driver, Result, storage::Storage};
//!
//! #[derive(Serialize, Deserialize)]
//! struct User {
//!     name: String,
//! }
//!
//! async fn example(driver: Arc<dyn Driver>) -> Result<()> {
//!     let storage = Storage::new(driver);
//!     storage.set("users:1", &User { name: "Ada".into() }).await?;
//!     let user: Option<User> = storage.get("users/1").await?;
//!     assert_eq!(user.unwrap().name, "Ada");
//!     Ok(())
//! }
//! ```
//!
//! It is what `createStorage` of unstorage is in JavaScript, and both may work on the same store at the same time.
//! What they do differently:
//!
//! | | unstorage | here |
//! |---|---|---|
//! | a text that looks like a number, a truth value or JSON | comes back as that | comes back as text to who asks for a `String` |
//! | a number of more than 16 digits | comes back as text | comes back as the integer that was asked for |
//! | `clear(base)` | does nothing, or clears the whole driver | clears what lies below the base, in all mounts |
//! | a write to a driver that is read-only | does nothing, without a word | is an error |
//! | removing an item | leaves its metadata, unless told otherwise | takes its metadata with it |
//! | the end of metadata | none | that of its item when it is written |
//! | results of a batch | grouped by mount | in the order of the input |
//! | watching | is not told of batches and of `clear` | is told of each key |
//! | a limited depth below a prefix or a mount | counts differently for each | counts from the storage that is asked |
//! | a snapshot | loses types, bytes, metadata and ends | loses nothing |
//! | mounting at the root | replaces the driver without a word | is an error |
//! | two mounts, or a mount and a parent, that hold the same key | the most specific one counts | the same |
//!
//! # Text
//!
//! `set` writes text, numbers, truth values and nothing as JavaScript's `String` does, without quotes, and
//! everything else as compact JSON. `get` reads by the type that is asked for; one that does not say what it wants,
//! like `serde_json::Value` or an untagged enum, gets what unstorage would give. The text `null` is `None` to it,
//! except for a `String`.
//!
//! # Keys
//!
//! Keys are normalised as a [`Key`](crate::Key) is, so `a/b` and `a:b` are the same. One that ends with `$` holds the
//! metadata of the key before it: it can be read and written like others, and is not listed.

mod copy;
mod events;
mod handle;
mod item;
mod metadata;
mod mounts;
mod place;
mod router;
mod snapshot;
mod text;
mod walk;
mod watch;

pub use copy::CopyProgress;
pub use handle::Storage;
pub use item::Item;
pub use metadata::ItemMetadata;
pub use mounts::Mount;
pub use snapshot::Snapshot;

const NAME: &str = "storage";
