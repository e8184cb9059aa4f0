//! Servers in processes of their own.

use std::path::Path;
use std::process::Stdio;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
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

/// An example of this crate in a process of its own, which is stopped when this value is dropped.
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
        let (status, cookie) = (response.status(), cookie_of(response.headers()));
        Answer {
            status,
            cookie,
            body: response.text().await.unwrap(),
        }
    }
}
