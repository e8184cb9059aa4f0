//! The driver on systems other than Unix, where it cannot be opened.

use std::convert::Infallible;

use bytes::Bytes;
use session_core::{
    Capabilities, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage, RemoveOptions,
    RemoveOutcome, Result, WriteOptions, WriteOutcome, async_trait,
};

use crate::FsOptions;

/// A driver that stores entries as files in a folder. It needs a Unix system.
#[derive(Debug)]
pub struct FsDriver(Infallible);

impl FsDriver {
    /// Fails with an error of kind [`Unsupported`](ErrorKind::Unsupported).
    pub async fn open(options: FsOptions) -> Result<Self> {
        let refused = options.check().and(Err(Error::new(
            ErrorKind::Unsupported,
            "this driver needs a Unix system, for locks of files (`flock`); use the driver `sqlite` instead",
        )));
        refused.map_err(|error: Error| error.with_context("fs", "open"))
    }
}

#[async_trait]
impl Driver for FsDriver {
    fn name(&self) -> &str {
        match self.0 {}
    }

    fn capabilities(&self) -> Capabilities {
        match self.0 {}
    }

    async fn read(&self, _key: &Key) -> Result<Option<Entry>> {
        match self.0 {}
    }

    async fn write(
        &self,
        _key: &Key,
        _value: Bytes,
        _options: WriteOptions,
    ) -> Result<WriteOutcome> {
        match self.0 {}
    }

    async fn remove(&self, _key: &Key, _options: RemoveOptions) -> Result<RemoveOutcome> {
        match self.0 {}
    }

    async fn list(&self, _options: ListOptions) -> Result<ListPage> {
        match self.0 {}
    }
}
