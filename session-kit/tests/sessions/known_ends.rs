//! Sessions over a driver that reads a value alone for less than a value with its end.

use std::sync::Arc;
use std::time::Duration;

use session_core::session::{SessionId, SessionStore};
use session_core::{Bytes, Clock, Driver, Expiry, Key, ManualClock, Timestamp, WriteOptions};
use session_kit::drivers::MemoryDriver;

use crate::fixtures::{AlteredMemory, HOUR, SharedClock, end, request, stored};

const SECOND: Duration = Duration::from_secs(1);

struct World {
    clock: Arc<ManualClock>,
    driver: Arc<AlteredMemory>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let memory = MemoryDriver::new().with_clock(SharedClock(clock.clone()));
        let driver = AlteredMemory::over(memory, Duration::ZERO, |capabilities| {
            capabilities.value_reads = true;
        });
        Self { clock, driver }
    }

    /// A server whose sessions live for 20 hours, and are kept alive once an hour.
    fn server(&self) -> SessionStore {
        SessionStore::builder(self.driver.clone())
            .clock(self.clock.clone())
            .idle_timeout(20 * HOUR)
            .build()
            .unwrap()
    }

    /// What a request costs that reads the session and finds `expected`.
    async fn cost_of_read(
        &self,
        server: &SessionStore,
        id: SessionId,
        expected: Option<u32>,
    ) -> Vec<&'static str> {
        self.driver.take();
        let session = request(server, id);
        assert_eq!(session.get::<u32>("n").await.unwrap(), expected);
        end(&session).await;
        self.driver.take()
    }

    /// Writes what a foreign writer would, for `life`.
    async fn write_as_foreigner(&self, id: SessionId, record: &'static str, life: Duration) {
        let key = Key::new(id.expose()).unwrap();
        let end = Expiry::At(self.clock.now().saturating_add(life));
        let options = WriteOptions::default().with_expiry(end);
        let written = self.driver.inner.write(&key, Bytes::from(record), options);
        let _written = written.await.unwrap();
    }
}

#[tokio::test]
async fn the_end_of_a_session_is_asked_for_once_a_minute() {
    let world = World::new();
    let server = world.server();
    let id = stored(&server).await;
    for (pause, read) in [
        (0, "read_value"),
        (59, "read_value"),
        (1, "read"),
        (1, "read_value"),
        (58, "read_value"),
        (1, "read"),
    ] {
        world.clock.advance(SECOND * pause);
        assert_eq!(world.cost_of_read(&server, id, Some(1)).await, [read]);
    }
}

#[tokio::test]
async fn a_session_in_use_is_kept_alive_as_often_as_with_its_end_read_each_time() {
    let world = World::new();
    let server = world.server();
    let id = stored(&server).await;
    let mut touches = Vec::new();
    for minute in 1..=125_u32 {
        world.clock.advance(SECOND * 30);
        let cost = world.cost_of_read(&server, id, Some(1)).await;
        assert!(!cost.contains(&"touch"), "between two minutes");
        world.clock.advance(SECOND * 30);
        let cost = world.cost_of_read(&server, id, Some(1)).await;
        if cost.contains(&"touch") {
            touches.push(minute);
        }
    }
    assert_eq!(touches, [60, 120]);
    world.clock.advance(19 * HOUR);
    assert_eq!(
        world.cost_of_read(&server, id, Some(1)).await[1..],
        ["touch"]
    );
}

#[tokio::test]
async fn the_end_that_a_foreign_writer_gave_another_value_is_noticed() {
    let world = World::new();
    let server = world.server();
    let id = stored(&server).await;
    world.cost_of_read(&server, id, Some(1)).await;

    let foreign = r#"[["Map",1,2],"n",{"data":3},7]"#;
    world.write_as_foreigner(id, foreign, 30 * SECOND).await;
    let cost = world.cost_of_read(&server, id, Some(7)).await;
    assert_eq!(cost, ["read_value", "read", "touch"]);
    world.clock.advance(31 * SECOND);
    assert_eq!(world.cost_of_read(&server, id, Some(7)).await, ["read"]);
}

#[tokio::test]
async fn a_session_that_two_servers_write_costs_one_read_a_request() {
    let world = World::new();
    let (one, other) = (world.server(), world.server());
    let id = stored(&one).await;
    let mut costs = Vec::new();
    for round in 0..4 {
        let server = if round % 2 == 0 { &other } else { &one };
        world.driver.take();
        let session = request(server, id);
        let n = session.get::<u32>("n").await.unwrap().unwrap();
        session.set("n", &(n + 1)).unwrap();
        end(&session).await;
        costs.push(world.driver.take());
    }
    // The first server is told once that it is not the only one.
    let expected: [&[&str]; 4] = [
        &["read", "write"],
        &["read_value", "read", "write"],
        &["read_value", "read", "write"],
        &["read", "write"],
    ];
    assert_eq!(costs, expected);
    world.clock.advance(61 * SECOND);
    assert_eq!(world.cost_of_read(&one, id, Some(5)).await, ["read"]);
    assert_eq!(world.cost_of_read(&one, id, Some(5)).await, ["read_value"]);
}

#[tokio::test]
async fn a_session_that_another_server_ended_is_gone() {
    let world = World::new();
    let (one, other) = (world.server(), world.server());
    let id = stored(&one).await;
    other.destroy(id).await.unwrap();
    assert_eq!(world.cost_of_read(&one, id, None).await, ["read_value"]);
    assert_eq!(world.cost_of_read(&one, id, None).await, ["read"]);
}

#[tokio::test]
async fn a_session_that_another_server_moved_is_not_seen_under_its_old_id() {
    let world = World::new();
    let (one, other) = (world.server(), world.server());
    let id = stored(&one).await;
    let session = request(&other, id);
    session.regenerate().unwrap();
    end(&session).await;
    let cost = world.cost_of_read(&one, id, None).await;
    assert_eq!(cost, ["read_value", "read"]);
    let cost = world.cost_of_read(&other, id, None).await;
    assert_eq!(cost, ["read"]);
}
