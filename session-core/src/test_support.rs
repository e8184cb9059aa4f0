use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Capabilities, Driver, Entry, Key, ListOptions, ListPage, RemoveOptions, RemoveOutcome, Result,
    WriteOptions, WriteOutcome,
};

/// A driver whose backend never answers.
pub(crate) struct Stuck;

#[async_trait]
impl Driver for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    async fn read(&self, _key: &Key) -> Result<Option<Entry>> {
        std::future::pending().await
    }

    async fn write(
        &self,
        _key: &Key,
        _value: Bytes,
        _options: WriteOptions,
    ) -> Result<WriteOutcome> {
        std::future::pending().await
    }

    async fn remove(&self, _key: &Key, _options: RemoveOptions) -> Result<RemoveOutcome> {
        std::future::pending().await
    }

    async fn list(&self, _options: ListOptions) -> Result<ListPage> {
        std::future::pending().await
    }
}
