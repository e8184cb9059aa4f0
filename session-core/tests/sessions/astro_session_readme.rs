//! What the README of the npm package `astro-session` shows, in axum: a page that counts, a login that flashes its error,
//! and the page with the form.

use axum::extract::{Form, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, body::Body};
use http::Request;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use session_core::session::{
    CookieFormat, CookieOptions, CookieSessionOptions, SessionStorage, TypedKey,
    create_cookie_session_storage,
};
use session_core::{Error, session_data};
use tower::ServiceExt;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    email: String,
}

session_data! {
    pub(crate) struct SessionData {
        count: u32 = 0,
        user: Option<User> = None,
    }
}

type Sessions = SessionStorage<SessionData>;

const ERROR: TypedKey<String> = TypedKey::new("error");

fn sessions(format: CookieFormat) -> Sessions {
    create_cookie_session_storage(
        CookieSessionOptions::new(["not secret, but in a test that is no matter"])
            .with_format(format),
        CookieOptions::default()
            .with_name("__session-id")
            .with_path("/"),
    )
    .unwrap()
}

async fn index(State(sessions): State<Sessions>, headers: HeaderMap) -> Result<Response, Error> {
    // get the session
    let session = sessions.get_session(&headers);

    // update specific value in the session
    session.set(
        SessionData::count,
        session.get(SessionData::count).await? + 1,
    )?;
    // or
    session
        .update(SessionData::count, |value| value + 1)
        .await?;

    // get specific value in the session
    let count = session.get(SessionData::count).await?;

    let mut response = Html(format!("<p>You visited this page: {count}</p>")).into_response();
    // save the session in the cookie
    sessions
        .commit_session(&session)
        .await?
        .apply(response.headers_mut());
    Ok(response)
}

#[derive(Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

fn validate(credentials: Credentials) -> Option<User> {
    (credentials.password == "open sesame").then_some(User {
        email: credentials.email,
    })
}

async fn login(
    State(sessions): State<Sessions>,
    headers: HeaderMap,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Error> {
    let session = sessions.get_session(&headers);

    let Some(user) = validate(credentials) else {
        // if email or password incorrect, flash a message to show the user what is the error
        session.flash(ERROR, &"Invalid email/password".to_owned())?;
        let mut response = Redirect::to("/login").into_response();
        // commit the session to persist it
        sessions
            .commit_session(&session)
            .await?
            .apply(response.headers_mut());
        return Ok(response);
    };

    // if the credentials are valid, save the user in session
    session.set(SessionData::user, Some(user))?;

    // redirect to the dashboard
    let mut response = Redirect::to("/dashboard").into_response();
    sessions
        .commit_session(&session)
        .await?
        .apply(response.headers_mut());
    Ok(response)
}

async fn login_page(
    State(sessions): State<Sessions>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let session = sessions.get_session(&headers);

    // if the user is already authenticated, redirect to the dashboard
    if session.get(SessionData::user).await?.is_some() {
        return Ok(Redirect::to("/dashboard").into_response());
    }

    // get the error message if there is any and delete it after accessing it
    let error = session.take_flash(ERROR).await?;

    let error = error.map(|error| format!("<p>{error}</p>"));
    let page = format!(
        "{}<form method=\"post\" action=\"/api/login\"></form>",
        error.unwrap_or_default()
    );
    let mut response = Html(page).into_response();
    // persist the session data
    sessions
        .commit_session(&session)
        .await?
        .apply(response.headers_mut());
    Ok(response)
}

struct Visitor {
    app: Router,
    cookie: String,
}

impl Visitor {
    async fn request(&mut self, request: axum::http::request::Builder, body: Body) -> Response {
        let request: Request<Body> = request.header(COOKIE, &self.cookie).body(body).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.cookie = pair.to_owned();
        }
        response
    }

    async fn page(&mut self, path: &str) -> String {
        let response = self.request(Request::get(path), Body::empty()).await;
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn log_in(&mut self, password: &str) -> HeaderValue {
        let form = format!("email=ann%40example.org&password={password}");
        let request =
            Request::post("/api/login").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = self.request(request, Body::from(form)).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        response.headers()[LOCATION].clone()
    }
}

#[test_support::test]
async fn it_counts_flashes_and_redirects() {
    for format in [CookieFormat::Sealed, CookieFormat::AstroSession] {
        let app = Router::new()
            .route("/", get(index))
            .route("/login", get(login_page))
            .route("/api/login", post(login))
            .with_state(sessions(format));
        let cookie = String::new();
        let mut visitor = Visitor { app, cookie };
        assert_eq!(visitor.page("/").await, "<p>You visited this page: 2</p>");
        assert_eq!(visitor.page("/").await, "<p>You visited this page: 4</p>");

        assert_eq!(visitor.log_in("please").await, "/login");
        let page = visitor.page("/login").await;
        assert!(page.contains("<p>Invalid email/password</p>"), "{page}");
        let page = visitor.page("/login").await;
        assert!(!page.contains("Invalid"), "{page}");

        assert_eq!(visitor.log_in("open+sesame").await, "/dashboard");
        let response = visitor.request(Request::get("/login"), Body::empty()).await;
        assert_eq!(response.headers()[LOCATION], "/dashboard");
        assert_eq!(visitor.page("/").await, "<p>You visited this page: 6</p>");
    }
}
