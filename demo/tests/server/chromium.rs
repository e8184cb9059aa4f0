//! A real browser: headless Chromium, controlled with the WebDriver protocol.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fantoccini::cookies::Cookie;
use fantoccini::elements::Element;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{Peer, free_port, step};

use crate::browser::COOKIE;
use crate::program::Server;

/// A generous limit, so that a test that hangs fails with a reason.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with a new profile. It is closed when this value is dropped.
pub(crate) struct Chromium {
    client: Client,
    /// The prefix of its screenshots.
    name: &'static str,
    _driver: Peer,
    _profile: TempDir,
}

impl Chromium {
    pub(crate) async fn start(name: &'static str) -> Self {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}"));
        let driver = Peer::start(command);
        tokio::task::block_in_place(|| driver.wait_for_port(port));
        let profile = TempDir::new().unwrap();
        let options = json!({
            "args": [
                "--headless",
                // The sandbox does not work for root, as in containers.
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                // Only the demo may be contacted.
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // Two tabs must act at the same time, although one is in the background.
                "--disable-background-timer-throttling",
                "--disable-renderer-backgrounding",
                "--disable-backgrounding-occluded-windows",
                format!("--user-data-dir={}", profile.path().display()),
            ],
        });
        let capabilities = Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]);
        step("opening Chromium");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap_or_else(|error| panic!("Chromium does not start: {error}\n{}", driver.log()));
        client.set_window_size(1000, 1200).await.unwrap();
        Self {
            client,
            name,
            _driver: driver,
            _profile: profile,
        }
    }

    pub(crate) async fn end(self) {
        step("closing Chromium");
        self.client.close().await.unwrap();
    }

    pub(crate) async fn go(&self, server: &Server, path: &str) {
        let url = format!("{}{path}", server.url());
        step(format!("opening {path}"));
        self.client.goto(&url).await.unwrap();
    }

    /// Waits for the element that `css` selects.
    pub(crate) async fn find(&self, css: &str) -> Element {
        step(format!("waiting for {css}"));
        let wait = self.client.wait().at_most(PATIENCE);
        wait.for_element(Locator::Css(css)).await.unwrap()
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        let found = self.client.find_all(Locator::Css(css)).await.unwrap();
        !found.is_empty()
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Clicks on the element that the XPath expression selects.
    pub(crate) async fn click_on(&self, path: &str) {
        step(format!("clicking on {path}"));
        let wait = self.client.wait().at_most(PATIENCE);
        let element = wait.for_element(Locator::XPath(path)).await.unwrap();
        element.click().await.unwrap();
    }

    /// Returns the session cookie of the browser.
    pub(crate) async fn cookie(&self) -> Cookie<'static> {
        self.client.get_named_cookie(COOKIE).await.unwrap()
    }

    /// Saves a screenshot of the page below the target folder.
    pub(crate) async fn picture(&self, page: &str) {
        let png = self.client.screenshot().await.unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        let folder = pictures();
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join(format!("{}-{page}.png", self.name));
        std::fs::write(file, png).unwrap();
    }

    /// Opens `path` in two tabs and submits the form that `css` selects from both at the same moment, several times.
    pub(crate) async fn send_from_two_tabs(
        &self,
        server: &Server,
        path: &str,
        css: &str,
        rounds: usize,
    ) {
        let first = self.client.window().await.unwrap();
        let second = self.client.new_window(true).await.unwrap().handle;
        let tabs = [&first, &second];
        for round in 0..rounds {
            step(format!("sending {css} from two tabs, round {round}"));
            for tab in tabs {
                self.client.switch_to_window(tab.clone()).await.unwrap();
                self.go(server, path).await;
                self.find(css).await;
            }
            let moment = self.script("return Date.now() + 300", Vec::new()).await;
            for tab in tabs {
                self.client.switch_to_window(tab.clone()).await.unwrap();
                let send = "const form = document.querySelector(arguments[0]);
                    window.isOldPage = true;
                    setTimeout(() => form.requestSubmit(), arguments[1] - Date.now());";
                self.script(send, vec![json!(css), moment.clone()]).await;
            }
            for tab in tabs {
                self.client.switch_to_window(tab.clone()).await.unwrap();
                let answered = tokio::time::timeout(PATIENCE, async {
                    let answered = "return !window.isOldPage && document.readyState === 'complete'";
                    while self.script(answered, Vec::new()).await != json!(true) {
                        tokio::task::yield_now().await;
                    }
                });
                answered.await.expect("the form gets no response");
            }
        }
        self.client.close_window().await.unwrap();
        self.client.switch_to_window(first).await.unwrap();
    }

    async fn script(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots")
}
