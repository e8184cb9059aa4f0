use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};

/// A web application with sessions in this process.
pub trait App {
    /// Returns the response to a request without a body.
    fn send(&self, request: Request<()>) -> impl Future<Output = Answer>;
}

/// A response with its body.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The values of the `set-cookie` headers.
    pub fn set_cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }
}

/// A visitor who keeps the cookie that the last response set.
#[derive(Clone, Debug, Default)]
pub struct Browser {
    /// The `cookie` header of requests; empty without a cookie.
    pub cookie: String,
}

impl Browser {
    /// Sends a `GET` request for `path`.
    pub async fn get(&mut self, app: &impl App, path: &str) -> Answer {
        self.send(app, Method::GET, path).await
    }

    /// Sends a `POST` request for `path`.
    pub async fn post(&mut self, app: &impl App, path: &str) -> Answer {
        self.send(app, Method::POST, path).await
    }

    async fn send(&mut self, app: &impl App, method: Method, path: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookie.is_empty() {
            request = request.header(COOKIE, &self.cookie);
        }
        let answer = app.send(request.body(()).unwrap()).await;
        for cookie in answer.set_cookies() {
            self.cookie = match cookie.split_once(';') {
                Some((pair, attributes)) if !attributes.contains("Max-Age=0") => pair.to_owned(),
                _ => String::new(),
            };
        }
        answer
    }

    /// The session id in the cookie.
    pub(crate) fn id(&self) -> &str {
        self.cookie.split_once('=').unwrap().1
    }
}
