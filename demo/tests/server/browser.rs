//! A simulated browser: cookies, forms and redirects.

use std::sync::Arc;

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{HeaderMap, SET_COOKIE};
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use crate::program::Server;

pub(crate) const COOKIE: &str = "demo-session";

/// A browser session. Cookies belong to the host and not to the port, so they also reach a restarted server.
#[derive(Clone)]
pub(crate) struct Browser {
    client: Client,
    cookies: Arc<Jar>,
}

#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Browser {
    pub(crate) fn new() -> Self {
        let cookies = Arc::new(Jar::default());
        let client = Client::builder()
            .cookie_provider(Arc::clone(&cookies))
            .no_proxy()
            .build()
            .unwrap();
        Self { client, cookies }
    }

    /// Creates a browser with this session cookie.
    pub(crate) fn with_id(id: &str) -> Self {
        let browser = Self::new();
        let cookie = format!("{COOKIE}={id}; Path=/");
        browser.cookies.add_cookie_str(&cookie, &host());
        browser
    }

    /// Returns the session id in the cookie.
    pub(crate) fn id(&self) -> Option<String> {
        let header = self.cookies.cookies(&host())?;
        let (name, id) = header.to_str().unwrap().split_once('=')?;
        assert_eq!(name, COOKIE);
        Some(id.to_owned())
    }

    pub(crate) async fn get(&self, server: &Server, path: &str) -> Page {
        send(self.client.get(url(server, path))).await
    }

    /// Sends a form and follows redirects.
    pub(crate) async fn post(&self, server: &Server, path: &str, form: &[(&str, &str)]) -> Page {
        send(self.client.post(url(server, path)).form(form)).await
    }

    /// Sends a form with a header that names its origin.
    pub(crate) async fn post_from(
        &self,
        server: &Server,
        path: &str,
        form: &[(&str, &str)],
        header: (&str, &str),
    ) -> Page {
        let request = self.client.post(url(server, path)).form(form);
        send(request.header(header.0, header.1)).await
    }

    pub(crate) async fn log_in(&self, server: &Server, name: &str) -> Page {
        let form = [("name", name), ("password", "open sesame")];
        self.post(server, "/login", &form).await
    }

    pub(crate) async fn add(&self, server: &Server, product: &str) -> Page {
        self.post(server, "/cart/add", &[("product", product)])
            .await
    }

    /// Returns the number of items in the cart.
    pub(crate) async fn items(&self, server: &Server) -> u32 {
        let page = self.get(server, "/cart").await;
        assert_eq!(page.status, StatusCode::OK);
        page.number("items").unwrap_or(0)
    }

    /// Counts a visit and returns its number.
    pub(crate) async fn visit(&self, server: &Server) -> u32 {
        let page = self.get(server, "/").await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        page.number("visits").expect("the page has a number")
    }
}

impl Page {
    /// Returns the number in the element with this id.
    pub(crate) fn number(&self, id: &str) -> Option<u32> {
        let (_, rest) = self.body.split_once(&format!("id=\"{id}\">"))?;
        let (number, _) = rest.split_once('<')?;
        Some(number.parse().unwrap())
    }

    pub(crate) fn shows(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    pub(crate) fn sets_a_cookie(&self) -> bool {
        self.headers.contains_key(SET_COOKIE)
    }
}

fn host() -> Url {
    Url::parse("http://127.0.0.1/").unwrap()
}

fn url(server: &Server, path: &str) -> String {
    format!("{}{path}", server.url())
}

async fn send(request: RequestBuilder) -> Page {
    let response = request.send().await.unwrap();
    Page {
        status: response.status(),
        headers: response.headers().clone(),
        body: response.text().await.unwrap(),
    }
}
