//! JavaScript Dates.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind};

/// A JavaScript Date: milliseconds since the Unix epoch, or invalid.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use serde_devalue::Date;
///
/// let date = Date::try_from(UNIX_EPOCH + Duration::from_millis(1_772_600_767_089))?;
/// assert_eq!(serde_devalue::to_string(&date)?, r#"[["Date","2026-03-04T05:06:07.089Z"]]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Fractions of a millisecond are truncated. In other formats it serializes as an ISO string, which is empty for an
/// invalid Date.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(Option<i64>);

/// The range of a Date: a hundred million days before and after the epoch.
const MOST: i64 = 8_640_000_000_000_000;
const DAY: i64 = 86_400_000;

impl Date {
    /// The invalid Date, like `new Date(NaN)`.
    pub const INVALID: Self = Self(None);

    /// Creates a Date from milliseconds since the Unix epoch. It is invalid outside JavaScript's range.
    pub fn from_millis(millis: i64) -> Self {
        Self((-MOST..=MOST).contains(&millis).then_some(millis))
    }

    /// Returns the milliseconds since the Unix epoch, or `None` if the Date is invalid.
    pub fn as_millis(self) -> Option<i64> {
        self.0
    }

    /// Parses ECMAScript's date time string format like `new Date(text)`. Other formats give an invalid Date. A time
    /// without an offset is UTC here, while JavaScript uses local time.
    pub fn parse(text: &str) -> Self {
        Self(parse(text)).checked()
    }

    pub(crate) fn from_number(number: f64) -> Self {
        if number.is_nan() || number.abs() > MOST as f64 {
            return Self::INVALID;
        }
        #[allow(clippy::cast_possible_truncation)]
        Self(Some(number.trunc() as i64))
    }

    fn checked(self) -> Self {
        self.0.map_or(self, Self::from_millis)
    }

    /// Writes the result of `toISOString`, or nothing if the Date is invalid, like devalue.
    pub(crate) fn write_iso(self, out: &mut String) {
        let Some(millis) = self.0 else { return };
        let (year, month, day) = civil(millis.div_euclid(DAY));
        let time = millis.rem_euclid(DAY);
        if (0..=9999).contains(&year) {
            push_digits(out, year, 4);
        } else {
            out.push(if year < 0 { '-' } else { '+' });
            push_digits(out, year.abs(), 6);
        }
        for (mark, number, width) in [
            ('-', month, 2),
            ('-', day, 2),
            ('T', time / 3_600_000, 2),
            (':', time / 60_000 % 60, 2),
            (':', time / 1_000 % 60, 2),
            ('.', time % 1_000, 3),
        ] {
            out.push(mark);
            push_digits(out, number, width);
        }
        out.push('Z');
    }
}

fn push_digits(out: &mut String, number: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_i64.pow(place) % 10;
        out.extend(char::from_digit(u32::try_from(digit).unwrap_or(0), 10));
    }
}

/// Converts days since the epoch to a date of the proleptic Gregorian calendar: Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Converts a date to days since the epoch: Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// ECMAScript's date time string format.
fn parse(text: &str) -> Option<i64> {
    let mut rest = Digits(text.as_bytes());
    let year = match rest.one_of(b"+-") {
        Some(sign) => {
            let year = rest.number(6)?;
            match sign {
                b'-' if year == 0 => return None,
                b'-' => -year,
                _ => year,
            }
        }
        None => rest.number(4)?,
    };
    let month = if rest.one_of(b"-").is_some() {
        Some(rest.number(2)?)
    } else {
        None
    };
    let day = if month.is_some() && rest.one_of(b"-").is_some() {
        rest.number(2)?
    } else {
        1
    };
    let month = month.unwrap_or(1);
    // V8 accepts the 31st of every month.
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let date = days(year, month, 1) + day - 1;
    if rest.0.is_empty() {
        return date.checked_mul(DAY);
    }
    rest.one_of(b"Tt ")?;
    let hour = rest.number(2)?;
    rest.one_of(b":")?;
    let minute = rest.number(2)?;
    let mut second = 0;
    let mut millis = 0;
    if rest.one_of(b":").is_some() {
        second = rest.number(2)?;
        if rest.one_of(b".").is_some() {
            millis = rest.fraction()?;
        }
    }
    let midnight = hour == 24 && minute == 0 && second == 0 && millis == 0;
    if hour > 23 && !midnight || minute > 59 || second > 59 {
        return None;
    }
    let offset = match rest.one_of(b"Zz+-") {
        None | Some(b'Z' | b'z') => 0,
        Some(sign) => {
            let hours = rest.number(2)?;
            rest.one_of(b":")?;
            let minutes = rest.number(2)?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
    };
    rest.0
        .is_empty()
        .then_some(date * DAY + ((hour * 60 + minute - offset) * 60 + second) * 1_000 + millis)
}

struct Digits<'t>(&'t [u8]);

impl Digits<'_> {
    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn number(&mut self, width: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(width)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    /// Parses any number of digits and uses the first three.
    fn fraction(&mut self) -> Option<i64> {
        let length = self
            .0
            .iter()
            .take_while(|digit| digit.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let padded = digits.iter().copied().chain([b'0'; 3]).take(3);
        (length > 0).then(|| padded.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }
}

impl fmt::Display for Date {
    /// Formats like `toISOString`; an invalid Date is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(24);
        self.write_iso(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(_) => write!(f, "Date({self})"),
            None => f.write_str("Date(invalid)"),
        }
    }
}

impl TryFrom<SystemTime> for Date {
    type Error = Error;

    fn try_from(time: SystemTime) -> Result<Self, Error> {
        let millis = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).ok(),
            // Round towards the past, as for later times.
            Err(before) => i64::try_from(before.duration().as_nanos().div_ceil(1_000_000))
                .ok()
                .map(|millis| -millis),
        };
        match millis.map(Self::from_millis) {
            Some(date @ Self(Some(_))) => Ok(date),
            _ => Err(Error::unwritable("a time beyond what a Date can hold")),
        }
    }
}

impl TryFrom<Date> for SystemTime {
    type Error = Error;

    fn try_from(date: Date) -> Result<Self, Error> {
        let Some(millis) = date.0 else {
            return Err(Error::new(ErrorKind::Data, None, "an invalid Date"));
        };
        let distance = Duration::from_millis(millis.unsigned_abs());
        let time = if millis < 0 {
            UNIX_EPOCH.checked_sub(distance)
        } else {
            UNIX_EPOCH.checked_add(distance)
        };
        time.ok_or_else(|| {
            Error::new(
                ErrorKind::Data,
                None,
                "a Date beyond what SystemTime can hold",
            )
        })
    }
}
