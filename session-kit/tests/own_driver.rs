//! A driver can be written, tested and used with `session-kit` as the only dependency of ours.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use session_kit::config::{ConfigContext, NoOptions, Options};
use session_kit::{
    Bytes, Capabilities, Driver, DriverExt, Entry, Error, Key, ListOptions, ListPage,
    RemoveOptions, RemoveOutcome, Result, SessionManager, WriteCondition, WriteOptions,
    WriteOutcome, async_trait,
};

#[derive(Debug, Default)]
struct Shelf(Mutex<BTreeMap<Key, Entry>>);

#[async_trait]
impl Driver for Shelf {
    fn name(&self) -> &str {
        "shelf"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        Ok(self.0.lock().get(key).cloned())
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        if options.condition != WriteCondition::Always {
            return Err(Error::unsupported(self.name(), "conditional write"));
        }
        self.0.lock().insert(key.clone(), Entry::new(value));
        Ok(WriteOutcome::written(None))
    }

    async fn remove(&self, key: &Key, _options: RemoveOptions) -> Result<RemoveOutcome> {
        self.0.lock().remove(key);
        Ok(RemoveOutcome::Removed)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let entries = self.0.lock();
        let keys = entries.keys().filter(|key| options.prefix.contains(key));
        Ok(ListPage::new(keys.cloned().collect(), None))
    }
}

#[test_support::test]
async fn a_driver_of_ones_own_needs_no_other_crate() {
    let mut registry = session_kit::registry();
    registry.register_with("shelf", |_: NoOptions, _| async { Ok(Shelf::default()) });
    let context = ConfigContext::default();
    let driver = registry.open("shelf", Options::new(), &context).await;
    let driver: Arc<dyn Driver> = driver.unwrap();
    driver.put("greeting", "hello").await.unwrap();

    let sessions = SessionManager::new(driver);
    let session = sessions.create();
    session.set("name", "Ann").unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let stored = sessions.open(id).await.unwrap().unwrap();
    assert_eq!(
        stored.get::<String>("name").await.unwrap().as_deref(),
        Some("Ann")
    );
}

/// The names that a `pub use` of `session_core` in `source` exports.
fn names(source: &str, prefix: &str) -> Vec<String> {
    let uses = source.split("pub use ").skip(1);
    uses.filter_map(|item| item.split_once(';'))
        .filter(|(path, _)| path.starts_with(prefix))
        .flat_map(|(path, _)| {
            let list = path.rsplit("::").next().unwrap_or(path);
            let list = path.split_once('{').map_or(list, |(_, list)| list);
            let words = list.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            words.filter(|word| !word.is_empty()).map(str::to_owned)
        })
        .collect()
}

#[test]
fn the_facade_has_every_name_of_the_core() {
    let core = names(include_str!("../../session-core/src/lib.rs"), "");
    assert!(core.contains(&"WriteOutcome".to_owned()), "{core:?}");
    let kit = names(include_str!("../src/lib.rs"), "session_core::{");
    for name in core {
        assert!(kit.contains(&name), "session-kit does not export `{name}`");
    }
}
