//! A file that names a driver of this build opens the sessions in it.

use http::HeaderMap;
use session_kit::open_manager;

async fn keeps_a_session(name: &str, toml: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.toml");
    std::fs::write(&path, toml).unwrap();
    let store = open_manager(&path).await.unwrap();
    let session = store.session_from_headers(&HeaderMap::new());
    session.set("n", &1).unwrap();
    let mut response = HeaderMap::new();
    session
        .commit(http::StatusCode::OK)
        .await
        .headers
        .apply(&mut response);

    let cookie = response[http::header::SET_COOKIE].to_str().unwrap();
    let pair = cookie.split(';').next().unwrap();
    let request = HeaderMap::from_iter([(http::header::COOKIE, pair.parse().unwrap())]);
    let session = store.session_from_headers(&request);
    assert_eq!(session.get::<u32>("n").await.unwrap(), Some(1), "{name}");
    store
        .close(std::time::Duration::from_secs(10))
        .await
        .unwrap();
}

#[test_support::test]
async fn a_file_names_the_driver_that_keeps_the_sessions() {
    keeps_a_session("memory", "driver = 'memory'").await;
    let sqlite = "driver = 'sqlite'\noptions = { path = 'sessions.db' }";
    keeps_a_session("sqlite", sqlite).await;
}

#[cfg(feature = "cookie")]
#[test_support::test]
async fn a_file_names_the_cookie_in_place_of_a_driver() {
    let secret = "correct horse battery staple, and 32 bytes";
    let cookie = format!("driver = 'cookie'\noptions = {{ secret = '{secret}' }}");
    keeps_a_session("cookie", &cookie).await;
}
