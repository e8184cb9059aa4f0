//! An overlay, and a driver that only reads.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use futures_util::TryStreamExt;
use session_core::decorators::{Overlay, ReadOnly};
use session_core::{
    Conditions, ConflictState, Driver, DriverExt, ErrorKind, Expiry, Key, ListOptions, Prefix,
    RemoveOptions, RemoveOutcome, TouchOptions, Write, WriteOptions, WriteOutcome,
};

fn memory() -> Arc<dyn Driver> {
    Arc::new(MemoryDriver::new())
}

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

mod conformance_of_an_overlay {
    use conformance_tests::{Fault, Faulty, Subject};
    use driver_memory::MemoryDriver;
    use session_core::decorators::Overlay;
    use session_core::{Bytes, Driver, ErrorKind, Key, WriteOptions};
    use std::sync::Arc;
    use std::time::Duration;

    use super::memory;

    conformance_tests::suite!(|| async {
        let ttl = Duration::from_secs(3_600);
        let top = Arc::new(MemoryDriver::new().with_ttl(ttl));
        let down = || {
            let down = Faulty::new(MemoryDriver::new());
            down.faults().outage(Fault::before(ErrorKind::Unavailable));
            Arc::new(down)
        };
        let foreign = top.clone();
        let write = move |key: Key, value: Bytes| {
            let foreign = foreign.clone();
            async move {
                let _unconditional = foreign.write_now(&key, value, WriteOptions::default())?;
                // A foreign writer knows nothing of ends.
                let end = session_core::TouchOptions::to(session_core::Expiry::Never);
                foreign.touch_now(&key, end)?;
                Ok(())
            }
        };
        Subject::new(Overlay::new(top, [memory(), memory()]))
            .with_default_ttl(ttl)
            .with_foreign_write(write)
            .with_outage(Overlay::new(down(), [down() as Arc<dyn Driver>]))
    });
}

mod conformance_of_an_overlay_without_layers_below {
    use session_core::decorators::Overlay;

    use super::memory;

    conformance_tests::suite!(|| async { Overlay::new(memory(), []) });
}

mod conformance_of_a_driver_that_only_reads {
    use conformance_tests::{Fault, Faulty, Subject};
    use driver_memory::MemoryDriver;
    use session_core::decorators::ReadOnly;
    use session_core::{Driver, ErrorKind};
    use std::sync::Arc;

    conformance_tests::suite!(|| async {
        let entries: Arc<dyn Driver> = Arc::new(MemoryDriver::new());
        let down = Faulty::new(MemoryDriver::new());
        down.faults().outage(Fault::before(ErrorKind::Unavailable));
        Subject::new(ReadOnly::new(entries.clone()))
            .with_writer(entries)
            .with_outage(ReadOnly::new(down))
    });
}

/// An overlay over two layers, and its layers.
struct Layers {
    overlay: Arc<dyn Driver>,
    top: Arc<dyn Driver>,
    middle: Arc<dyn Driver>,
    bottom: Arc<dyn Driver>,
}

impl Layers {
    async fn new() -> Self {
        let (top, middle, bottom) = (memory(), memory(), memory());
        for (driver, name) in [(&middle, "middle"), (&bottom, "bottom")] {
            driver.put(name, name).await.unwrap();
            driver.put("both", name).await.unwrap();
        }
        let below = [middle.clone(), bottom.clone()];
        let overlay = Arc::new(Overlay::new(top.clone(), below));
        Self {
            overlay,
            top,
            middle,
            bottom,
        }
    }

    async fn get(&self, name: &str) -> Option<String> {
        let value = self.overlay.get(name).await.unwrap();
        value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    async fn listed(&self) -> Vec<String> {
        let keys = self.overlay.keys(Prefix::root());
        let mut keys: Vec<String> = keys
            .map_ok(|key| key.as_str().to_owned())
            .try_collect()
            .await
            .unwrap();
        keys.sort_unstable();
        keys
    }
}

#[test_support::test]
async fn the_uppermost_entry_counts_and_only_the_top_is_written_to() {
    let layers = Layers::new().await;
    assert_eq!(layers.get("both").await.unwrap(), "middle");
    assert_eq!(layers.get("bottom").await.unwrap(), "bottom");
    assert_eq!(layers.listed().await, ["both", "bottom", "middle"]);
    layers.overlay.put("both", "top").await.unwrap();
    layers.overlay.put("new", "top").await.unwrap();
    assert_eq!(layers.get("both").await.unwrap(), "top");
    assert_eq!(layers.middle.get("both").await.unwrap().unwrap(), "middle");
    assert_eq!(layers.listed().await, ["both", "bottom", "middle", "new"]);
    let several = ["both", "missing", "bottom", "both", "new"].map(key);
    let read = layers.overlay.read_many(&several).await.unwrap();
    let values: Vec<_> = read
        .into_iter()
        .map(|entry| entry.map(|entry| entry.value))
        .collect();
    let top = Some("top".into());
    assert_eq!(
        values,
        [top.clone(), None, Some("bottom".into()), top.clone(), top]
    );
}

#[test_support::test]
async fn what_is_removed_stays_hidden_by_the_mark_of_unstorage() {
    let layers = Layers::new().await;
    layers.overlay.delete("both").await.unwrap();
    assert_eq!(layers.get("both").await, None);
    assert!(!layers.overlay.exists(&key("both")).await.unwrap());
    assert_eq!(layers.overlay.metadata(&key("both")).await.unwrap(), None);
    assert_eq!(layers.listed().await, ["bottom", "middle"]);
    assert_eq!(
        layers.top.get("both").await.unwrap().unwrap(),
        "__OVERLAY_REMOVED__"
    );
    layers.overlay.put("both", "again").await.unwrap();
    assert_eq!(layers.get("both").await.unwrap(), "again");
    assert_eq!(layers.listed().await, ["both", "bottom", "middle"]);
}

/// unstorage marks each key that it removes, and never takes a mark away.
#[test_support::test]
async fn bug_no_mark_is_left_where_there_is_nothing_to_hide() {
    let layers = Layers::new().await;
    layers.overlay.put("new", "1").await.unwrap();
    layers.overlay.delete("new").await.unwrap();
    layers.overlay.delete("never-there").await.unwrap();
    assert_eq!(
        layers
            .top
            .keys(Prefix::root())
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .len(),
        0
    );
    // A mark ends with what it hides.
    layers
        .bottom
        .put_with_ttl("ending", "1", Duration::from_secs(60))
        .await
        .unwrap();
    layers.overlay.delete("ending").await.unwrap();
    let mark = layers.top.read(&key("ending")).await.unwrap().unwrap();
    let hidden = layers.bottom.read(&key("ending")).await.unwrap().unwrap();
    assert_eq!(mark.expires_at, hidden.expires_at);
}

#[test_support::test]
async fn clearing_hides_what_is_below_and_removes_what_is_not() {
    let layers = Layers::new().await;
    for name in ["both", "a:new", "b:new"] {
        layers.overlay.put(name, name).await.unwrap();
    }
    layers.bottom.put("a:old", "1").await.unwrap();
    layers
        .overlay
        .clear(&Prefix::new("a").unwrap())
        .await
        .unwrap();
    assert_eq!(layers.listed().await, ["b:new", "both", "bottom", "middle"]);
    assert_eq!(layers.top.get("a:new").await.unwrap(), None);
    layers.overlay.clear(&Prefix::root()).await.unwrap();
    assert!(layers.listed().await.is_empty());
    assert_eq!(layers.bottom.get("a:old").await.unwrap().unwrap(), "1");
}

/// unstorage takes such a value for a removal.
#[test_support::test]
async fn bug_a_value_that_looks_like_the_mark_comes_back() {
    let layers = Layers::new().await;
    for value in ["__OVERLAY_REMOVED__", "__OVERLAY_REMOVED__\\"] {
        layers.overlay.put("both", value).await.unwrap();
        assert_eq!(layers.get("both").await.unwrap(), value);
        let size = layers
            .overlay
            .metadata(&key("both"))
            .await
            .unwrap()
            .unwrap()
            .size;
        assert_eq!(size, Some(value.len() as u64));
    }
    assert!(layers.listed().await.contains(&"both".to_owned()));
}

#[test_support::test]
async fn conditions_see_what_is_below() {
    let layers = Layers::new().await;
    let overlay = &layers.overlay;
    assert_eq!(overlay.capabilities().conditions, Conditions::Advisory);
    let write = |name: &'static str, options| async move {
        overlay
            .write(&key(name), "new".into(), options)
            .await
            .unwrap()
    };
    let WriteOutcome::Conflict(ConflictState::Present(met)) =
        write("both", WriteOptions::if_absent()).await
    else {
        panic!("it is there");
    };
    assert_eq!(met.value, "middle");
    let version = met.version.unwrap();
    let by_version = WriteOptions::if_version(version.clone());
    assert!(matches!(
        write("both", by_version.clone()).await,
        WriteOutcome::Written { .. }
    ));
    let again = write("both", by_version).await;
    assert!(
        matches!(again, WriteOutcome::Conflict(ConflictState::Present(met)) if met.value == "new")
    );

    // Removed on condition, it is absent, though the layer below still holds it.
    let entry = overlay.read(&key("bottom")).await.unwrap().unwrap();
    let version = entry.version.unwrap();
    let removal = RemoveOptions::if_version(version.clone());
    let removed = overlay
        .remove(&key("bottom"), removal.clone())
        .await
        .unwrap();
    assert_eq!(removed, RemoveOutcome::Removed);
    let again = overlay.remove(&key("bottom"), removal).await.unwrap();
    assert_eq!(again, RemoveOutcome::Conflict(ConflictState::Absent));
    let late = write("bottom", WriteOptions::if_version(version)).await;
    assert_eq!(late, WriteOutcome::Conflict(ConflictState::Absent));
    assert_eq!(layers.get("bottom").await, None);
    assert!(matches!(
        write("bottom", WriteOptions::if_absent()).await,
        WriteOutcome::Written { .. }
    ));

    // One of the top over one below leaves a mark, and not what is below.
    let entry = overlay.read(&key("bottom")).await.unwrap().unwrap();
    let removal = RemoveOptions::if_version(entry.version.unwrap());
    let removed = overlay.remove(&key("bottom"), removal).await.unwrap();
    assert_eq!(removed, RemoveOutcome::Removed);
    assert_eq!(layers.get("bottom").await, None);
}

#[test_support::test]
async fn an_entry_of_the_top_that_ends_uncovers_what_is_below() {
    let layers = Layers::new().await;
    let end = session_core::Timestamp::now().saturating_add(Duration::from_millis(30));
    let options = WriteOptions::default().with_expiry(Expiry::At(end));
    let _written = layers
        .overlay
        .write(&key("both"), "short".into(), options)
        .await
        .unwrap();
    while layers.get("both").await.unwrap() == "short" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(layers.get("both").await.unwrap(), "middle");
}

#[test_support::test]
async fn pages_of_all_layers_come_once() {
    let layers = Layers::new().await;
    let mut expected = layers.listed().await;
    for number in 0..40 {
        let name = format!("k:{number:02}");
        for (step, driver) in [&layers.bottom, &layers.middle, &layers.top]
            .into_iter()
            .enumerate()
        {
            if number % (step + 1) == 0 {
                driver.put(&name, "1").await.unwrap();
            }
        }
        expected.push(name);
    }
    // An overlay may itself be a layer, with marks of its own.
    layers
        .middle
        .put("k:00", "__OVERLAY_REMOVED__")
        .await
        .unwrap();
    layers.overlay.delete("k:01").await.unwrap();
    expected.retain(|name| name != "k:01");
    expected.sort();
    for limit in [1, 3, 1_000] {
        let mut options = ListOptions::default().with_limit(limit);
        let mut listed = Vec::new();
        loop {
            let page = layers.overlay.list(options.clone()).await.unwrap();
            listed.extend(page.keys.iter().map(|key| key.as_str().to_owned()));
            let Some(cursor) = page.next else { break };
            options.cursor = Some(cursor);
        }
        listed.sort();
        assert_eq!(listed, expected, "{limit}");
    }
    for cursor in ["", "9/", "0/x", "x/"] {
        let options = ListOptions::default().after(session_core::Cursor::new(cursor));
        assert!(layers.overlay.list(options).await.is_err(), "{cursor:?}");
    }
}

/// unstorage does nothing, and says nothing.
#[test_support::test]
async fn bug_a_write_to_a_driver_that_only_reads_is_an_error() {
    let entries = memory();
    entries.put("k", "1").await.unwrap();
    let driver = ReadOnly::new(entries);
    let write = Write::new(key("k"), "2");
    let errors = [
        driver.put("k", "2").await.err(),
        driver.write_many(vec![write]).await.remove(0).err(),
        driver.delete("k").await.err(),
        driver.clear(&Prefix::root()).await.err(),
        driver
            .touch(&key("k"), TouchOptions::to(Expiry::Never))
            .await
            .err(),
    ];
    for error in errors {
        assert_eq!(error.unwrap().kind(), ErrorKind::Unsupported);
    }
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "1");
}
