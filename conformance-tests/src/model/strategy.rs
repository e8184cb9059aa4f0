//! How programs are made up, by `proptest`.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, Union};

use super::families::{
    DISTANCES, FAMILIES, KEY_LENGTHS, LONG_VALUE_LENGTHS, PAST, PREFIXES, TIMES, VALUE_LENGTHS,
    VALUES,
};
use super::program::{Action, Below, Content, KeyNumber, Named, Only, Program, Put, Step, When};

/// What the programs of a case have most of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Focus {
    Keys,
    Values,
    Expiry,
    Batches,
}

impl Focus {
    /// Returns a number that differs for each focus, so that each case has programs of its own.
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Keys => 1,
            Self::Values => 2,
            Self::Expiry => 3,
            Self::Batches => 4,
        }
    }
}

/// What the driver under test can do; nothing else is in a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abilities {
    pub(crate) instances: usize,
    pub(crate) conditions: bool,
    pub(crate) touch: bool,
    pub(crate) listing: bool,
    pub(crate) foreign: bool,
    /// Whether programs may wait for entries to expire.
    pub(crate) short_lives: bool,
}

/// Values that another program writes.
const FOREIGN_VALUES: &[&[u8]] = &[b"f", b"g", b"h", b"theirs", b"someone else's"];

const MOST_STEPS: usize = 24;
const MOST_KEYS: usize = 5;

pub(crate) fn programs(focus: Focus, abilities: Abilities) -> impl Strategy<Value = Program> {
    let steps = vec(step(focus, abilities), 1..=MOST_STEPS);
    (keys(focus), steps).prop_map(|(keys, steps)| Program { keys, steps })
}

fn keys(focus: Focus) -> BoxedStrategy<Vec<String>> {
    let most = match focus {
        Focus::Keys => MOST_KEYS,
        _ => 3,
    };
    let families = match focus {
        Focus::Keys => FAMILIES,
        _ => FAMILIES.get(..1).unwrap_or(FAMILIES),
    };
    let short = select(families).prop_flat_map(move |family| {
        // Mostly one text: keys of several are below prefixes of their own.
        let key = Union::new_weighted(vec![
            (3, vec(select(family), 1..=1).boxed()),
            (2, vec(select(family), 2..=3).boxed()),
        ]);
        vec(key.prop_map(|texts| texts.join(":")), 1..=most)
    });
    if focus != Focus::Keys {
        return short.boxed();
    }
    // Long keys differ at their end alone, and some in characters of several bytes.
    let long = (select(KEY_LENGTHS), select(&["k", "é", "🔑"][..]));
    let long = (long, vec(select(&["a", "b", ":a", ""][..]), 1..=3)).prop_map(
        |((length, character), ends)| {
            let start = character.repeat(length.div_ceil(character.len()));
            let keys = ends.iter().map(|end| format!("{start}{end}"));
            keys.collect()
        },
    );
    Union::new_weighted(vec![(8, short.boxed()), (1, long.boxed())]).boxed()
}

fn step(focus: Focus, abilities: Abilities) -> impl Strategy<Value = Step> {
    (0..abilities.instances, action(focus, abilities))
        .prop_map(|(instance, action)| Step { instance, action })
}

fn action(focus: Focus, abilities: Abilities) -> BoxedStrategy<Action> {
    let batches = if focus == Focus::Batches { 3 } else { 1 };
    let times = if focus == Focus::Expiry { 3 } else { 1 };
    let lists = if focus == Focus::Keys { 3 } else { 1 };
    let condition = || named(abilities);
    let mut actions: Vec<(u32, BoxedStrategy<Action>)> = vec![
        (5, key().prop_map(Action::Read).boxed()),
        (2, key().prop_map(Action::Exists).boxed()),
        (2, key().prop_map(Action::Metadata).boxed()),
        (
            batches,
            vec(key(), 0..=6).prop_map(Action::ReadMany).boxed(),
        ),
        (8, put(focus, abilities).prop_map(Action::Write).boxed()),
        (
            2 * batches,
            vec(put(focus, abilities), 0..=5)
                .prop_map(Action::WriteMany)
                .boxed(),
        ),
        (
            3,
            (key(), condition())
                .prop_map(|(key, named)| Action::Remove(key, named))
                .boxed(),
        ),
        (
            batches,
            vec(key(), 0..=4).prop_map(Action::RemoveMany).boxed(),
        ),
    ];
    if abilities.touch {
        let touch = (key(), when(focus, abilities), condition())
            .prop_map(|(key, when, named)| Action::Touch(key, when, named));
        actions.push((1 + times, touch.boxed()));
    }
    if abilities.listing {
        let list = (below(), select(&[1_000, 1, 2, 3][..]))
            .prop_map(|(below, limit)| Action::List(below, limit));
        actions.push((lists, list.boxed()));
        actions.push((lists, below().prop_map(Action::Clear).boxed()));
    }
    if abilities.foreign {
        // Values of their own: a driver may not tell who wrote the same bytes.
        let value = select(FOREIGN_VALUES).prop_map(Content::Bytes);
        let foreign = (key(), value).prop_map(|(key, value)| Action::Foreign(key, value));
        actions.push((1, foreign.boxed()));
    }
    if abilities.short_lives && focus == Focus::Expiry {
        actions.push((2, Just(Action::Wait).boxed()));
    }
    Union::new_weighted(actions).boxed()
}

fn key() -> impl Strategy<Value = KeyNumber> {
    0..MOST_KEYS
}

/// The version that a removal or a touch names, if any.
fn named(abilities: Abilities) -> BoxedStrategy<Option<Named>> {
    if !abilities.conditions {
        return Just(None).boxed();
    }
    Union::new_weighted(vec![
        (2, Just(None).boxed()),
        (3, version().prop_map(Some).boxed()),
    ])
    .boxed()
}

fn version() -> BoxedStrategy<Named> {
    Union::new_weighted(vec![
        (4, Just(Named::Current).boxed()),
        (2, (0..8_usize).prop_map(Named::Earlier).boxed()),
        (1, key().prop_map(Named::Of).boxed()),
    ])
    .boxed()
}

fn put(focus: Focus, abilities: Abilities) -> impl Strategy<Value = Put> {
    let only = match abilities.conditions {
        false => Just(Only::Always).boxed(),
        true => Union::new_weighted(vec![
            (4, Just(Only::Always).boxed()),
            (2, Just(Only::IfAbsent).boxed()),
            (3, version().prop_map(Only::IfVersion).boxed()),
        ])
        .boxed(),
    };
    (key(), content(focus), when(focus, abilities), only).prop_map(|(key, content, when, only)| {
        Put {
            key,
            content,
            when,
            only,
        }
    })
}

fn content(focus: Focus) -> BoxedStrategy<Content> {
    let plain = select(VALUES.get(..4).unwrap_or(VALUES)).prop_map(Content::Bytes);
    if focus != Focus::Values {
        // A few longer ones that differ at their end, since batches may store them in another way.
        let long = long(&[300, 70_000], 1);
        return Union::new_weighted(vec![(12, plain.boxed()), (1, long)]).boxed();
    }
    Union::new_weighted(vec![
        (1, plain.boxed()),
        (24, select(VALUES).prop_map(Content::Bytes).boxed()),
        (8, long(VALUE_LENGTHS, 2)),
        (1, long(LONG_VALUE_LENGTHS, 2)),
    ])
    .boxed()
}

/// Long values, of which those of one length differ in one byte at the end, in the middle or at the start.
fn long(lengths: &'static [usize], bytes: u8) -> BoxedStrategy<Content> {
    let place = select(&[0, 2, 2, 1][..]);
    (select(lengths), place, b'0'..=b'0' + bytes)
        .prop_map(|(length, place, byte)| Content::Long {
            length,
            place: (length - 1) * (2 - place) / 2,
            byte,
        })
        .boxed()
}

fn when(focus: Focus, abilities: Abilities) -> BoxedStrategy<When> {
    let never = Just(When::Never).boxed();
    let default = Just(When::Default).boxed();
    let distance = select(DISTANCES).prop_map(When::In).boxed();
    if focus != Focus::Expiry {
        let past = Just(When::Ago(Duration::from_secs(60))).boxed();
        return Union::new_weighted(vec![(5, never), (3, default), (3, distance), (1, past)])
            .boxed();
    }
    let mut all = vec![
        (3, never),
        (2, default),
        (3, distance),
        (2, select(PAST).prop_map(When::Ago).boxed()),
        (3, select(TIMES).prop_map(When::At).boxed()),
    ];
    if abilities.short_lives {
        all.push((5, (1..=3_u8).prop_map(When::Soon).boxed()));
    }
    Union::new_weighted(all).boxed()
}

fn below() -> BoxedStrategy<Below> {
    Union::new_weighted(vec![
        (2, Just(Below::Root).boxed()),
        (
            3,
            (key(), 1..=2_usize)
                .prop_map(|(key, segments)| Below::Start(key, segments))
                .boxed(),
        ),
        (1, select(PREFIXES).prop_map(Below::Text).boxed()),
    ])
    .boxed()
}
