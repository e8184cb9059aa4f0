//! Recognises requests that programs on this machine send to it by a loopback name.
//!
//! A page of any site can make a browser on this machine send requests to a loopback address, and by a name of its own
//! that it points there. Such a request has that name in `Host`, or the site in `Origin`.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode};

use crate::response::Rejection;

/// Rejects a request with a foreign `Host` or `Origin`. One without these headers is not from a browser.
pub(crate) fn check(request: &Parts) -> Result<(), Rejection> {
    let mut hosts = request.headers.get_all(HOST).iter().map(authority);
    let in_uri = request.uri.authority().cloned().map(Some);
    let host = in_uri.or_else(|| hosts.next());
    let is_local = match &host {
        None => true,
        Some(Some(host)) => is_loopback(host) && hosts.all(|other| other.as_ref() == Some(host)),
        Some(None) => false,
    };
    if !is_local {
        return Err(forbidden(
            "this service can only be used by a loopback name, such as localhost",
        ));
    }
    let is_own = |origin: &HeaderValue| {
        let origin = origin.to_str().ok();
        let origin = origin.and_then(|origin| origin.split_once("://"));
        let origin = origin.and_then(|(_scheme, host)| host.parse::<Authority>().ok());
        origin.is_some() && host.as_ref().and_then(Option::as_ref) == origin.as_ref()
    };
    match request.headers.get_all(ORIGIN).iter().all(is_own) {
        true => Ok(()),
        false => Err(forbidden(
            "this service cannot be used by pages of other origins",
        )),
    }
}

fn authority(value: &HeaderValue) -> Option<Authority> {
    value.to_str().ok()?.parse().ok()
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn forbidden(message: &str) -> Rejection {
    Rejection::new(StatusCode::FORBIDDEN, message)
}
