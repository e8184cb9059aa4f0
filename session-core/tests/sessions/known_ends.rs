//! Sessions over a driver that reads a value alone for less than a value with its end.

use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use session_core::session::{SessionId, SessionStore};
use session_core::{
    Bytes, Capabilities, Clock, Driver, Entry, Expiry, Key, ListOptions, ListPage, ManualClock,
    RemoveOptions, RemoveOutcome, Result, Timestamp, WriteOptions, WriteOutcome, async_trait,
};

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
            capabilities.cheap_value_reads = true;
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
    async fn write_as_foreigner(&self, id: SessionId, record: Bytes, life: Duration) {
        let key = Key::new(id.expose()).unwrap();
        let end = Expiry::At(self.clock.now().saturating_add(life));
        let options = WriteOptions::default().with_expiry(end);
        let written = self.driver.inner.write(&key, record, options);
        let _written = written.await.unwrap();
    }
}

#[tokio::test]
async fn the_end_of_a_session_is_asked_for_every_ten_seconds() {
    let world = World::new();
    let server = world.server();
    let id = stored(&server).await;
    for (pause, read) in [
        (0, "read_value"),
        (9, "read_value"),
        (1, "read"),
        (1, "read_value"),
        (8, "read_value"),
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
    for five_seconds in 1..=1_500_u32 {
        world.clock.advance(SECOND * 5);
        let cost = world.cost_of_read(&server, id, Some(1)).await;
        assert_eq!(cost[0], ["read", "read_value"][five_seconds as usize % 2]);
        if cost.contains(&"touch") {
            touches.push(five_seconds);
        }
    }
    // The hour is over by a read that needs no end, for it is known.
    assert_eq!(touches, [720, 1_440]);
    world.clock.advance(19 * HOUR);
    assert_eq!(
        world.cost_of_read(&server, id, Some(1)).await[1..],
        ["touch"]
    );
}

#[tokio::test]
async fn the_end_that_a_foreign_writer_gave_another_value_is_noticed_at_once() {
    let world = World::new();
    let server = world.server();
    let id = stored(&server).await;
    world.cost_of_read(&server, id, Some(1)).await;

    let foreign = Bytes::from_static(br#"[["Map",1,2],"n",{"data":3},7]"#);
    world.write_as_foreigner(id, foreign, 30 * SECOND).await;
    let cost = world.cost_of_read(&server, id, Some(7)).await;
    assert_eq!(cost, ["read_value", "read", "touch"]);
    world.clock.advance(31 * SECOND);
    assert_eq!(world.cost_of_read(&server, id, Some(7)).await, ["read"]);
}

#[tokio::test]
async fn the_end_that_a_foreign_writer_gave_the_same_value_is_noticed_after_ten_seconds() {
    let world = World::new();
    let server = world.server();
    let id = stored(&server).await;
    let key = Key::new(id.expose()).unwrap();
    let record = world.driver.inner.read(&key).await.unwrap().unwrap().value;

    world.write_as_foreigner(id, record, 30 * SECOND).await;
    let cost = world.cost_of_read(&server, id, Some(1)).await;
    assert_eq!(cost, ["read_value"]);
    world.clock.advance(10 * SECOND);
    let cost = world.cost_of_read(&server, id, Some(1)).await;
    assert_eq!(cost, ["read", "touch"]);
    world.clock.advance(31 * SECOND);
    assert_eq!(world.cost_of_read(&server, id, Some(1)).await, ["read"]);
}

/// A backend a millisecond away, whose answers take their time.
struct Far {
    near: Arc<AlteredMemory>,
    read_takes: Duration,
    write_takes: Duration,
}

impl Far {
    async fn answer<T>(&self, work: impl Future<Output = T>, takes: Duration) -> T {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let answer = work.await;
        tokio::time::sleep(takes).await;
        answer
    }
}

#[async_trait]
impl Driver for Far {
    fn name(&self) -> &str {
        self.near.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.near.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.answer(self.near.read(key), self.read_takes).await
    }

    async fn read_value(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.near.read_value(key);
        self.answer(read, self.read_takes).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.near.write(key, value, options);
        self.answer(write, self.write_takes).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.near.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.near.list(options).await
    }
}

/// Reads that overtake the answer to a write, and reads that it overtakes.
#[tokio::test(start_paused = true)]
async fn what_this_server_writes_meanwhile_is_not_taken_for_somebody_elses() {
    let half = Duration::from_micros(500);
    for (read_takes, write_takes) in [(half, 4 * half), (6 * half, half)] {
        let world = World::new();
        let far = Far {
            near: world.driver.clone(),
            read_takes,
            write_takes,
        };
        let server = SessionStore::builder(Arc::new(far))
            .clock(world.clock.clone())
            .idle_timeout(20 * HOUR)
            .build()
            .unwrap();
        let id = stored(&server).await;
        for offset in 0..20_u32 {
            let (reader, writer) = (request(&server, id), request(&server, id));
            writer.set("n", &(offset + 2)).unwrap();
            let read = async {
                tokio::time::sleep(half * offset).await;
                reader.get::<u32>("n").await.unwrap()
            };
            let (found, _) = tokio::join!(read, end(&writer));
            assert!(found == Some(offset + 1) || found == Some(offset + 2));
            end(&reader).await;
            let cost = world.cost_of_read(&server, id, Some(offset + 2)).await;
            assert_eq!(cost, ["read_value"], "{offset} half milliseconds after");
        }
    }
}

#[tokio::test]
async fn a_session_that_two_servers_write_soon_costs_one_read_a_request() {
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
