//! Valid and invalid configurations.

use std::path::Path;

use crate::browser::Browser;
use crate::peers::Peers;
use crate::program::{Server, Site, demo, fail};

#[test_support::test]
async fn without_a_configuration_it_creates_a_sqlite_file_in_its_data_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut command = demo(folder.path());
    command.env("CARGO_MANIFEST_DIR", folder.path());
    let browser = Browser::new();
    for visit in 1..=2 {
        let server = Server::start(&mut command).await;
        assert!(
            server.greeting().contains("sqlite"),
            "{}",
            server.greeting()
        );
        assert_eq!(browser.visit(&server).await, visit);
        assert!(server.stop().await.status.success());
    }
    assert!(folder.path().join("data/sessions.db").is_file());
}

/// Each driver and the cookie storage have an example named after them.
#[test_support::test]
async fn every_example_works() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let peers = Peers::start();
    let registry = session_kit::registry();
    // Some drivers have two names.
    let names = registry.names().filter(|name| *name != "postgresql");
    for driver in names.chain(["cookie"]) {
        let path = examples.join(format!("session.{driver}.toml"));
        let example = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Use a copy, because some drivers write files beside it.
        let site = Site::new(&peers.fill_in(&example));
        let server = site.serve_with(&peers.environment()).await;
        let browser = Browser::new();
        browser.visit(&server).await;
        assert_eq!(browser.visit(&server).await, 2, "{}", path.display());
        let page = browser.get(&server, "/session").await;
        assert!(
            page.shows(&format!("<dd id=\"driver\">{driver}</dd>")),
            "{}",
            path.display()
        );
        assert!(server.stop().await.status.success());
    }
}

#[test_support::test]
async fn an_invalid_configuration_is_reported_in_one_line() {
    for (config, named) in [
        ("driver = 'sqlite'\n[options]\npaht = 'a.db'", "`paht`"),
        ("driver = 'sqlite'", "`path`"),
        ("driver = 'sqlite'\noptions = { path = 3 }", "`path`"),
        ("driver = 'sqlight'", "`sqlight`"),
        ("driver = 'memory'\ncokie = 'a'", "`cokie`"),
        (
            "driver = 'memory'\ncookie = { name = 'a b' }",
            "`cookie.name`",
        ),
        (
            "driver = 'sqlite'\noptions = { path = 'nowhere/a.db' }",
            "nowhere",
        ),
        ("driver = 'cookie'", "`secret`"),
        (
            "driver = 'cookie'\noptions = { secret = 'short' }",
            "32 bytes",
        ),
        ("driver = ", "line 1"),
    ] {
        let (status, errors) = Site::new(config).fail_to_serve().await;
        assert_eq!(status.code(), Some(1), "{config}: {errors}");
        let ours: Vec<&str> = errors
            .lines()
            .filter(|line| line.starts_with("demo: "))
            .collect();
        assert!(
            matches!(ours[..], [line] if line.contains(named)),
            "{config}: {errors}"
        );
        assert!(!errors.contains("panicked"), "{config}: {errors}");
    }
}

#[test_support::test]
async fn a_file_that_is_no_database_is_rejected_and_unchanged() {
    let site = Site::sqlite();
    let file = site.path().join("sessions.db");
    let text = "Dear diary, ".repeat(100);
    std::fs::write(&file, &text).unwrap();
    let (status, errors) = site.fail_to_serve().await;
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(errors.contains("demo: sqlite: "), "{errors}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test_support::test]
async fn a_missing_file_and_an_address_in_use_are_reported() {
    let site = Site::sqlite();
    let mut command = demo(site.path());
    command.args(["--config", "nothing-here.toml"]);
    let (status, errors) = fail(&mut command).await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("`nothing-here.toml`"), "{errors}");

    let server = site.serve().await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_demo"));
    command.arg("--config").arg(site.config());
    command.args(["--listen", server.address()]);
    let (status, errors) = fail(&mut command).await;
    assert_eq!(status.code(), Some(1));
    assert!(
        errors.contains("--listen") && errors.contains(server.address()),
        "{errors}"
    );
}
