use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use session_core::{Timestamp, Version};

use crate::item::{Layout, current_second, end_second, number, versioned};

/// An item has ended: its second is past, or is the current one and its millisecond is past. See `End` in
/// [`crate::item`]. What compares a missing attribute is false.
macro_rules! ended {
    () => {
        "(#end < :second OR (#end = :second AND #exact <= :now))"
    };
}

const ABSENT: &str = concat!("attribute_not_exists(#key) OR ", ended!());
const PRESENT: &str = concat!("attribute_exists(#key) AND NOT ", ended!());
const AT_VERSION: &str = concat!("#value = :old AND NOT ", ended!());

/// An expression of DynamoDB with what its names and values stand for, all of which it uses.
#[derive(Clone, Debug)]
pub(crate) struct Expression {
    pub(crate) text: &'static str,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn of_living(layout: &Layout, text: &'static str, now: Timestamp) -> Self {
        let mut expression = Self {
            text,
            names: HashMap::new(),
            values: HashMap::new(),
        };
        expression.name("#end", &layout.expires_at);
        expression.name("#exact", &layout.expires_at_ms);
        expression.value(":second", number(current_second(now)));
        expression.value(":now", number(now.as_millis()));
        expression
    }

    /// No entry is there at `now`.
    pub(crate) fn absent(layout: &Layout, now: Timestamp) -> Self {
        let mut expression = Self::of_living(layout, ABSENT, now);
        expression.name("#key", &layout.key);
        expression
    }

    /// An entry is there at `now`.
    pub(crate) fn present(layout: &Layout, now: Timestamp) -> Self {
        let mut expression = Self::of_living(layout, PRESENT, now);
        expression.name("#key", &layout.key);
        expression
    }

    /// The entry is there at `now` and still has `version`.
    pub(crate) fn at_version(layout: &Layout, version: &Version, now: Timestamp) -> Self {
        let mut expression = Self::of_living(layout, AT_VERSION, now);
        expression.name("#value", &layout.value);
        expression.value(":old", versioned(version));
        expression
    }

    /// The update that moves the end, beside this condition.
    pub(crate) fn update_of_end(&mut self, end: Option<Timestamp>) -> &'static str {
        let Some(end) = end else {
            return "REMOVE #end, #exact";
        };
        self.value(":new_second", number(end_second(end)));
        self.value(":new_exact", number(end.as_millis()));
        "SET #end = :new_second, #exact = :new_exact"
    }

    fn name(&mut self, placeholder: &str, name: &str) {
        self.names.insert(placeholder.to_owned(), name.to_owned());
    }

    fn value(&mut self, placeholder: &str, value: AttributeValue) {
        self.values.insert(placeholder.to_owned(), value);
    }
}
