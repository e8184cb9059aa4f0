//! What a real Astro application stored, read and changed by sessions of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_devalue::{BigInt, Bytes, Date, RegExp, Set, SparseArray, Url, Value};
use session_core::{ErrorKind, Result};
use session_tower::Session;

use crate::support::{ID, LIFETIME, Site, entries, names};

/// One record as a driver of unstorage held it.
#[derive(Clone, Deserialize)]
struct Stored {
    name: String,
    cookie_id: String,
    /// The text under a key of Redis or in a file.
    value: Option<String>,
    /// The row of a table.
    row: Option<Row>,
}

#[derive(Clone, Deserialize)]
struct Row {
    value: String,
}

impl Stored {
    fn record(&self) -> Option<&str> {
        let row = self.row.as_ref().map(|row| &*row.value);
        self.value.as_deref().or(row)
    }
}

/// Every record of the three stores with its scenario, but for those that a scenario destroyed.
fn records() -> Vec<(Stored, String)> {
    let files = [
        include_str!("../vectors/astro-redis.json"),
        include_str!("../vectors/astro-fs.json"),
        include_str!("../vectors/astro-sqlite.json"),
    ];
    let mut records = Vec::new();
    for file in files {
        let stored: Vec<Stored> = serde_json::from_str(file).unwrap();
        for stored in stored {
            match stored.record().map(str::to_owned) {
                Some(record) => records.push((stored, record)),
                None => assert_eq!(stored.name, "after destroy"),
            }
        }
    }
    records
}

#[derive(Debug, PartialEq, Deserialize)]
struct User {
    id: u32,
    name: String,
    tags: BTreeSet<String>,
    addr: Address,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Address {
    city: String,
    geo: (f64, f64),
}

async fn numbers(session: &Session, expected: &[(&str, u32)]) -> Result<()> {
    let keys: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(session.keys().await?, keys);
    for (name, number) in expected {
        assert_eq!(session.get::<u32>(*name).await?, Some(*number), "{name}");
    }
    Ok(())
}

/// The value of `name`, which must be there.
async fn value(session: &Session, name: &str) -> Result<Value> {
    Ok(session.get(name).await?.unwrap())
}

async fn has_rich_types(session: &Session) -> Result<()> {
    let date = Date::parse("2026-03-04T05:06:07.089Z");
    assert_eq!(session.get::<Date>("d").await?, Some(date));

    let epoch = Value::from(Date::from_millis(0));
    let set = Value::Set(vec![1.into(), "a".into()]);
    let nested = Value::Map(vec![("x".into(), set)]);
    let map = Value::Map(vec![
        ("a".into(), 1.into()),
        (2.into(), epoch),
        ("nested".into(), nested),
    ]);
    assert_eq!(value(session, "m").await?, map);

    let two = BigInt::from(2);
    let set = Value::Set(vec!["x".into(), "y".into(), 1.into(), two.into()]);
    assert_eq!(value(session, "t").await?, set);

    let url = Url::parse("https://example.com/a%20b?q=1#h").unwrap();
    assert_eq!(session.get::<Url>("u").await?, Some(url));
    let bytes = Bytes(vec![0, 1, 0xfe, 0xff]);
    assert_eq!(session.get::<Bytes>("b").await?, Some(bytes));
    Ok(())
}

async fn has_scalars(session: &Session) -> Result<()> {
    assert_eq!(session.get::<u8>("int").await?, Some(42));
    assert_eq!(session.get::<f32>("neg").await?, Some(-1.5));
    assert_eq!(session.get::<f64>("big").await?, Some(1e21));
    assert_eq!(session.get::<bool>("t").await?, Some(true));
    assert_eq!(session.get::<bool>("f").await?, Some(false));
    assert_eq!(session.get::<Option<u8>>("nul").await?, Some(None));
    assert_eq!(value(session, "nul").await?, Value::Null);
    assert_eq!(value(session, "undef").await?, Value::Undefined);
    assert!(session.get::<f64>("nan").await?.unwrap().is_nan());
    assert_eq!(session.get::<f64>("inf").await?, Some(f64::INFINITY));
    let minus_zero = session.get::<f64>("nz").await?.unwrap();
    assert!(minus_zero == 0.0 && minus_zero.is_sign_negative());
    let large = 12_345_678_901_234_567_890_u64;
    assert_eq!(session.get::<u64>("bi").await?, Some(large));
    assert_eq!(value(session, "bi").await?, BigInt::from(large).into());
    Ok(())
}

async fn has_a_cycle_and_a_shared_object(session: &Session) -> Result<()> {
    let Value::Anchor(anchor, looped) = value(session, "c").await? else {
        panic!("no cycle");
    };
    let Value::Object(members) = *looped else {
        panic!("no object");
    };
    assert_eq!(members.get("name"), Some(&"loop".into()));
    assert_eq!(members.get("self"), Some(&Value::Alias(anchor)));
    let shared = BTreeMap::from([("n".to_owned(), 1)]);
    let both: Option<Vec<BTreeMap<String, u8>>> = session.get("s").await?;
    assert_eq!(both, Some(vec![shared.clone(), shared]));
    Ok(())
}

async fn has_odd_types(session: &Session) -> Result<()> {
    let sparse = SparseArray {
        length: 4,
        items: BTreeMap::from([(1, 1.into())]),
    };
    assert_eq!(
        value(session, "sp").await?,
        Value::SparseArray(Box::new(sparse))
    );
    let array: Option<Vec<Option<u8>>> = session.get("sp").await?;
    assert_eq!(array, Some(vec![None, Some(1), None, None]));

    let regexp = RegExp::new("a<b", "gi").unwrap();
    assert_eq!(value(session, "re").await?, Value::RegExp(regexp));
    let object: Option<BTreeMap<String, u8>> = session.get("np").await?;
    assert_eq!(object, Some(BTreeMap::from([("a".to_owned(), 1)])));
    assert_eq!(
        session.get::<Date>("date").await?.unwrap().as_millis(),
        None
    );
    Ok(())
}

async fn has_empty_containers(session: &Session) -> Result<()> {
    assert_eq!(value(session, "a").await?, Value::Array(Vec::new()));
    let object: Option<BTreeMap<String, u8>> = session.get("o").await?;
    assert_eq!(object, Some(BTreeMap::new()));
    assert_eq!(value(session, "m").await?, Value::Map(Vec::new()));
    let set: Option<Set<BTreeSet<u8>>> = session.get("s").await?;
    assert_eq!(set, Some(Set(BTreeSet::new())));
    assert_eq!(session.get::<String>("e").await?.as_deref(), Some(""));
    Ok(())
}

/// Checks what the application of `scenario` had stored.
async fn has_what_was_stored(session: &Session, scenario: &str) -> Result<()> {
    match scenario {
        "single string"
        | "driver option base:'sess'"
        | "driver options base:'sess:ttl:', ttl:3600" => {
            assert_eq!(
                session.get::<String>("user").await?.as_deref(),
                Some("alice")
            );
        }
        "two strings with same value" => {
            for name in ["a", "b"] {
                assert_eq!(session.get::<String>(name).await?.as_deref(), Some("x"));
            }
        }
        "cart built by three requests" => {
            let cart: Vec<String> = session.get("cart").await?.unwrap();
            assert_eq!(cart, ["shoe", "hat", "shoe"]);
        }
        "rich types" => has_rich_types(session).await?,
        "rich types merged over an existing session (new keys first)" => {
            has_rich_types(session).await?;
            assert_eq!(
                session.get::<String>("user").await?.as_deref(),
                Some("alice")
            );
        }
        "scalars" => has_scalars(session).await?,
        "nested object" => {
            let user = User {
                id: 1,
                name: "Ann".to_owned(),
                tags: BTreeSet::from(["a".to_owned(), "b".to_owned()]),
                addr: Address {
                    city: "Köln".to_owned(),
                    geo: (1.0, 2.0),
                },
            };
            assert_eq!(session.get::<User>("user").await?, Some(user));
        }
        "unicode and escapes" => {
            let text: String = session.get("u").await?.unwrap();
            assert_eq!(
                text,
                "é 中文 😎 <script>\u{2028}\u{2029} \"q\" \\ \n\t\u{1}"
            );
            assert_eq!(session.get::<u8>("k\"<é").await?, Some(1));
        }
        "cycle and shared reference in one value" => {
            has_a_cycle_and_a_shared_object(session).await?;
        }
        "sparse array, RegExp, boxed, null-proto" => has_odd_types(session).await?,
        "empty containers" => has_empty_containers(session).await?,
        "updated key keeps its place when loaded first, delete" => {
            numbers(session, &[("a", 10), ("c", 3), ("d", 4)]).await?;
        }
        "updated key moves first when set without a load" => {
            numbers(session, &[("c", 30), ("d", 4), ("a", 1), ("b", 2)]).await?;
        }
        "delete only (first mutation)" => numbers(session, &[("b", 2)]).await?,
        "delete of the only key leaves an empty map" => numbers(session, &[]).await?,
        "regenerate" => numbers(session, &[("a", 1)]).await?,
        "ttl per entry (expires is a ms timestamp)" => {
            numbers(session, &[("a", 1), ("b", 2)]).await?;
        }
        "expired entry dropped and not written back" => {
            numbers(session, &[("c", 3), ("b", 2)]).await?;
        }
        other => panic!("a scenario without a check: {other}"),
    }
    Ok(())
}

#[test_support::test]
async fn every_value_that_astro_stored_comes_out_as_what_it_was() {
    let records = records();
    assert!(records.len() > 30, "{}", records.len());
    for (stored, record) in records {
        let site = Site::new();
        site.stored_by_astro(&stored.cookie_id, &record);
        let id = stored.cookie_id.clone();
        site.visitor(&id, move |session: Session| async move {
            has_what_was_stored(&session, &stored.name).await
        })
        .await
        .ok();
        assert_eq!(site.record(&id).unwrap(), record);
    }
}

#[test_support::test]
async fn a_change_of_ours_leaves_every_other_entry_what_it_was() {
    for (stored, record) in records() {
        let site = Site::new();
        site.stored_by_astro(&stored.cookie_id, &record);
        let answer = site
            .visitor(&stored.cookie_id, |session: Session| async move {
                session.set("ours", &true)
            })
            .await
            .ok();
        assert!(answer.cookies().is_empty());

        let written = site.record(&stored.cookie_id).unwrap();
        let mut order = names(&record);
        let untouched = order.len();
        order.extend(["ours".to_owned(), LIFETIME.to_owned()]);
        assert_eq!(names(&written), order, "{}", stored.name);
        assert_eq!(
            entries(&written)[..untouched],
            entries(&record),
            "{}",
            stored.name
        );

        // Another request of ours still finds all of them.
        let name = stored.name.clone();
        site.visitor(&stored.cookie_id, move |session: Session| async move {
            session.remove("ours")?;
            has_what_was_stored(&session, &name).await
        })
        .await
        .ok();
    }
}

#[test_support::test]
async fn a_value_that_astro_gave_an_end_ends() {
    let ends = |(stored, _): &(Stored, String)| stored.name.starts_with("ttl per entry");
    let records: Vec<_> = records().into_iter().filter(ends).collect();
    assert_eq!(records.len(), 4);
    for (stored, record) in records {
        let site = Site::new();
        site.stored_by_astro(&stored.cookie_id, &record);
        site.clock.advance(Duration::from_secs(2 * 60 * 60));
        site.visitor(&stored.cookie_id, |session: Session| async move {
            numbers(&session, &[("b", 2)]).await
        })
        .await
        .ok();
        assert_eq!(site.record(&stored.cookie_id).unwrap(), record);
    }
}

#[test_support::test]
async fn half_of_a_surrogate_pair_is_kept_and_is_no_rust_string() {
    let raw = r#"[["Map",1,2],"a",{"data":3,"expires":-1},"x\ud800y"]"#;
    let site = Site::new();
    site.stored_by_astro(ID, raw);
    site.visitor(ID, |session: Session| async move {
        let error = session.get::<String>("a").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongType);
        let Value::String(text) = value(&session, "a").await? else {
            panic!("no string");
        };
        assert_eq!(text.encode_utf16(), [0x78, 0xd800, 0x79]);
        session.set("ours", &1)
    })
    .await
    .ok();
    assert_eq!(entries(&site.record(ID).unwrap())[..1], entries(raw));
}

#[test_support::test]
async fn a_temporal_value_that_is_stored_is_kept() {
    let raw = r#"[["Map",1,2],"a",{"data":3,"expires":-1},["Temporal.PlainDate","2026-03-04"]]"#;
    let site = Site::new();
    site.stored_by_astro(ID, raw);
    site.visitor(ID, |session: Session| async move {
        assert!(matches!(value(&session, "a").await?, Value::Temporal(..)));
        assert_eq!(
            session.get::<String>("a").await?.as_deref(),
            Some("2026-03-04")
        );
        session.set("ours", &1)
    })
    .await
    .ok();
    assert_eq!(entries(&site.record(ID).unwrap())[..1], entries(raw));
}

#[test_support::test]
async fn a_value_of_null_or_undefined_is_read_as_an_option() {
    let raw = r#"[["Map",1,2,3,4],"undefined",{"data":-1,"expires":-1},"null",{"data":5,"expires":-1},null]"#;
    let site = Site::new();
    site.stored_by_astro(ID, raw);
    site.visitor(ID, |session: Session| async move {
        for name in ["undefined", "null"] {
            assert_eq!(
                session.get::<Option<u32>>(name).await?,
                Some(None),
                "{name}"
            );
            let add = |n: Option<Option<u32>>| Some(n.flatten().unwrap_or(0) + 1);
            assert_eq!(session.update(name, add).await?, Some(1), "{name}");
        }
        Ok(())
    })
    .await
    .ok();
}

#[test_support::test]
async fn a_whole_record_that_astro_writes_takes_our_change_away_and_brings_a_session_back() {
    let before = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"ann"]"#;
    let site = Site::new();
    site.stored_by_astro(ID, before);
    site.visitor(
        ID,
        |session: Session| async move { session.set("ours", &1) },
    )
    .await
    .ok();
    // A request of Astro's that had read the record before our commit ends after it.
    site.stored_by_astro(ID, before);
    assert_eq!(site.end(ID), None);
    site.visitor(ID, |session: Session| async move {
        assert_eq!(session.keys().await?, ["user"]);
        session.destroy().await
    })
    .await
    .ok();
    assert_eq!(site.record(ID), None);
    // The same after a logout of ours.
    site.stored_by_astro(ID, before);
    site.visitor(ID, |session: Session| async move {
        assert!(session.has("user").await?);
        Ok(())
    })
    .await
    .ok();
}
