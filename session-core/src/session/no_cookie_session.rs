//! A placeholder for sessions in cookies when the feature `cookie-session` is off.

use http::HeaderValue;

use super::commit::{CommitInput, CommitOutput};
use super::manager::ManagerInner;
use super::state::Base;
use crate::Result;

#[derive(Clone, Debug)]
pub(crate) enum CookieSessionOptions {}

#[derive(Debug)]
pub(crate) enum CookieBacking {}

impl CookieBacking {
    pub(crate) fn open(&self, _store: &ManagerInner, _request: &[HeaderValue]) -> Base {
        match *self {}
    }

    pub(crate) fn commit(
        &self,
        _store: &ManagerInner,
        _work: &CommitInput,
        _request: &[HeaderValue],
    ) -> Result<CommitOutput> {
        match *self {}
    }

    pub(crate) fn names(&self, _request: &[HeaderValue], _name: &str) -> Vec<String> {
        match *self {}
    }
}
