//! The first session of the README, with the configuration that stands below it.

use crate::support::Server;

const README: &str = include_str!("../../../README.md");
const EXAMPLE: &str = include_str!("../../examples/visits.rs");

/// The first block of the README that is marked with `language`.
fn block(language: &str) -> &'static str {
    let start = format!("```{language}\n");
    let (_, rest) = README.split_once(&start).unwrap();
    rest.split_once("```").unwrap().0
}

#[test_support::test]
async fn the_first_session_counts_visits_and_survives_a_restart() {
    assert!(
        EXAMPLE.contains(block("rust")),
        "the README differs from examples/visits.rs"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("session.toml"), block("toml")).unwrap();

    let server = Server::start("visits", folder.path(), "127.0.0.1:0").await;
    let first = server.get("/", None).await;
    assert_eq!(first.body, "visit number 1");
    let cookie = first.cookie.unwrap();
    assert_eq!(
        server.get("/", Some(cookie.clone())).await.body,
        "visit number 2"
    );
    drop(server);

    let server = Server::start("visits", folder.path(), "127.0.0.1:0").await;
    assert_eq!(server.get("/", Some(cookie)).await.body, "visit number 3");
}
