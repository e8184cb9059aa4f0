//! Conversions between [`Date`] and the types of the crate `time`.

use time::{OffsetDateTime, UtcDateTime};

use crate::date::Date;
use crate::error::{Error, ErrorKind};

fn millis_of(nanoseconds: i128) -> Result<Date, Error> {
    match i64::try_from(nanoseconds.div_euclid(1_000_000)).map(Date::from_millis) {
        Ok(date) if date != Date::INVALID => Ok(date),
        _ => Err(Error::unwritable("a time beyond what a Date can hold")),
    }
}

impl TryFrom<OffsetDateTime> for Date {
    type Error = Error;

    fn try_from(time: OffsetDateTime) -> Result<Self, Error> {
        millis_of(time.unix_timestamp_nanos())
    }
}

impl TryFrom<UtcDateTime> for Date {
    type Error = Error;

    fn try_from(time: UtcDateTime) -> Result<Self, Error> {
        millis_of(time.unix_timestamp_nanos())
    }
}

impl TryFrom<Date> for UtcDateTime {
    type Error = Error;

    fn try_from(date: Date) -> Result<Self, Error> {
        let Some(millis) = date.as_millis() else {
            return Err(Error::new(ErrorKind::Data, None, "an invalid Date"));
        };
        Self::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).map_err(|_| {
            Error::new(
                ErrorKind::Data,
                None,
                "a Date beyond what UtcDateTime can hold",
            )
        })
    }
}

impl TryFrom<Date> for OffsetDateTime {
    type Error = Error;

    fn try_from(date: Date) -> Result<Self, Error> {
        UtcDateTime::try_from(date).map(Into::into)
    }
}
