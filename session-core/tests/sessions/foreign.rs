//! What other programs stored stays as it is, and what is stored can be read again.

use std::sync::Arc;

use driver_memory::MemoryDriver;
use serde_devalue::{Custom, Value};
use session_core::session::{Session, SessionId, SessionManager};
use session_core::{DriverExt, ErrorKind, Result};

const ID: &str = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";

struct Store {
    driver: Arc<MemoryDriver>,
    manager: SessionManager,
}

impl Store {
    fn new() -> Self {
        let driver = Arc::new(MemoryDriver::new());
        let manager = SessionManager::new(Arc::clone(&driver));
        Self { driver, manager }
    }

    async fn with(record: &str) -> Self {
        let store = Self::new();
        store.driver.put(ID, record.to_owned()).await.unwrap();
        store
    }

    async fn session(&self) -> Session {
        let id = ID.parse::<SessionId>().unwrap();
        self.manager.open(id).await.unwrap().unwrap()
    }

    async fn stored(&self) -> String {
        let bytes = self.driver.get(ID).await.unwrap().unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}

#[test_support::test]
async fn a_commit_copies_what_it_does_not_change_as_text() -> Result<()> {
    for value in [
        r#"["URL",4],"https://xn--a/""#,
        r#"["URL",4],"file:////server/x""#,
        r#"["Date","2026-03-04T05:06:07Z"]"#,
        r#"["Temporal.PlainDate","2026-03-04"]"#,
        r#"["Odd",{"x":4}],"<shared>""#,
        r#"{ "b" : 4 , "1" : -3 },1.50"#,
    ] {
        let record = format!(r#"[["Map",1,2],"foreign",{{"data":3,"expires":-1}},{value}]"#);
        let store = Store::with(&record).await;
        let session = store.session().await;
        session.set("mine", &1)?;
        session.save().await?;
        assert!(
            store.stored().await.contains(value),
            "{}",
            store.stored().await
        );
        let session = store.session().await;
        assert_eq!(session.get::<u8>("mine").await?, Some(1));
        session.remove("mine")?;
        session.save().await?;
        assert!(
            store.stored().await.contains(value),
            "{}",
            store.stored().await
        );
    }
    Ok(())
}

#[test_support::test]
async fn a_text_that_many_items_share_makes_no_commit_fail() -> Result<()> {
    let text = "x".repeat(6_000);
    let items: String = (0..3_000).map(|item| format!(",{}", item + 5)).collect();
    let record = format!(
        r#"[["Map",1,2],"list",{{"data":3,"expires":-1}},[{}],"{text}"{}]"#,
        &items[1..],
        r#",{"text":4}"#.repeat(3_000),
    );
    let store = Store::with(&record).await;
    let session = store.session().await;
    session.set("mine", &1)?;
    session.save().await?;
    let stored = store.stored().await;
    assert_eq!(stored.matches(&text).count(), 1);
    let error = store
        .session()
        .await
        .get::<Value>("list")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert_eq!(store.session().await.get::<u8>("mine").await?, Some(1));
    Ok(())
}

#[test_support::test]
async fn what_could_not_be_read_again_is_refused_when_it_is_set() -> Result<()> {
    let session = Store::new().manager.create();
    let error = session
        .set("list", &vec!["y".repeat(2_000); 5_000])
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unserializable);
    assert!(error.to_string().contains("Limits::expansion"), "{error}");
    let custom = Custom {
        tag: "Money".to_owned(),
        value: 1.into(),
    };
    let temporal = serde_devalue::from_str(r#"[["Temporal.Instant","2026-03-04T05:06:07Z"]]"#);
    for value in [Value::Custom(Box::new(custom)), temporal.unwrap()] {
        let error = session.set("value", &value).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unserializable, "{error}");
    }
    assert!(session.keys().await?.is_empty());
    let list = vec!["y".repeat(2_000); 500];
    session.set("list", &list)?;
    session.save().await?;
    assert_eq!(session.get::<Vec<String>>("list").await?, Some(list));
    Ok(())
}

#[test_support::test]
async fn a_record_above_the_limit_is_not_read() -> Result<()> {
    let record = format!(
        r#"[["Map",1,2],"a",{{"data":3,"expires":-1}},"{}"]"#,
        "x".repeat(2_000)
    );
    let store = Store::with(&record).await;
    let mut settings = store.manager.settings().clone();
    settings.max_record_size = 1_000;
    let manager = store.manager.with_settings(settings)?;
    let error = manager
        .open(ID.parse::<SessionId>().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("max_record_size"), "{error}");
    assert_eq!(store.stored().await, record);
    Ok(())
}

#[test_support::test]
async fn what_another_program_writes_counts_although_the_old_record_is_cached() -> Result<()> {
    for record_cache in [0, 1 << 20] {
        let record = |value| format!(r#"[["Map",1,2],"a",{{"data":3,"expires":-1}},{value}]"#);
        let store = Store::with(&record(1)).await;
        let mut settings = store.manager.settings().clone();
        settings.record_cache = record_cache;
        let manager = store.manager.with_settings(settings)?;
        let read = async || {
            let session = manager.open(ID.parse::<SessionId>().unwrap()).await?;
            session.unwrap().get::<u8>("a").await
        };
        assert_eq!([read().await?, read().await?], [Some(1), Some(1)]);
        store.driver.put(ID, record(2)).await?;
        assert_eq!(read().await?, Some(2));
        let session = manager.open(ID.parse::<SessionId>().unwrap()).await?;
        let session = session.unwrap();
        session.set("a", &3)?;
        session.save().await?;
        assert_eq!(read().await?, Some(3));
        store.driver.put(ID, record(4)).await?;
        assert_eq!(read().await?, Some(4));
    }
    Ok(())
}
