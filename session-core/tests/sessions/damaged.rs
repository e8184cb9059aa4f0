//! Records and values that cannot be read stand in nobody's way.

use std::sync::Arc;

use driver_memory::MemoryDriver;
use http::StatusCode;
use parking_lot::Mutex;
use session_core::session::*;
use session_core::*;

use crate::fixtures::*;

const DAMAGED: &str = r#"[["Map",1,2],"n""#;

#[test_support::test]
async fn a_damaged_record_is_an_error_of_reads_and_stays_as_it_is() {
    let (store, _, driver) = clocked(|builder| builder);
    let id = SessionId::random();
    driver.put(id.expose(), DAMAGED).await.unwrap();
    let session = request(&store, id);
    for _ in 0..2 {
        let error = session.get::<u32>("n").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptData);
    }
    session.set("n", &1).unwrap();
    let failure = session.commit(StatusCode::OK).await.failure.unwrap();
    assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(driver.get(id.expose()).await.unwrap().unwrap(), DAMAGED);
}

#[test_support::test]
async fn a_record_over_the_limit_is_an_error_of_reads_too() {
    let (store, _, driver) = clocked(|builder| builder.max_record_size(1_000));
    let id = SessionId::random();
    let text = "y".repeat(1_000);
    let record = format!(r#"[["Map",1,2],"n",{{"data":3,"expires":-1}},"{text}"]"#);
    driver.put(id.expose(), record).await.unwrap();
    let error = request(&store, id).get::<String>("n").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test_support::test]
async fn a_visitor_with_a_damaged_record_can_log_in_and_out() {
    let (store, _, driver) = clocked(|builder| builder);
    let id = SessionId::random();
    driver.put(id.expose(), DAMAGED).await.unwrap();
    let login = request(&store, id);
    login.regenerate().unwrap();
    login.set("user", "ann").unwrap();
    end(&login).await;
    let session = store.open(login.id().unwrap()).await.unwrap().unwrap();
    assert_eq!(session.keys().await.unwrap(), ["user"]);
    assert!(store.open(id).await.unwrap().is_none());

    driver.put(id.expose(), DAMAGED).await.unwrap();
    request(&store, id).destroy().await.unwrap();
    assert_eq!(driver.get(id.expose()).await.unwrap(), None);
}

#[test_support::test]
async fn damaged_records_can_be_passed_over_with_an_alarm_when_there_are_many() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let driver = Arc::new(MemoryDriver::new());
    let store = SessionManager::builder(Arc::clone(&driver))
        .on_corrupt_record(OnCorruptRecord::Discard)
        .on_event(move |event| seen.lock().push(format!("{event:?}")))
        .build()
        .unwrap();
    for _ in 0..12 {
        let id = SessionId::random();
        driver.put(id.expose(), DAMAGED).await.unwrap();
        let session = request(&store, id);
        assert_eq!(session.get::<u32>("n").await.unwrap(), None);
        session.set("n", &1).unwrap();
        end(&session).await;
        assert_ne!(session.id(), Some(id));
        assert_eq!(driver.get(id.expose()).await.unwrap().unwrap(), DAMAGED);
    }
    let events = events.lock();
    let alarms = events
        .iter()
        .filter(|event| event.contains("ManyCorruptRecords"));
    assert_eq!(alarms.count(), 1);
    assert_eq!(events.len(), 13);
}

#[test_support::test]
async fn a_lenient_key_takes_a_value_of_another_type_as_missing() {
    const COUNT: TypedKey<u32> = TypedKey::new("count");
    let (store, events) = observed(MemoryDriver::new());
    let session = store.create();
    session.set("count", "three").unwrap();
    session.save().await.unwrap();
    assert_eq!(
        session.get(COUNT).await.unwrap_err().kind(),
        ErrorKind::WrongType
    );
    assert_eq!(session.get(COUNT.lenient()).await.unwrap(), None);
    assert!(events.lock()[0].starts_with("WrongType"));
    let count = session
        .update(COUNT.lenient(), |count| count.unwrap_or(0) + 1)
        .await;
    assert_eq!(count.unwrap(), 1);

    session_data! {
        struct Visitor {
            count: u32 = 5 => lenient,
        }
    }
    session.set("count", "four").unwrap();
    let visitor = session.typed::<Visitor>();
    assert_eq!(visitor.get(Visitor::count).await.unwrap(), 5);
    assert_eq!(visitor.data().await.unwrap().count, 5);
}
