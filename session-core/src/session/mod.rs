//! Sessions, their store and their cookie.
