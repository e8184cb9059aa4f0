use bytes::Bytes;
use fred::clients::Client;
use fred::prelude::{ClientLike, KeysInterface, LuaInterface};
use fred::types::config::Config;
use fred::types::{Expiration, Value};

use super::bare::{LIFE, SET_IF_EQUAL};
use crate::stores::memory::key_text;
use crate::stores::{Store, VALUE_LENGTH};

/// The bare client of the store of tower-sessions.
pub(super) struct Fred(Client);

/// Opens a client with one connection.
pub(crate) async fn connect(server: &str) -> Client {
    let client = Client::new(Config::from_url(server).expect("a URL"), None, None, None);
    client.init().await.expect("a connection");
    client
}

impl Fred {
    pub(super) async fn open(server: String) -> Self {
        let client = connect(&server).await;
        Self(client)
    }

    async fn get(&self, key: &str) -> Bytes {
        let value: Option<Bytes> = self.0.get(key).await.expect("a read");
        value.expect("a session")
    }
}

impl Store for Fred {
    const NAME: &'static str = "bare fred";
    const NOTE: &'static str = "the client that tower-sessions' store is made with, its defaults, so without a \
                                timeout; commits are conditional";

    type Key = (String, Bytes);

    fn key(&self, session: usize) -> Self::Key {
        (key_text(session), Bytes::from(vec![b'x'; VALUE_LENGTH]))
    }

    async fn read(&self, _caller: usize, session: &Self::Key) -> usize {
        self.get(&session.0).await.len()
    }

    async fn write(&self, _caller: usize, (key, value): &Self::Key) {
        let life = Some(Expiration::PX(LIFE.cast_signed()));
        let written = self.0.set(key.as_str(), value.clone(), life, None, false);
        let () = written.await.expect("a write");
    }

    async fn commit(&self, _caller: usize, (key, value): &Self::Key) {
        let old = self.get(key).await;
        let arguments: Vec<Value> = vec![old.into(), value.clone().into(), LIFE.to_string().into()];
        let hash = SET_IF_EQUAL.get_hash();
        let reply = self.0.evalsha(hash, key.as_str(), arguments);
        let changed: i64 = reply.await.expect("a loaded script");
        assert_eq!(changed, 1);
    }
}
