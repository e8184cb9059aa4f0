use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Script, Value};

use crate::stores::memory::key_text;
use crate::stores::{Store, VALUE_LENGTH};

/// The ttl of a session in milliseconds.
pub(super) const LIFE: u64 = 24 * 60 * 60 * 1_000;

/// The script of `driver-redis`.
pub(super) static SET_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local current = redis.call('GET', KEYS[1])
if current ~= ARGV[1] then
  if not current then return false end
  return {current, redis.call('PTTL', KEYS[1])}
end
if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('SET', KEYS[1], ARGV[2]) end
return 1",
    )
});

/// The method for conditional writes.
#[derive(Clone, Copy)]
pub(super) enum Commit {
    Script,
    /// `SET … IFEQ`.
    IfEqual,
}

/// A multiplexed connection of the `redis` crate, shared by all callers.
pub(super) struct Bare {
    connection: MultiplexedConnection,
    commit: Commit,
}

impl Bare {
    pub(super) async fn open(server: String, commit: Commit) -> Self {
        Self::open_with(server, commit, AsyncConnectionConfig::new()).await
    }

    async fn open_with(server: String, commit: Commit, config: AsyncConnectionConfig) -> Self {
        let client = Client::open(server).expect("a URL");
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await;
        let mut connection = connection.expect("a connection");
        if let Commit::Script = commit {
            let invocation = SET_IF_EQUAL.prepare_invoke();
            let loaded = invocation.load_async(&mut connection).await;
            loaded.expect("a script");
        }
        Self { connection, commit }
    }

    async fn ask(&self, command: &Cmd) -> Value {
        let mut connection = self.connection.clone();
        let reply = connection.send_packed_command(command).await;
        reply.expect("a reply")
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        match self.ask(&Cmd::get(key)).await {
            Value::BulkString(value) => value,
            _ => panic!("the session exists"),
        }
    }

    async fn set(&self, session: &Session) {
        let command = Cmd::pset_ex(&session.key, &session.value, LIFE);
        assert_eq!(self.ask(&command).await, Value::Okay);
    }

    async fn commit(&self, session: &Session) {
        let old = self.get(&session.key).await;
        let reply = match self.commit {
            Commit::Script => {
                let mut command = redis::cmd("EVALSHA");
                command
                    .arg(SET_IF_EQUAL.get_hash())
                    .arg(1)
                    .arg(&session.key);
                command.arg(old).arg(&session.value).arg(LIFE);
                self.ask(&command).await
            }
            Commit::IfEqual => {
                let mut command = redis::cmd("SET");
                command
                    .arg(&session.key)
                    .arg(&session.value)
                    .arg("PX")
                    .arg(LIFE);
                command.arg("IFEQ").arg(old);
                self.ask(&command).await
            }
        };
        assert!(matches!(reply, Value::Okay | Value::Int(1)), "{reply:?}");
    }
}

/// A key and its value.
pub(super) struct Session {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

impl Session {
    pub(super) fn new(session: usize) -> Self {
        Self {
            key: key_text(session),
            value: vec![b'x'; VALUE_LENGTH],
        }
    }
}

impl Store for Bare {
    const NAME: &'static str = "bare redis, timeouts";
    const NOTE: &'static str = "the same with its defaults, which include a timeout for each call";

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        Session::new(session)
    }

    async fn read(&self, _caller: usize, session: &Session) -> usize {
        self.get(&session.key).await.len()
    }

    async fn write(&self, _caller: usize, session: &Session) {
        self.set(session).await;
    }

    async fn commit(&self, _caller: usize, session: &Session) {
        self.commit(session).await;
    }
}

/// The same without timeouts.
pub(super) struct Untimed(Bare);

impl Untimed {
    pub(super) async fn open(server: String, commit: Commit) -> Self {
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        Self(Bare::open_with(server, commit, config).await)
    }
}

impl Store for Untimed {
    const NAME: &'static str = "bare redis";
    const NOTE: &'static str = "the limit: its multiplexed connection, on which a call may hang for ever; a read is `GET`, \
                                a commit `GET` and the conditional command, a write `PSETEX`";

    type Key = Session;

    fn key(&self, session: usize) -> Session {
        Session::new(session)
    }

    async fn read(&self, caller: usize, session: &Session) -> usize {
        self.0.read(caller, session).await
    }

    async fn write(&self, caller: usize, session: &Session) {
        self.0.write(caller, session).await;
    }

    async fn commit(&self, _caller: usize, session: &Session) {
        self.0.commit(session).await;
    }
}
