//! Keys, values and expiries of every kind, in every method. Each case runs lists of operations that are written down here, and
//! compares the answers with those of the model.

use std::time::Duration;

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::CaseResult;
use crate::model::families::{
    DISTANCES, FAMILIES, KEY_LENGTHS, LONG_VALUE_LENGTHS, PAST, TIMES, VALUE_LENGTHS, VALUES,
};
use crate::model::program::{
    Action, Below, Content, KeyNumber, Named, Only, Program, Put, Step, When,
};
use crate::model::run_all;

cases! {
    every_kind_of_key_works_in_every_method []: "every method treats a key as its bytes";
    every_kind_of_value_works_in_every_method []: "every method keeps a value byte for byte";
    every_form_of_expiry_works_in_every_method []: "every method accepts every expiry, keeps it and reports it";
    an_expired_entry_is_gone_for_every_method [Need::ShortLives]: "no method sees an expired entry, however its expiry was set";
}

const PLAIN: Content = Content::Bytes(b"value");
const OTHER: Content = Content::Bytes(b"other");

fn put(key: KeyNumber, content: &Content, when: When, only: Only) -> Put {
    Put {
        key,
        content: content.clone(),
        when,
        only,
    }
}

fn write(key: KeyNumber, content: &Content, when: When, only: Only) -> Action {
    Action::Write(put(key, content, when, only))
}

fn program(keys: &[&str], actions: Vec<Action>) -> Program {
    Program {
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        steps: actions
            .into_iter()
            // With two drivers, the one writes what the other reads.
            .enumerate()
            .map(|(instance, action)| Step { instance, action })
            .collect(),
    }
}

/// Calls every method on every key, in an order in which a mistake for another key shows.
fn on_keys(count: KeyNumber) -> Vec<Action> {
    let all: Vec<KeyNumber> = (0..count).collect();
    let value = |number: KeyNumber| Content::Long {
        length: 10 + number,
        place: 0,
        byte: b'a',
    };
    let mut actions = Vec::new();
    for key in &all {
        actions.push(Action::Read(*key));
        actions.push(write(*key, &value(*key), When::Never, Only::Always));
    }
    actions.push(Action::ReadMany(all.clone()));
    for key in &all {
        actions.push(Action::Exists(*key));
        actions.push(Action::Metadata(*key));
        actions.push(Action::Touch(*key, When::In(Duration::from_secs(60)), None));
        actions.push(write(*key, &OTHER, When::Never, Only::IfAbsent));
        actions.push(Action::List(Below::Start(*key, 1), 2));
    }
    actions.push(Action::ReadMany(all.clone()));
    for key in &all {
        let content = value(*key + 100);
        actions.push(write(
            *key,
            &content,
            When::Never,
            Only::IfVersion(Named::Current),
        ));
        actions.push(Action::Touch(*key, When::Default, Some(Named::Current)));
    }
    actions.push(Action::List(Below::Root, 1));
    actions.push(Action::List(Below::Root, 1_000));
    for key in &all {
        actions.push(Action::Remove(*key, None));
        actions.push(Action::ReadMany(all.clone()));
    }
    let writes = all
        .iter()
        .map(|key| put(*key, &value(*key), When::Never, Only::IfAbsent));
    actions.push(Action::WriteMany(writes.collect()));
    for key in &all {
        actions.push(Action::Read(*key));
        actions.push(Action::Remove(*key, Some(Named::Current)));
    }
    let writes = all
        .iter()
        .map(|key| put(*key, &value(*key), When::Never, Only::Always));
    actions.push(Action::WriteMany(writes.collect()));
    for key in &all {
        // Keys that are gone already come first.
        actions.push(Action::RemoveMany((0..=*key).collect()));
        actions.push(Action::ReadMany(all.clone()));
    }
    for key in &all {
        let writes = all
            .iter()
            .map(|key| put(*key, &value(*key), When::Never, Only::Always));
        actions.push(Action::WriteMany(writes.collect()));
        actions.push(Action::Clear(Below::Start(*key, 1)));
        actions.push(Action::ReadMany(all.clone()));
    }
    actions
}

async fn every_kind_of_key_works_in_every_method(context: Context) -> CaseResult {
    let mut programs = Vec::new();
    for family in FAMILIES {
        programs.push(program(family, on_keys(family.len())));
        // The same texts as segments, at both ends.
        let below: Vec<String> = family.iter().map(|text| format!("{text}:x")).collect();
        let above: Vec<String> = family.iter().map(|text| format!("x:{text}")).collect();
        let half = family.len().div_ceil(2);
        let nested = below.iter().take(half).chain(above.iter().skip(half));
        let nested: Vec<&str> = nested.map(String::as_str).collect();
        programs.push(program(&nested, on_keys(nested.len())));
    }
    for length in KEY_LENGTHS {
        for character in ["k", "é"] {
            let start = character.repeat(length.div_ceil(character.len()));
            let names = ["a", "b", ""].map(|end| format!("{start}{end}"));
            let names = names.each_ref().map(String::as_str);
            programs.push(program(&names, on_keys(names.len())));
        }
    }
    run_all(context, programs).await
}

async fn every_kind_of_value_works_in_every_method(context: Context) -> CaseResult {
    let mut programs = Vec::new();
    let values = VALUES.iter().map(|value| Content::Bytes(value));
    let lengths = VALUE_LENGTHS.iter().chain(LONG_VALUE_LENGTHS).copied();
    let long = lengths.clone().map(|length| Content::Long {
        length,
        place: length - 1,
        byte: 0xff,
    });
    for content in values.chain(long) {
        let never = When::Never;
        let actions = vec![
            write(0, &content, never, Only::Always),
            write(1, &content, never, Only::IfAbsent),
            write(2, &OTHER, never, Only::Always),
            write(2, &content, never, Only::IfVersion(Named::Current)),
            Action::WriteMany(vec![
                put(3, &content, never, Only::Always),
                put(4, &content, When::Default, Only::IfAbsent),
            ]),
            Action::ReadMany(vec![0, 1, 2, 3, 4]),
            Action::Read(0),
            Action::Metadata(0),
            Action::Exists(1),
            // The entry in a conflict.
            write(0, &OTHER, never, Only::IfAbsent),
            write(1, &OTHER, never, Only::IfVersion(Named::Of(2))),
            Action::Remove(3, Some(Named::Of(2))),
            // A touch does not change it.
            Action::Touch(1, When::In(Duration::from_secs(60)), None),
            Action::Touch(3, When::In(Duration::from_secs(60)), Some(Named::Current)),
            Action::Read(1),
            Action::Read(3),
            write(1, &content, never, Only::IfVersion(Named::Current)),
            Action::Remove(0, Some(Named::Current)),
            Action::Remove(4, Some(Named::Current)),
        ];
        // A mistake with values may be made for some keys alone.
        programs.push(program(&["a", "é", "c_d'", "漢字", "e"], actions));
    }
    for length in lengths {
        for place in [0, length / 2, length - 1] {
            let one = |byte| Content::Long {
                length,
                place,
                byte,
            };
            let actions = vec![
                write(0, &one(b'0'), When::Never, Only::Always),
                Action::Read(0),
                write(0, &one(b'1'), When::Never, Only::Always),
                // The version covers the whole value, so the first one does not match any more.
                write(0, &OTHER, When::Never, Only::IfVersion(Named::Earlier(0))),
                Action::Touch(0, When::Never, Some(Named::Earlier(0))),
                Action::Remove(0, Some(Named::Earlier(0))),
                Action::Read(0),
            ];
            programs.push(program(&["k"], actions));
        }
    }
    run_all(context, programs).await
}

/// Every way to give key 0 an expiry. Key 1 is a neighbour in batches.
fn ways(when: When) -> Vec<Vec<Action>> {
    let never = When::Never;
    let minute = When::In(Duration::from_secs(60));
    let current = || Only::IfVersion(Named::Current);
    vec![
        vec![write(0, &PLAIN, when, Only::Always)],
        vec![
            write(0, &OTHER, never, Only::Always),
            write(0, &PLAIN, when, Only::Always),
        ],
        vec![
            write(0, &OTHER, minute, Only::Always),
            write(0, &PLAIN, when, current()),
        ],
        vec![write(0, &PLAIN, when, Only::IfAbsent)],
        vec![Action::WriteMany(vec![
            put(0, &PLAIN, when, Only::Always),
            put(1, &OTHER, never, Only::Always),
        ])],
        vec![Action::WriteMany(vec![
            put(1, &OTHER, never, Only::Always),
            put(0, &PLAIN, when, Only::IfAbsent),
        ])],
        vec![
            write(0, &OTHER, never, Only::Always),
            Action::WriteMany(vec![
                put(1, &OTHER, minute, Only::IfAbsent),
                put(0, &PLAIN, when, current()),
            ]),
        ],
        // The last write to a key wins, also in its expiry.
        vec![Action::WriteMany(vec![
            put(0, &OTHER, minute, Only::Always),
            put(0, &PLAIN, when, Only::Always),
        ])],
        vec![
            write(0, &PLAIN, never, Only::Always),
            Action::Touch(0, when, None),
        ],
        vec![
            write(0, &PLAIN, minute, Only::Always),
            Action::Touch(0, when, Some(Named::Current)),
        ],
        vec![
            write(
                0,
                &PLAIN,
                When::In(Duration::from_secs(86_400)),
                Only::Always,
            ),
            Action::Touch(0, minute, None),
            Action::Touch(0, when, None),
        ],
    ]
}

/// Every way to see whether key 0 is there.
fn sights() -> Vec<Vec<Action>> {
    let never = When::Never;
    vec![
        vec![Action::Read(0)],
        vec![Action::Exists(0)],
        vec![Action::Metadata(0)],
        vec![Action::ReadMany(vec![1, 0, 0])],
        vec![Action::List(Below::Root, 1_000)],
        vec![Action::List(Below::Start(0, 1), 1)],
        vec![write(0, &OTHER, never, Only::IfAbsent)],
        vec![write(0, &OTHER, never, Only::IfVersion(Named::Current))],
        vec![Action::WriteMany(vec![put(
            0,
            &OTHER,
            never,
            Only::IfAbsent,
        )])],
        vec![Action::WriteMany(vec![put(
            0,
            &OTHER,
            never,
            Only::IfVersion(Named::Current),
        )])],
        vec![Action::Touch(0, never, None)],
        vec![Action::Touch(
            0,
            When::In(Duration::from_secs(60)),
            Some(Named::Current),
        )],
        vec![Action::Remove(0, Some(Named::Current))],
    ]
}

async fn every_form_of_expiry_works_in_every_method(context: Context) -> CaseResult {
    let forms = [When::Never, When::Default].into_iter();
    let forms = forms
        .chain(DISTANCES.iter().copied().map(When::In))
        .chain(PAST.iter().copied().map(When::Ago))
        .chain(TIMES.iter().copied().map(When::At));
    let mut programs = Vec::new();
    for when in forms {
        for mut actions in ways(when) {
            actions.extend([
                Action::Metadata(0),
                Action::Read(0),
                Action::ReadMany(vec![0, 1]),
                write(0, &OTHER, When::Never, Only::IfAbsent),
                Action::Read(0),
            ]);
            programs.push(program(&["k:a", "n"], actions));
        }
    }
    run_all(context, programs).await
}

async fn an_expired_entry_is_gone_for_every_method(context: Context) -> CaseResult {
    let mut programs = Vec::new();
    for way in ways(When::Soon(2)) {
        for sight in sights() {
            let mut actions = way.clone();
            actions.push(Action::Wait);
            actions.extend(sight);
            actions.extend([Action::Read(0), Action::Exists(0)]);
            programs.push(program(&["k:a", "n"], actions));
        }
    }
    run_all(context, programs).await
}
