//! What the README of the npm package `astro-session` shows, in actix-web: a page that counts, a login that flashes its error,
//! and the page with the form.

use actix_web::http::header::LOCATION;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::Redirect;
use actix_web::{App, HttpRequest, HttpResponse, Responder, web};
use serde::{Deserialize, Serialize};
use session_actix::{Error, headers};
use session_core::session::{
    CookieFormat, CookieOptions, CookieSessionOptions, SessionStorage, TypedKey,
    create_cookie_session_storage,
};
use session_core::session_data;

use crate::support::Browser;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    email: String,
}

session_data! {
    struct SessionData {
        count: u32 = 0,
        user: Option<User> = None,
    }
}

type Sessions = web::Data<SessionStorage<SessionData>>;

const ERROR: TypedKey<String> = TypedKey::new("error");

fn sessions(format: CookieFormat) -> SessionStorage<SessionData> {
    create_cookie_session_storage(
        CookieSessionOptions::new(["not secret, but in a test that is no matter"])
            .with_format(format),
        CookieOptions::default()
            .with_name("__session-id")
            .with_path("/"),
    )
    .unwrap()
}

async fn index(sessions: Sessions, request: HttpRequest) -> Result<HttpResponse, Error> {
    // get the session
    let session = sessions.get_session(&headers::cookies_of(request.headers()));

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

    let page = format!("<p>You visited this page: {count}</p>");
    let mut response = HttpResponse::Ok().content_type("text/html").body(page);
    // save the session in the cookie
    let effects = sessions.commit_session(&session).await?;
    headers::apply(&effects, response.headers_mut());
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

fn redirect(to: &'static str, request: &HttpRequest) -> HttpResponse {
    let response = Redirect::to(to).see_other().respond_to(request);
    response.map_into_boxed_body()
}

async fn login(
    sessions: Sessions,
    request: HttpRequest,
    credentials: web::Form<Credentials>,
) -> Result<HttpResponse, Error> {
    let session = sessions.get_session(&headers::cookies_of(request.headers()));

    let Some(user) = validate(credentials.into_inner()) else {
        // if email or password incorrect, flash a message to show the user what is the error
        session.flash(ERROR, &"Invalid email/password".to_owned())?;
        let mut response = redirect("/login", &request);
        // commit the session to persist it
        let effects = sessions.commit_session(&session).await?;
        headers::apply(&effects, response.headers_mut());
        return Ok(response);
    };

    // if the credentials are valid, save the user in session
    session.set(SessionData::user, Some(user))?;

    // redirect to the dashboard
    let mut response = redirect("/dashboard", &request);
    let effects = sessions.commit_session(&session).await?;
    headers::apply(&effects, response.headers_mut());
    Ok(response)
}

async fn login_page(sessions: Sessions, request: HttpRequest) -> Result<HttpResponse, Error> {
    let session = sessions.get_session(&headers::cookies_of(request.headers()));

    // if the user is already authenticated, redirect to the dashboard
    if session.get(SessionData::user).await?.is_some() {
        return Ok(redirect("/dashboard", &request));
    }

    // get the error message if there is any and delete it after accessing it
    let error = session.take_flash(ERROR).await?;

    let error = error.map(|error| format!("<p>{error}</p>"));
    let page = format!(
        "{}<form method=\"post\" action=\"/api/login\"></form>",
        error.unwrap_or_default()
    );
    let mut response = HttpResponse::Ok().content_type("text/html").body(page);
    // persist the session data
    let effects = sessions.commit_session(&session).await?;
    headers::apply(&effects, response.headers_mut());
    Ok(response)
}

#[test_support::test(runtime = "actix")]
async fn it_counts_flashes_and_redirects() {
    for format in [CookieFormat::Sealed, CookieFormat::AstroSession] {
        let app = App::new()
            .app_data(web::Data::new(sessions(format)))
            .route("/", web::get().to(index))
            .route("/login", web::get().to(login_page))
            .route("/api/login", web::post().to(login));
        let app = init_service(app).await;
        let mut browser = Browser::default();
        for count in [2, 4] {
            let page = browser.get(&app, "/").await.body;
            assert_eq!(page, format!("<p>You visited this page: {count}</p>"));
        }

        let credentials = |browser: &Browser, password: &str| -> TestRequest {
            let form = [("email", "ann@example.org"), ("password", password)];
            let request = browser.request("/api/login");
            request.method(actix_web::http::Method::POST).set_form(form)
        };
        let request = credentials(&browser, "please");
        let answer = browser.send(&app, request).await;
        assert_eq!(answer.headers.get(LOCATION).unwrap(), "/login");
        let page = browser.get(&app, "/login").await.body;
        assert!(page.contains("<p>Invalid email/password</p>"), "{page}");
        let page = browser.get(&app, "/login").await.body;
        assert!(!page.contains("Invalid"), "{page}");

        let request = credentials(&browser, "open sesame");
        let answer = browser.send(&app, request).await;
        assert_eq!(answer.headers.get(LOCATION).unwrap(), "/dashboard");
        let answer = browser.get(&app, "/login").await;
        assert_eq!(answer.headers.get(LOCATION).unwrap(), "/dashboard");
        let page = browser.get(&app, "/").await.body;
        assert_eq!(page, "<p>You visited this page: 6</p>");
    }
}
