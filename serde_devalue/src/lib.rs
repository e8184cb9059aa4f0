#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// A module of the tests names the crate.
#[cfg(test)]
extern crate self as serde_devalue;

pub mod as_date;
mod bigint;
mod build;
mod cycle;
mod date;
#[cfg(feature = "jiff")]
mod date_jiff;
#[cfg(feature = "time")]
mod date_time;
mod de;
mod de_access;
mod document;
mod edit;
mod entry;
mod error;
mod escape;
mod functions;
mod key;
mod leaf;
mod limits;
mod node;
mod object;
mod options;
mod regexp;
mod scalar;
mod scan;
mod ser;
mod string;
mod tag;
mod token;
mod transcode;
mod url;
mod value;
mod walk;
#[cfg(not(fuzzing))]
mod work;
#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod work;
#[cfg(test)]
mod work_tests;
mod wrappers;
mod writer;

pub use bigint::BigInt;
pub use date::Date;
pub use document::{Document, NodeId};
pub use edit::Edit;
pub use error::{Error, ErrorKind};
pub use functions::{
    from_slice, from_str, from_str_with, from_value, to_document, to_document_with, to_string,
    to_string_with, to_value, to_writer,
};
pub use limits::{Limits, ParseOptions};
pub use node::{ElementNodes, Kind, MapEntries, Node, ObjectEntries};
pub use object::Object;
pub use options::{UrlForm, Version, WriteOptions};
pub use regexp::RegExp;
pub use string::JsString;
pub use tag::{TemporalKind, ViewKind};
pub use url::Url;
pub use value::{AnchorId, Custom, SparseArray, Value, View};
pub use wrappers::{Bytes, Map, Set};
pub use writer::Writer;
