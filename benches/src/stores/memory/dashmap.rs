use bytes::Bytes;
use dashmap::DashMap;

use super::ours::key_text;
use crate::stores::{Store, VALUE_LENGTH};

/// A bare map.
#[derive(Default)]
pub(crate) struct DashMapStore(pub(crate) DashMap<String, Bytes>);

impl Store for DashMapStore {
    const NAME: &'static str = "bare dashmap";
    const NOTE: &'static str =
        "`DashMap<String, Bytes>` with its defaults; commits are not conditional";

    type Key = (String, Bytes);

    fn key(&self, session: usize) -> (String, Bytes) {
        (key_text(session), Bytes::from(vec![b'x'; VALUE_LENGTH]))
    }

    async fn read(&self, _caller: usize, (key, _): &(String, Bytes)) -> usize {
        let value = self.0.get(key).expect("a session").clone();
        value.len()
    }

    async fn write(&self, _caller: usize, (key, value): &(String, Bytes)) {
        self.0.insert(key.clone(), value.clone());
    }

    async fn commit(&self, caller: usize, session: &(String, Bytes)) {
        std::hint::black_box(self.read(caller, session).await);
        self.write(caller, session).await;
    }
}
