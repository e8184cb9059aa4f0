//! Sessions with the application's own types and defaults.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use driver_memory::MemoryDriver;
use serde::{Deserialize, Serialize};
use session_core::session::{CookieSessionOptions, Session, SessionManager, TypedSession};
use session_core::{Error, ErrorKind, session_data};
use session_tower::SessionLayer;

use crate::support::Browser;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct User {
    name: String,
}

session_data! {
    #[derive(Clone, Debug, PartialEq)]
    pub(crate) struct Visitor {
        count: u32 = 0,
        user: Option<User> = None,
        theme: String = "light".to_owned(),
        seen: Vec<String> = vec!["home".to_owned()],
    }
}

fn app(store: SessionManager) -> Router {
    Router::new()
        .route("/count", get(count))
        .route("/see/{page}", get(see))
        .route("/login", get(login))
        .route("/data", get(data))
        .route("/unset", get(unset))
        .route("/raw", get(raw))
        .layer(SessionLayer::from_manager(store))
}

fn apps() -> [Router; 2] {
    let secret = "correct horse battery staple, and 32 bytes";
    let in_cookies = SessionManager::in_cookies(CookieSessionOptions::new([secret]));
    [
        app(SessionManager::new(Arc::new(MemoryDriver::new()))),
        app(in_cookies.build().unwrap()),
    ]
}

async fn count(session: TypedSession<Visitor>) -> Result<String, Error> {
    session.set(Visitor::count, session.get(Visitor::count).await? + 1)?;
    let count = session.update(Visitor::count, |count| count + 1).await?;
    Ok(count.to_string())
}

async fn see(
    session: TypedSession<Visitor>,
    axum::extract::Path(page): axum::extract::Path<String>,
) -> Result<String, Error> {
    let seen = session
        .update(Visitor::seen, move |mut seen| {
            seen.push(page.clone());
            seen
        })
        .await?;
    Ok(seen.join(" "))
}

async fn login(session: TypedSession<Visitor>) -> Result<String, Error> {
    let name = "Ann".to_owned();
    session.regenerate()?;
    session.set(Visitor::user, Some(User { name }))?;
    Ok(session.has(Visitor::user).await?.to_string())
}

async fn data(session: TypedSession<Visitor>) -> Result<String, Error> {
    Ok(format!("{:?}", session.data().await?))
}

async fn unset(session: TypedSession<Visitor>) -> Result<String, Error> {
    session.remove(Visitor::count)?;
    session.remove(Visitor::user)?;
    Ok(session.has(Visitor::user).await?.to_string())
}

async fn raw(session: Session) -> Result<String, Error> {
    session.set("count", "many")?;
    let kind = session.typed::<Visitor>().get(Visitor::count).await;
    Ok(format!("{:?}", kind.map_err(|error| error.kind())))
}

#[test_support::test]
async fn fields_have_their_types_and_defaults_in_a_driver_and_in_the_cookie() {
    for app in apps() {
        let mut browser = Browser::default();
        let empty = format!("{:?}", Visitor::default());
        assert_eq!(browser.get(&app, "/data").await.body, empty);
        assert_eq!(browser.get(&app, "/count").await.body, "2");
        assert_eq!(browser.get(&app, "/count").await.body, "4");
        assert_eq!(browser.get(&app, "/login").await.body, "true");
        let data = Visitor {
            count: 4,
            user: Some(User {
                name: "Ann".to_owned(),
            }),
            ..Visitor::default()
        };
        let shown = format!("{data:?}");
        assert_eq!(browser.get(&app, "/data").await.body, shown);
        assert_eq!(browser.get(&app, "/unset").await.body, "false");
        assert_eq!(browser.get(&app, "/data").await.body, empty);
    }
}

#[test_support::test]
async fn defaults_never_leak_from_one_session_into_another() {
    for app in apps() {
        let (mut ann, mut bob) = (Browser::default(), Browser::default());
        assert_eq!(ann.get(&app, "/see/cart").await.body, "home cart");
        assert_eq!(ann.get(&app, "/see/login").await.body, "home cart login");
        assert_eq!(bob.get(&app, "/see/help").await.body, "home help");
        assert_eq!(Visitor::default().seen, ["home"]);
    }
}

#[test_support::test]
async fn a_stored_value_of_another_type_is_an_error_of_its_field_alone() {
    for app in apps() {
        let expected = format!("{:?}", Err::<u32, _>(ErrorKind::WrongType));
        assert_eq!(Browser::default().get(&app, "/raw").await.body, expected);
    }
}

#[test_support::test]
async fn all_fields_can_be_set_at_once() {
    let store = SessionManager::new(Arc::new(MemoryDriver::new()));
    let session = store.create().typed::<Visitor>();
    let data = Visitor {
        count: 7,
        theme: "dark".to_owned(),
        ..Visitor::default()
    };
    session.set_data(&data).unwrap();
    session.save().await.unwrap();
    assert_eq!(session.data().await.unwrap(), data);
    assert_eq!(
        session.session().keys().await.unwrap(),
        ["count", "user", "theme", "seen"]
    );
}
