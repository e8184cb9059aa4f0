//! Random programs: what they consist of, and how the parts print as code.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use session_core::{Expiry, Timestamp};

/// Some keys, and steps that use them.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) keys: Vec<String>,
    pub(crate) steps: Vec<Step>,
}

/// One call, and which of the drivers makes it.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) instance: usize,
    pub(crate) action: Action,
}

/// The number of a key in [`Program::keys`], modulo their number, so that a program stays valid when it shrinks.
pub(crate) type KeyNumber = usize;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Read(KeyNumber),
    Exists(KeyNumber),
    Metadata(KeyNumber),
    ReadMany(Vec<KeyNumber>),
    Write(Put),
    WriteMany(Vec<Put>),
    Remove(KeyNumber, Option<Named>),
    RemoveMany(Vec<KeyNumber>),
    Touch(KeyNumber, When, Option<Named>),
    List(Below, usize),
    Clear(Below),
    /// A write by another program.
    Foreign(KeyNumber, Content),
    /// Waits until the next entry has expired.
    Wait,
}

/// A write, alone or in a batch.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) key: KeyNumber,
    pub(crate) content: Content,
    pub(crate) when: When,
    pub(crate) only: Only,
}

/// The condition of a write.
#[derive(Clone, Debug)]
pub(crate) enum Only {
    Always,
    IfAbsent,
    IfVersion(Named),
}

/// Which version a condition names.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    /// The version that the key has now. If it has none, the last one that it had.
    Current,
    /// One of the versions that the key had before.
    Earlier(usize),
    /// The version of another key.
    Of(KeyNumber),
}

/// The prefix of a listing or a removal.
#[derive(Clone, Debug)]
pub(crate) enum Below {
    Root,
    /// The first segments of a key, at most this many.
    Start(KeyNumber, usize),
    /// A prefix that is not made from a key.
    Text(&'static str),
}

/// A value, in a form that is short to print.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Bytes(&'static [u8]),
    /// `length` times the same byte, except for the byte at `place`, if that is inside.
    Long {
        length: usize,
        place: usize,
        byte: u8,
    },
}

impl Content {
    pub(crate) fn bytes(&self) -> Bytes {
        match *self {
            Self::Bytes(bytes) => Bytes::from_static(bytes),
            Self::Long {
                length,
                place,
                byte,
            } => {
                let mut bytes = vec![b'x'; length];
                if let Some(different) = bytes.get_mut(place) {
                    *different = byte;
                }
                bytes.into()
            }
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes::from_static({})", Literal(bytes)),
            Self::Long {
                length,
                place,
                byte,
            } => write!(f, "long({length}, {place}, {byte})"),
        }
    }
}

/// Bytes as a byte string in code.
pub(crate) struct Literal<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// When an entry expires. A time that depends on the clock is a distance, so that a program can run again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Never,
    Default,
    /// This many units from now. A unit is short, but longer than a call takes.
    Soon(u8),
    In(Duration),
    Ago(Duration),
    At(u64),
}

impl When {
    pub(crate) fn expiry(self, now: Timestamp, unit: Duration) -> Expiry {
        match self {
            Self::Never => Expiry::Never,
            Self::Default => Expiry::Default,
            Self::Soon(units) => Expiry::At(now.saturating_add(unit * u32::from(units))),
            Self::In(distance) => Expiry::At(now.saturating_add(distance)),
            Self::Ago(distance) => {
                let distance = u64::try_from(distance.as_millis()).unwrap_or(u64::MAX);
                let time = now.as_millis().saturating_sub(distance);
                Expiry::At(Timestamp::from_millis(time))
            }
            Self::At(time) => Expiry::At(Timestamp::from_millis(time)),
        }
    }

    /// The expiry as code.
    pub(crate) fn code(self, unit: Duration) -> String {
        let after = |distance: Duration| {
            let millis = distance.as_millis();
            format!("Expiry::after(Duration::from_millis({millis}))")
        };
        match self {
            Self::Never => "Expiry::Never".to_owned(),
            Self::Default => "Expiry::Default".to_owned(),
            Self::Soon(units) => after(unit * u32::from(units)),
            Self::In(distance) => after(distance),
            Self::Ago(distance) => format!("ago({})", distance.as_millis()),
            Self::At(time) => format!("Expiry::At(Timestamp::from_millis({time}))"),
        }
    }
}
