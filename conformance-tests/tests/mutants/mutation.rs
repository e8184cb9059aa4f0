//! What a mutant does wrong, and when.

use session_core::{Entry, Expiry, Key, Timestamp, Version, WriteCondition};

/// A method of a driver that may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Read,
    Exists,
    Metadata,
    ReadMany,
    Write,
    WriteMany,
    Remove,
    RemoveMany,
    Touch,
    List,
    Clear,
}

/// What is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    // Answers.
    Miss,
    Found,
    CutValue,
    ExtendValue,
    FlipByte,
    NoVersion,
    OtherVersion,
    NoExpiry,
    LaterExpiry,
    EarlierExpiry,
    WrongSize,
    Opposite,
    SaysWritten,
    SaysConflict,
    ConflictSaysAbsent,
    ConflictShowsOther,
    Error,
    // Answers of batches and listings.
    DropFirst,
    DropLast,
    SwapAnswers,
    Twice,
    StopEarly,
    AlsoNeighbour,
    // Arguments.
    LowercaseKey,
    TrimKey,
    CutKey,
    DecodeKey,
    FoldAccents,
    IgnoreCondition,
    IfAbsentOnly,
    ExpiryNever,
    ExpiryDefault,
    ExpiryInSeconds,
    ExpiryInWholeSecondsUp,
    PastIsNever,
    FarIsNever,
    CapExpiry,
    TrimValue,
    TextValue,
    NormalizeValue,
    CutLongValue,
    OnlyFirst,
    OnlyLast,
    Reversed,
    // Effects.
    DoNothing,
    RemoveBefore,
    AlsoRemoveNeighbour,
    KeepOldExpiry,
    TouchRewrites,
}

/// When it is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Never,
    Always,
    EveryThird,
    OnlyConditional,
    OnlyUnconditional,
    OnlyLongValues,
    OnlyEmptyValues,
    OnlyAfterOther,
    OnlyKeysBeyondAscii,
    OnlyKeysWithPunctuation,
}

/// One change in one method at some times.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) method: Method,
    pub(crate) change: Change,
    pub(crate) trigger: Trigger,
}

use Change::*;
use Method::*;
use Trigger::*;

const KEYS: [Change; 5] = [LowercaseKey, TrimKey, CutKey, DecodeKey, FoldAccents];

fn changes(method: Method) -> Vec<Change> {
    let own: &[Change] = match method {
        Read => &[
            Miss,
            Found,
            CutValue,
            ExtendValue,
            FlipByte,
            NoVersion,
            OtherVersion,
            NoExpiry,
            LaterExpiry,
            EarlierExpiry,
            TextValue,
            TrimValue,
            Error,
        ],
        Exists => &[Opposite, Error],
        Metadata => &[
            Miss,
            Found,
            NoVersion,
            OtherVersion,
            NoExpiry,
            LaterExpiry,
            EarlierExpiry,
            WrongSize,
            Error,
        ],
        ReadMany => &[
            Miss,
            Found,
            CutValue,
            FlipByte,
            NoVersion,
            OtherVersion,
            NoExpiry,
            LaterExpiry,
            DropFirst,
            DropLast,
            SwapAnswers,
            TextValue,
            Error,
        ],
        Write => &[
            NoVersion,
            OtherVersion,
            SaysWritten,
            SaysConflict,
            ConflictSaysAbsent,
            ConflictShowsOther,
            Error,
            IgnoreCondition,
            IfAbsentOnly,
            ExpiryNever,
            ExpiryDefault,
            ExpiryInSeconds,
            ExpiryInWholeSecondsUp,
            PastIsNever,
            FarIsNever,
            CapExpiry,
            TrimValue,
            TextValue,
            NormalizeValue,
            CutLongValue,
            DoNothing,
            RemoveBefore,
            AlsoRemoveNeighbour,
            KeepOldExpiry,
            AlsoNeighbour,
        ],
        WriteMany => &[
            NoVersion,
            OtherVersion,
            SaysWritten,
            SaysConflict,
            ConflictSaysAbsent,
            ConflictShowsOther,
            Error,
            IgnoreCondition,
            IfAbsentOnly,
            ExpiryNever,
            ExpiryDefault,
            ExpiryInSeconds,
            ExpiryInWholeSecondsUp,
            PastIsNever,
            FarIsNever,
            CapExpiry,
            TrimValue,
            TextValue,
            NormalizeValue,
            CutLongValue,
            DoNothing,
            DropFirst,
            DropLast,
            SwapAnswers,
            OnlyFirst,
            OnlyLast,
            Reversed,
            KeepOldExpiry,
        ],
        Remove => &[
            SaysConflict,
            SaysWritten,
            ConflictSaysAbsent,
            ConflictShowsOther,
            Error,
            IgnoreCondition,
            DoNothing,
            AlsoRemoveNeighbour,
        ],
        RemoveMany => &[DoNothing, OnlyFirst, OnlyLast, AlsoRemoveNeighbour, Error],
        Touch => &[
            Opposite,
            Error,
            IgnoreCondition,
            ExpiryNever,
            ExpiryDefault,
            ExpiryInSeconds,
            ExpiryInWholeSecondsUp,
            PastIsNever,
            FarIsNever,
            CapExpiry,
            DoNothing,
            RemoveBefore,
            TouchRewrites,
        ],
        List => &[DropFirst, DropLast, Twice, StopEarly, Found, Error],
        Clear => &[DoNothing, OnlyFirst, AlsoRemoveNeighbour, Error],
    };
    let with_keys = !matches!(method, List | Clear);
    own.iter()
        .chain(KEYS.iter().filter(|_| with_keys))
        .copied()
        .collect()
}

impl Mutation {
    /// The mutation with this number.
    pub(crate) fn of(seed: u64) -> Self {
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
        let mut below = |limit: usize| {
            mixed ^= mixed >> 30;
            mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^= mixed >> 27;
            mixed = mixed.wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            usize::try_from(mixed % limit as u64).unwrap()
        };
        let methods = [
            Read, Exists, Metadata, ReadMany, Write, Write, WriteMany, WriteMany, Remove,
            RemoveMany, Touch, List, Clear,
        ];
        let method = methods[below(methods.len())];
        let changes = changes(method);
        let change = changes[below(changes.len())];
        let triggers: &[Trigger] = match method {
            Write | WriteMany => &[
                Always,
                EveryThird,
                OnlyConditional,
                OnlyUnconditional,
                OnlyLongValues,
                OnlyEmptyValues,
                OnlyKeysBeyondAscii,
                OnlyKeysWithPunctuation,
            ],
            Remove | Touch => &[
                Always,
                EveryThird,
                OnlyConditional,
                OnlyUnconditional,
                OnlyAfterOther,
                OnlyKeysBeyondAscii,
                OnlyKeysWithPunctuation,
            ],
            Read | Exists | Metadata => &[
                Always,
                EveryThird,
                OnlyAfterOther,
                OnlyKeysBeyondAscii,
                OnlyKeysWithPunctuation,
            ],
            ReadMany | RemoveMany => &[Always, EveryThird, OnlyAfterOther],
            List | Clear => &[Always, EveryThird],
        };
        let trigger = triggers[below(triggers.len())];
        Self {
            method,
            change,
            trigger,
        }
    }

    /// Why nobody could tell this mutant from a right driver.
    pub(crate) fn is_unobservable(&self) -> Option<&'static str> {
        let Self {
            method,
            change,
            trigger,
        } = self;
        let conditional = matches!(
            change,
            SaysConflict | ConflictSaysAbsent | ConflictShowsOther | IgnoreCondition | IfAbsentOnly
        );
        match (method, change, trigger) {
            (_, _, OnlyUnconditional) if conditional && *change != SaysConflict => {
                Some("an unconditional change has no conflict")
            }
            (_, SaysWritten, OnlyUnconditional) => Some("an unconditional change succeeds anyway"),
            (_, LowercaseKey | TrimKey | CutKey | DecodeKey, OnlyKeysBeyondAscii)
            | (_, FoldAccents, OnlyKeysWithPunctuation) => {
                Some("it changes hardly any key of this kind")
            }
            (_, TrimValue | TextValue | NormalizeValue, OnlyLongValues | OnlyEmptyValues)
            | (_, CutLongValue, OnlyEmptyValues) => Some("it changes no value of this kind"),
            (_, _, OnlyAfterOther) if KEYS.contains(change) => Some("the trigger is about answers"),
            _ => None,
        }
    }

    pub(crate) fn map_key(&self, key: &Key) -> Key {
        let text = key.as_str();
        let mapped = match self.change {
            LowercaseKey => text.to_lowercase(),
            TrimKey => text.trim_end().to_owned(),
            CutKey => text.chars().take(250).collect(),
            DecodeKey => text
                .replace("%20", " ")
                .replace("%41", "A")
                .replace('+', " "),
            FoldAccents => text.replace('é', "e").replace('É', "E").replace('å', "a"),
            _ => return key.clone(),
        };
        Key::new(&mapped).unwrap_or_else(|_| key.clone())
    }

    pub(crate) fn map_value(&self, value: &bytes::Bytes) -> bytes::Bytes {
        match self.change {
            TrimValue => bytes::Bytes::copy_from_slice(value.trim_ascii()),
            TextValue => String::from_utf8_lossy(value).into_owned().into(),
            NormalizeValue => match std::str::from_utf8(value) {
                Ok(text) => text.replace("\r\n", "\n").into(),
                Err(_) => value.clone(),
            },
            CutLongValue => value.slice(..value.len().min(65_535)),
            CutValue => value.slice(..value.len().saturating_sub(1)),
            ExtendValue => [value, &b"\0"[..]].concat().into(),
            FlipByte => {
                let mut bytes = value.to_vec();
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
                bytes.into()
            }
            _ => value.clone(),
        }
    }

    pub(crate) fn map_expiry(&self, expiry: Expiry) -> Expiry {
        let now = Timestamp::now();
        match (self.change, expiry) {
            (ExpiryNever, Expiry::At(_)) => Expiry::Never,
            (ExpiryDefault, Expiry::Never) => Expiry::Default,
            (ExpiryInSeconds, Expiry::At(time)) => {
                Expiry::At(Timestamp::from_millis(time.as_millis() / 1_000 * 1_000))
            }
            (ExpiryInWholeSecondsUp, Expiry::At(time)) => {
                let seconds = time.as_millis().div_ceil(1_000);
                Expiry::At(Timestamp::from_millis(seconds.saturating_mul(1_000)))
            }
            (PastIsNever, Expiry::At(time)) if time <= now => Expiry::Never,
            (FarIsNever, Expiry::At(time)) if time.as_millis() > 4_294_967_295_000 => Expiry::Never,
            (CapExpiry, Expiry::At(time)) => {
                let month = std::time::Duration::from_secs(30 * 86_400);
                Expiry::At(time.min(now.saturating_add(month)))
            }
            (_, expiry) => expiry,
        }
    }

    pub(crate) fn map_condition(&self, condition: WriteCondition) -> WriteCondition {
        match (self.change, condition) {
            (IgnoreCondition, _) => WriteCondition::Always,
            (IfAbsentOnly, WriteCondition::IfVersion(_)) => WriteCondition::Always,
            (_, condition) => condition,
        }
    }

    pub(crate) fn map_entry(&self, entry: Option<Entry>) -> Option<Entry> {
        let mut entry = match (self.change, entry) {
            (Miss, _) => return None,
            (Found, None) => return Some(Entry::new("found")),
            (_, entry) => entry?,
        };
        entry.value = self.map_value(&entry.value);
        match self.change {
            NoVersion => entry.version = None,
            OtherVersion => entry.version = Some(Version::from_u64(77)),
            _ => {}
        }
        entry.expires_at = self.map_reported(entry.expires_at);
        Some(entry)
    }

    pub(crate) fn map_reported(&self, reported: Option<Timestamp>) -> Option<Timestamp> {
        match self.change {
            NoExpiry => None,
            LaterExpiry => Some(reported?.saturating_add(std::time::Duration::from_secs(1))),
            EarlierExpiry => {
                let time = reported?.as_millis().saturating_sub(1_000);
                Some(Timestamp::from_millis(time))
            }
            _ => reported,
        }
    }
}
