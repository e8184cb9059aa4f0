//! Integers of any size.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// A JavaScript BigInt, stored as decimal digits.
///
/// ```
/// use serde_devalue::BigInt;
///
/// let int = BigInt::from(u64::MAX);
/// assert_eq!(serde_devalue::to_string(&int)?, r#"[["BigInt","18446744073709551615"]]"#);
/// assert_eq!(u64::try_from(&int)?, u64::MAX);
/// assert_eq!("-0042".parse::<BigInt>()?.as_str(), "-42");
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// It has no arithmetic: convert it to an integer type, or parse its digits with a big-integer crate. In other formats
/// it serializes as a string of digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt(Box<str>);

/// The most digits of another base. The conversion to decimal takes quadratic time.
const LONGEST_OF_OTHER_BASE: usize = 1 << 10;
/// How much a digit of another base costs, so that those conversions are charged for their time.
const COST_OF_OTHER_BASE: usize = 15;

impl BigInt {
    /// Returns the decimal digits, with a sign if it is negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses like JavaScript's `BigInt(text)`, but limits the number of digits of other bases.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(|char: char| {
            char.is_whitespace() && char != '\u{85}' || char == '\u{feff}'
        });
        let based = |prefixes: [&str; 2]| {
            prefixes
                .iter()
                .find_map(|prefix| text.strip_prefix(*prefix))
        };
        for (prefixes, bits) in [(["0x", "0X"], 4), (["0o", "0O"], 3), (["0b", "0B"], 1)] {
            if let Some(digits) = based(prefixes) {
                return decimal(digits, bits).map(Self);
            }
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit())
            || digits.is_empty() && !text.is_empty()
        {
            return None;
        }
        let digits = digits.trim_start_matches('0');
        Some(Self(match (digits, negative) {
            ("", _) => "0".into(),
            (digits, true) => format!("-{digits}").into(),
            (digits, false) => digits.into(),
        }))
    }

    /// Returns what `parse` costs.
    pub(crate) fn cost_of_parsing(text: &str) -> usize {
        // Only digits of another base contain letters.
        let is_decimal = text.bytes().all(|byte| !byte.is_ascii_alphabetic());
        text.len() * if is_decimal { 1 } else { COST_OF_OTHER_BASE }
    }

    /// Converts like JavaScript's `BigInt(number)`. Returns `None` for a fraction.
    pub(crate) fn from_number(number: f64) -> Option<Self> {
        // Rust prints all digits of an integral double, like BigInt.
        (number.is_finite() && number.fract() == 0.0)
            .then(|| Self(format!("{:.0}", number + 0.0).into()))
    }
}

/// Converts digits of a base with this many bits.
fn decimal(digits: &str, bits: u32) -> Option<Box<str>> {
    if digits.is_empty() || digits.len() > LONGEST_OF_OTHER_BASE {
        return None;
    }
    // Nine decimal digits each, least significant first.
    let mut limbs = vec![0_u32];
    // As many digits at once as fit 32 bits.
    let size = (32 / bits) as usize;
    let (first, rest) = digits.as_bytes().split_at(digits.len() % size);
    for chunk in std::iter::once(first).chain(rest.chunks(size)) {
        let mut carry = 0;
        for digit in chunk {
            let digit = char::from(*digit).to_digit(1 << bits)?;
            carry = carry << bits | u64::from(digit);
        }
        crate::work::count(limbs.len());
        let factor = bits * u32::try_from(chunk.len()).ok()?;
        for limb in &mut limbs {
            let sum = (u64::from(*limb) << factor) + carry;
            // The remainder is smaller than the divisor, so it fits.
            *limb = u32::try_from(sum % 1_000_000_000).ok()?;
            carry = sum / 1_000_000_000;
        }
        while carry > 0 {
            limbs.push(u32::try_from(carry % 1_000_000_000).ok()?);
            carry /= 1_000_000_000;
        }
    }
    let mut text = String::with_capacity(limbs.len() * 9);
    for limb in limbs.iter().rev() {
        if text.is_empty() {
            text.push_str(&limb.to_string());
        } else {
            text.push_str(&format!("{limb:09}"));
        }
    }
    Some(text.into())
}

impl std::str::FromStr for BigInt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text).ok_or_else(|| Error::new(ErrorKind::Data, None, "not an integer"))
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}n", self.0)
    }
}

macro_rules! integers {
    ($($int:ty)*) => {$(
        impl From<$int> for BigInt {
            fn from(int: $int) -> Self {
                Self(itoa::Buffer::new().format(int).into())
            }
        }

        impl TryFrom<&BigInt> for $int {
            type Error = Error;

            fn try_from(int: &BigInt) -> Result<Self, Error> {
                int.0.parse().map_err(|_| Error::new(ErrorKind::Data, None, "an integer too large for the type"))
            }
        }
    )*};
}

integers!(i32 u32 i64 u64 i128 u128);
