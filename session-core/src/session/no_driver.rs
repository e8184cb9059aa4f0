use async_trait::async_trait;

use crate::{
    Bytes, Capabilities, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage,
    RemoveOptions, RemoveOutcome, Result, WriteOptions, WriteOutcome,
};

/// Stands where a driver stands in a store whose sessions are kept in cookies, and refuses everything.
#[derive(Debug)]
pub(crate) struct NoDriver;

fn refused<T>(operation: &'static str) -> Result<T> {
    Err(Error::new(
        ErrorKind::Unsupported,
        "sessions are kept in the visitors' cookies, so that the server has only that of the request; keep them in a \
         driver to open, list or destroy others",
    )
    .with_context("cookie", operation))
}

#[async_trait]
impl Driver for NoDriver {
    fn name(&self) -> &str {
        "cookie"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_reports_expiry(true)
    }

    async fn read(&self, _key: &Key) -> Result<Option<Entry>> {
        refused("read")
    }

    async fn write(
        &self,
        _key: &Key,
        _value: Bytes,
        _options: WriteOptions,
    ) -> Result<WriteOutcome> {
        refused("write")
    }

    async fn remove(&self, _key: &Key, _options: RemoveOptions) -> Result<RemoveOutcome> {
        refused("remove")
    }

    async fn list(&self, _options: ListOptions) -> Result<ListPage> {
        refused("list")
    }
}
