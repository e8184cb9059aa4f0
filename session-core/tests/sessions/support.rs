//! What these tests share: a browser for an application in this process, and a Cloudflare KV.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use session_core::Driver;
use test_support::CloudflareKv;
use tower::ServiceExt;

/// Sessions in Cloudflare KV, in a namespace of their own.
pub(crate) fn cloudflare_kv() -> Arc<dyn Driver> {
    let kv = CloudflareKv::shared();
    let options =
        CloudflareKvOptions::new(CloudflareKv::ACCOUNT, kv.namespace(), CloudflareKv::TOKEN)
            .with_api_url(kv.api_url())
            .with_prefix("sessions")
            // A machine of tests may be busy.
            .with_timeout(Duration::from_secs(60));
    Arc::new(CloudflareKvDriver::open(options).unwrap())
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The cookie that it set, as a request sends it back; empty for one that it took away.
    pub(crate) cookie: Option<String>,
}

fn cookie_of(headers: &HeaderMap) -> Option<String> {
    let cookie = headers.get(SET_COOKIE)?.to_str().unwrap();
    let pair = cookie.split(';').next().unwrap_or_default();
    let removed = cookie.contains("Max-Age=0");
    Some(if removed {
        String::new()
    } else {
        pair.to_owned()
    })
}

/// A visitor who keeps the cookie that the last response set.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: String,
}

impl Browser {
    pub(crate) async fn get(&mut self, app: &Router, uri: &str) -> Answer {
        let answer = self.send(app, uri.to_owned()).await;
        if let Some(cookie) = &answer.cookie {
            self.cookie.clone_from(cookie);
        }
        answer
    }

    /// Sends the cookie, and leaves it as it is.
    pub(crate) async fn send(&self, app: &Router, uri: String) -> Answer {
        let request = Request::get(uri)
            .header(COOKIE, &self.cookie)
            .body(Body::empty())
            .unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            cookie: cookie_of(&parts.headers),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// The session id in the cookie.
    pub(crate) fn id(&self) -> &str {
        self.cookie.split_once('=').unwrap().1
    }
}
