//! Serializes a field of a time type as a Date: `#[serde(with = "serde_devalue::as_date")]`.
//!
//! ```
//! use std::time::{Duration, SystemTime, UNIX_EPOCH};
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Login {
//!     #[serde(with = "serde_devalue::as_date")]
//!     at: SystemTime,
//! }
//!
//! let login = Login { at: UNIX_EPOCH + Duration::from_millis(5) };
//! let text = serde_devalue::to_string(&login)?;
//! assert_eq!(text, r#"[{"at":1},["Date","1970-01-01T00:00:00.005Z"]]"#);
//! assert_eq!(serde_devalue::from_str::<Login>(&text)?.at, login.at);
//! # Ok::<_, serde_devalue::Error>(())
//! ```
//!
//! It supports all types that convert to and from a [`Date`]: `SystemTime`, `time::OffsetDateTime` and
//! `time::UtcDateTime` with the feature `time`, and `jiff::Timestamp` with the feature `jiff`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::date::Date;
use crate::error::Error;

/// Serializes a time as a [`Date`].
pub fn serialize<T, S>(time: &T, serializer: S) -> Result<S::Ok, S::Error>
where
    T: Copy + TryInto<Date, Error = Error>,
    S: Serializer,
{
    (*time)
        .try_into()
        .map_err(ser::Error::custom)?
        .serialize(serializer)
}

/// Deserializes a time from a [`Date`].
pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: TryFrom<Date, Error = Error>,
    D: Deserializer<'de>,
{
    T::try_from(Date::deserialize(deserializer)?).map_err(de::Error::custom)
}
