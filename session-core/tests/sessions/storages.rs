//! Sessions by three calls, on a server without any integration: over a driver, and in the cookie.

use driver_memory::{MemoryDriver, MemoryOptions};
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use session_core::config::{Registry, SessionConfig};
use session_core::session::{
    CookieOptions, CookieSessionOptions, SessionManager, SessionStorage, create_session_storage,
};
use session_core::{ErrorKind, session_data};

const SECRET: &str = "correct horse battery staple, and 32 bytes";

session_data! {
    pub(crate) struct Visitor {
        count: u32 = 0,
    }
}

async fn configured(toml: &str) -> SessionStorage<Visitor> {
    let mut registry = Registry::new();
    registry.register::<MemoryOptions>("memory");
    let config = SessionConfig::from_toml_str(toml).unwrap();
    create_session_storage(
        SessionManager::from_config(&config, &registry)
            .await
            .unwrap(),
    )
}

async fn storages() -> [SessionStorage<Visitor>; 4] {
    [
        SessionStorage::over(MemoryDriver::new()),
        SessionStorage::in_cookies(
            CookieSessionOptions::new([SECRET]),
            CookieOptions::default(),
        )
        .unwrap(),
        configured("driver = 'memory'").await,
        configured(&format!(
            "driver = 'cookie'\noptions = {{ secret = '{SECRET}' }}"
        ))
        .await,
    ]
}

fn with_cookie_of(headers: &HeaderMap) -> HeaderMap {
    let cookie = headers[SET_COOKIE].to_str().unwrap();
    let pair = cookie.split(';').next().unwrap();
    let mut request = HeaderMap::new();
    request.insert(COOKIE, HeaderValue::try_from(pair).unwrap());
    request
}

#[test_support::test]
async fn a_session_is_got_committed_and_destroyed() {
    for sessions in storages().await {
        let session = sessions.get_session(&HeaderMap::new());
        session
            .update(Visitor::count, |count| count + 1)
            .await
            .unwrap();
        session.flash("notice", "Hello!").unwrap();
        let mut response = Response::new(());
        let effects = sessions.commit_session(&session).await.unwrap();
        effects.apply(response.headers_mut());
        assert_eq!(response.headers()[CACHE_CONTROL], "private");
        assert_eq!(response.headers()[VARY], "cookie");
        let cookie = effects.set_cookies().next().unwrap().to_str().unwrap();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("Secure"),
            "{cookie}"
        );

        let request = with_cookie_of(response.headers());
        let session = sessions.get_session(&request);
        assert_eq!(session.get(Visitor::count).await.unwrap(), 1);
        let notice: Option<String> = session.take_flash("notice").await.unwrap();
        assert_eq!(notice.as_deref(), Some("Hello!"));
        let effects = sessions.destroy_session(&session).await.unwrap();
        let cookie = effects.set_cookies().next().unwrap().to_str().unwrap();
        assert!(cookie.contains("Max-Age=0"), "{cookie}");

        let session = sessions.get_session(&HeaderMap::new());
        assert_eq!(session.get(Visitor::count).await.unwrap(), 0);
        let effects = sessions.commit_session(&session).await.unwrap();
        assert!(!effects.sets_cookie(), "nothing was changed");
    }
}

#[test_support::test]
async fn a_session_can_be_committed_more_than_once() {
    for sessions in storages().await {
        let session = sessions.get_session(&HeaderMap::new());
        session.set(Visitor::count, 1).unwrap();
        assert!(
            sessions
                .commit_session(&session)
                .await
                .unwrap()
                .sets_cookie()
        );
        session.set(Visitor::count, 2).unwrap();
        let mut headers = HeaderMap::new();
        sessions
            .commit_session(&session)
            .await
            .unwrap()
            .apply(&mut headers);
        let session = sessions.get_session(&with_cookie_of(&headers));
        assert_eq!(session.get(Visitor::count).await.unwrap(), 2);
    }
}

#[test_support::test]
async fn a_commit_that_cannot_be_says_so() {
    let [_, sessions, ..] = storages().await;
    let session = sessions.get_session(&HeaderMap::new());
    session
        .session()
        .set("text", &"0123456789".repeat(500))
        .unwrap();
    let error = sessions.commit_session(&session).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
