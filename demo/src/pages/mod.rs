//! The pages. Each file has the routes, the handlers and the HTML of one page.

pub(crate) mod cart;
pub(crate) mod counter;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod session;
