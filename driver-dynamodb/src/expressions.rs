//! Condition expressions that treat expired items as absent.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{Timestamp, Version};

use crate::item::{Layout, current_second, expiry_second, number, versioned};

/// The condition that an item has expired: its second is past, or it is the current second and its millisecond is past.
/// See `ItemExpiry` in [`crate::item`]. A comparison with a missing attribute is false.
macro_rules! expired {
    () => {
        "(#expires < :second OR (#expires = :second AND #exact <= :now))"
    };
}

const ABSENT: &str = concat!("attribute_not_exists(#key) OR ", expired!());
const PRESENT: &str = concat!("attribute_exists(#key) AND NOT ", expired!());
const AT_VERSION: &str = concat!("#value = :old AND NOT ", expired!());

/// An expression of DynamoDB, with the names and values that it uses.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) text: &'static str,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn unexpired(layout: &Layout, text: &'static str, now: Timestamp) -> Self {
        let mut expression = Self {
            text,
            names: HashMap::new(),
            values: HashMap::new(),
        };
        expression.name("#expires", &layout.expires_at);
        expression.name("#exact", &layout.expires_at_ms);
        expression.value(":second", number(current_second(now)));
        expression.value(":now", number(now.as_millis()));
        expression
    }

    /// No entry is present at `now`.
    pub(crate) fn absent(layout: &Layout, now: Timestamp) -> Self {
        let mut expression = Self::unexpired(layout, ABSENT, now);
        expression.name("#key", &layout.key);
        expression
    }

    /// An entry is present at `now`.
    pub(crate) fn present(layout: &Layout, now: Timestamp) -> Self {
        let mut expression = Self::unexpired(layout, PRESENT, now);
        expression.name("#key", &layout.key);
        expression
    }

    /// An entry is present at `now` and has `version`.
    pub(crate) fn at_version(layout: &Layout, version: &Version, now: Timestamp) -> Self {
        let mut expression = Self::unexpired(layout, AT_VERSION, now);
        expression.name("#value", &layout.value);
        expression.value(":old", versioned(version));
        expression
    }

    /// Adds the values of an update that sets the expiry, and returns its text.
    pub(crate) fn update_expiry(&mut self, expires_at: Option<Timestamp>) -> &'static str {
        let Some(expires_at) = expires_at else {
            return "REMOVE #expires, #exact";
        };
        self.value(":new_second", number(expiry_second(expires_at)));
        self.value(":new_exact", number(expires_at.as_millis()));
        "SET #expires = :new_second, #exact = :new_exact"
    }

    fn name(&mut self, placeholder: &str, name: &str) {
        self.names.insert(placeholder.to_owned(), name.to_owned());
    }

    fn value(&mut self, placeholder: &str, value: AttributeValue) {
        self.values.insert(placeholder.to_owned(), value);
    }
}
