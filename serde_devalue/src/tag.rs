//! The tags of the format.

/// The element type of a typed array, or `DataView`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ViewKind {
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Float16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
    DataView,
}

impl ViewKind {
    /// Returns the name of the JavaScript class.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int8Array => "Int8Array",
            Self::Uint8Array => "Uint8Array",
            Self::Uint8ClampedArray => "Uint8ClampedArray",
            Self::Int16Array => "Int16Array",
            Self::Uint16Array => "Uint16Array",
            Self::Float16Array => "Float16Array",
            Self::Int32Array => "Int32Array",
            Self::Uint32Array => "Uint32Array",
            Self::Float32Array => "Float32Array",
            Self::Float64Array => "Float64Array",
            Self::BigInt64Array => "BigInt64Array",
            Self::BigUint64Array => "BigUint64Array",
            Self::DataView => "DataView",
        }
    }

    /// Returns the size of an element in bytes. It is 1 for a `DataView`.
    pub fn element_size(self) -> usize {
        match self {
            Self::Int8Array | Self::Uint8Array | Self::Uint8ClampedArray | Self::DataView => 1,
            Self::Int16Array | Self::Uint16Array | Self::Float16Array => 2,
            Self::Int32Array | Self::Uint32Array | Self::Float32Array => 4,
            Self::Float64Array | Self::BigInt64Array | Self::BigUint64Array => 8,
        }
    }
}

/// The class of a `Temporal` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum TemporalKind {
    Duration,
    Instant,
    PlainDate,
    PlainTime,
    PlainDateTime,
    PlainMonthDay,
    PlainYearMonth,
    ZonedDateTime,
}

impl TemporalKind {
    /// Returns the name of the JavaScript class, such as `Temporal.Instant`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duration => "Temporal.Duration",
            Self::Instant => "Temporal.Instant",
            Self::PlainDate => "Temporal.PlainDate",
            Self::PlainTime => "Temporal.PlainTime",
            Self::PlainDateTime => "Temporal.PlainDateTime",
            Self::PlainMonthDay => "Temporal.PlainMonthDay",
            Self::PlainYearMonth => "Temporal.PlainYearMonth",
            Self::ZonedDateTime => "Temporal.ZonedDateTime",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Date,
    Map,
    Set,
    RegExp,
    Boxed,
    BigInt,
    NullObject,
    ArrayBuffer,
    View(ViewKind),
    Url,
    UrlSearchParams,
    Temporal(TemporalKind),
    Custom,
}

impl Tag {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "Map" => Self::Map,
            "Set" => Self::Set,
            "Date" => Self::Date,
            "URL" => Self::Url,
            "BigInt" => Self::BigInt,
            "null" => Self::NullObject,
            "Object" => Self::Boxed,
            "RegExp" => Self::RegExp,
            "ArrayBuffer" => Self::ArrayBuffer,
            "URLSearchParams" => Self::UrlSearchParams,
            "Int8Array" => Self::View(ViewKind::Int8Array),
            "Uint8Array" => Self::View(ViewKind::Uint8Array),
            "Uint8ClampedArray" => Self::View(ViewKind::Uint8ClampedArray),
            "Int16Array" => Self::View(ViewKind::Int16Array),
            "Uint16Array" => Self::View(ViewKind::Uint16Array),
            "Float16Array" => Self::View(ViewKind::Float16Array),
            "Int32Array" => Self::View(ViewKind::Int32Array),
            "Uint32Array" => Self::View(ViewKind::Uint32Array),
            "Float32Array" => Self::View(ViewKind::Float32Array),
            "Float64Array" => Self::View(ViewKind::Float64Array),
            "BigInt64Array" => Self::View(ViewKind::BigInt64Array),
            "BigUint64Array" => Self::View(ViewKind::BigUint64Array),
            "DataView" => Self::View(ViewKind::DataView),
            "Temporal.Duration" => Self::Temporal(TemporalKind::Duration),
            "Temporal.Instant" => Self::Temporal(TemporalKind::Instant),
            "Temporal.PlainDate" => Self::Temporal(TemporalKind::PlainDate),
            "Temporal.PlainTime" => Self::Temporal(TemporalKind::PlainTime),
            "Temporal.PlainDateTime" => Self::Temporal(TemporalKind::PlainDateTime),
            "Temporal.PlainMonthDay" => Self::Temporal(TemporalKind::PlainMonthDay),
            "Temporal.PlainYearMonth" => Self::Temporal(TemporalKind::PlainYearMonth),
            "Temporal.ZonedDateTime" => Self::Temporal(TemporalKind::ZonedDateTime),
            _ => Self::Custom,
        }
    }
}
