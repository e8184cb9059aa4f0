//! Conversions between [`Date`] and the crate `jiff`'s `Timestamp`.

use jiff::Timestamp;

use crate::date::Date;
use crate::error::{Error, ErrorKind};

impl TryFrom<Timestamp> for Date {
    type Error = Error;

    fn try_from(time: Timestamp) -> Result<Self, Error> {
        match i64::try_from(time.as_nanosecond().div_euclid(1_000_000)).map(Self::from_millis) {
            Ok(date) if date != Self::INVALID => Ok(date),
            _ => Err(Error::unwritable("a time beyond what a Date can hold")),
        }
    }
}

impl TryFrom<Date> for Timestamp {
    type Error = Error;

    fn try_from(date: Date) -> Result<Self, Error> {
        let Some(millis) = date.as_millis() else {
            return Err(Error::new(ErrorKind::Data, None, "an invalid Date"));
        };
        Self::from_millisecond(millis).map_err(|_| {
            Error::new(
                ErrorKind::Data,
                None,
                "a Date beyond what Timestamp can hold",
            )
        })
    }
}
