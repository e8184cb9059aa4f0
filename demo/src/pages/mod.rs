//! One file a page: its routes, what they do to the session, and how it looks.

pub(crate) mod cart;
pub(crate) mod counter;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod session;
