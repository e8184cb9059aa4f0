//! Reads the content of a file.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, Result, pread, retry_on_intr};

/// The longest value.
pub(crate) const MAX_VALUE_SIZE: usize = 64 * 1024 * 1024;

/// How much the first call reads. Most values are shorter, and need no other call.
const FIRST: usize = 16 * 1024;

/// The content of a file.
pub(crate) enum Content {
    Value(Bytes),
    /// The file is longer than a value may be.
    TooLong,
    /// It is not a file, but a folder.
    Folder,
}

/// Reads a whole file from its start.
pub(crate) fn read(file: &OwnedFd) -> Result<Content> {
    let mut first = [const { MaybeUninit::<u8>::uninit() }; FIRST];
    let mut value = match pread(file, &mut first, 0) {
        Ok((read, [_, ..])) => return Ok(Content::Value(Bytes::copy_from_slice(read))),
        Ok((read, [])) => read.to_vec(),
        Err(Errno::ISDIR) => return Ok(Content::Folder),
        Err(error) => return Err(error),
    };
    loop {
        if value.len() > MAX_VALUE_SIZE {
            return Ok(Content::TooLong);
        }
        value.reserve(value.len());
        let offset = u64::try_from(value.len()).unwrap_or(u64::MAX);
        if retry_on_intr(|| pread(file, spare_capacity(&mut value), offset))? == 0 {
            value.shrink_to_fit();
            return Ok(Content::Value(value.into()));
        }
    }
}
