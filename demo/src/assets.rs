//! The stylesheet and the icon, compiled into the binary.

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// A static file. Its URL contains a hash of its content, so browsers may cache it for ever.
#[derive(Clone, Copy)]
pub(crate) struct Asset {
    name: &'static str,
    extension: &'static str,
    media_type: &'static str,
    content: &'static str,
}

pub(crate) const STYLE: Asset = Asset {
    name: "style",
    extension: "css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("assets/style.css"),
};

pub(crate) const ICON: Asset = Asset {
    name: "icon",
    extension: "svg",
    media_type: "image/svg+xml",
    content: include_str!("assets/icon.svg"),
};

pub(crate) fn routes() -> Router {
    [STYLE, ICON]
        .into_iter()
        .fold(Router::new(), |router, asset| {
            router.route(&asset.path(), get(asset))
        })
}

impl Asset {
    pub(crate) fn path(&self) -> String {
        let content = fnv1a(self.content.as_bytes());
        format!("/{}-{content:016x}.{}", self.name, self.extension)
    }
}

impl IntoResponse for Asset {
    fn into_response(self) -> Response {
        let headers = [
            (CONTENT_TYPE, self.media_type),
            (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        (headers, self.content).into_response()
    }
}

/// Hashes the content for the URL. It is not a cryptographic hash.
const fn fnv1a(mut bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        bytes = rest;
    }
    hash
}
