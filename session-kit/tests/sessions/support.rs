//! What these tests share: a browser for an application in this process, and servers in processes of their own.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use session_kit::Driver;
use session_kit::drivers::{CloudflareKvDriver, CloudflareKvOptions};
use test_support::CloudflareKv;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
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

/// An example of this crate in a process of its own, which ends with this value.
pub(crate) struct Server {
    address: String,
    client: reqwest::Client,
    _process: Child,
}

impl Server {
    /// Starts the example `name` in `folder`; the first line that it prints is its address.
    pub(crate) async fn start(name: &str, folder: &Path, argument: &str) -> Self {
        let mut executable = std::env::current_exe().unwrap();
        executable.pop();
        executable.set_file_name("examples");
        executable.push(name);
        let mut process = Command::new(executable)
            .arg(argument)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("build the examples of session-kit first: {error}"));
        let stdout = process.stdout.take().unwrap();
        let address = BufReader::new(stdout).lines().next_line().await.unwrap();
        Self {
            address: address.expect("the server printed no address"),
            client: reqwest::Client::new(),
            _process: process,
        }
    }

    pub(crate) async fn get(&self, path: &str, cookie: Option<String>) -> Answer {
        let mut request = self.client.get(format!("{}{path}", self.address));
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer {
            status,
            cookie: cookie_of(&headers),
            headers,
            body: response.text().await.unwrap(),
        }
    }
}
