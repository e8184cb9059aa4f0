//! A key-value storage over any driver: typed values, metadata, mounts, snapshots.
//!
//! ```
//! use std::sync::Arc;
//! use serde::{Deserialize, Serialize};
//! use session_core::{Driver, Result};
//! use session_storage::Storage;
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
//! [`Storage`] is what `createStorage` of unstorage is in JavaScript. Both write the same bytes, so a Rust server and a
//! JavaScript server can use one store at the same time. It needs no session: a [`Driver`](session_core::Driver) is
//! enough. The `session-server` crate serves a storage over HTTP.
//!
//! # Text
//!
//! `set` writes strings, numbers, booleans and `None` as JavaScript's `String(value)` does, without quotes. It writes
//! everything else as compact JSON. `get` parses the text as the requested type. A type that accepts any input, such as
//! `serde_json::Value` or an untagged enum, gets what unstorage's `getItem` returns. The text `null` is read as `None`,
//! unless a `String` is requested.
//!
//! `set` refuses what `get` could not return: NaN and infinities inside a structure, structures deeper than 127 levels, and
//! an `Option` of the text `null` or `undefined`, which is the text of `None`. The error is of kind
//! [`Unserializable`](session_core::ErrorKind::Unserializable).
//!
//! # Keys
//!
//! Keys are normalised as a [`Key`](session_core::Key) is: `a/b` and `a:b` are the same key. A key that ends with `$`
//! holds the metadata of the key before the `$`. It can be read and written like any other key, but is not listed. Where
//! a driver cannot hold the longer key, the item has no metadata, and everything else works.
//!
//! A base, such as that of `clear` or `prefix`, must not contain `?`, or `.` or `..` as a segment.
//!
//! # Differences from unstorage
//!
//! | | unstorage | here |
//! |---|---|---|
//! | a string that looks like a number, a boolean or JSON | is returned as that type | is returned as a string if a `String` is requested |
//! | a number of more than 16 digits | is returned as a string | is returned as the requested integer type |
//! | `clear(base)` | does nothing, or clears the whole driver | removes the items below the base, in all mounts |
//! | a write to a read-only driver | is ignored | is an error |
//! | removing an item | keeps its metadata by default | removes its metadata too |
//! | expiry of metadata | none | that of the item when the metadata is written |
//! | results of a batch | grouped by mount | in the order of the input |
//! | watching | does not report batches and `clear` | reports each key |
//! | a depth limit below a prefix or a mount | is counted differently for each | is counted from the start of the storage's keys |
//! | a snapshot | loses types, bytes, metadata and expiry | loses nothing |
//! | mounting at the root | replaces the driver silently | is an error |
//! | two mounts, or a mount and its parent, that hold the same key | the most specific mount is used | the same |

mod copy;
mod events;
mod item;
mod list_position;
mod metadata;
mod mounts;
mod router;
mod scan;
mod snapshot;
mod storage;
mod text;
mod watch;

pub use copy::CopyProgress;
pub use item::StorageItem;
pub use metadata::ItemMetadata;
pub use mounts::Mount;
pub use snapshot::Snapshot;
pub use storage::Storage;

/// The name in the errors of a storage.
const NAME: &str = "storage";
