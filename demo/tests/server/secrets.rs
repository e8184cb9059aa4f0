//! The session id is secret: it is in the cookie and nowhere else.

use crate::browser::{Browser, Page};
use crate::program::Site;

#[test_support::test]
async fn no_session_id_is_in_any_page_or_log_line() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    let mut pages: Vec<Page> = Vec::new();
    let mut ids: Vec<String> = Vec::new();

    pages.push(browser.get(&server, "/").await);
    ids.extend(browser.id());
    pages.push(browser.log_in(&server, "Ann").await);
    ids.extend(browser.id());
    pages.push(browser.add(&server, "kite").await);
    for path in [
        "/",
        "/cart",
        "/login",
        "/logout",
        "/session",
        "/nothing-here",
    ] {
        pages.push(browser.get(&server, path).await);
    }
    pages.push(browser.post(&server, "/cart/add", &[]).await);
    let evil = ("origin", "http://evil.example");
    pages.push(browser.post_from(&server, "/logout", &[], evil).await);
    // The old id, an unknown id, and no id.
    let unknown = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
    for id in [&ids[0], unknown, "6f1c2d34-none"] {
        for path in ["/", "/session"] {
            pages.push(Browser::with_id(id).get(&server, path).await);
        }
    }
    pages.push(browser.post(&server, "/logout", &[]).await);
    ids.extend(browser.id());
    pages.push(browser.get(&server, "/session").await);
    ids.extend([unknown.to_owned(), "6f1c2d34-none".to_owned()]);

    let exit = server.stop().await;
    assert!(exit.status.success());
    assert_eq!(ids.len(), 5);
    for expected in ["operation=\"read\"", "operation=\"write\"", "rejected"] {
        assert!(
            exit.output.contains(expected),
            "an empty log proves nothing: {}",
            exit.output
        );
    }
    for id in ids {
        let written = exit.output.lines().find(|line| line.contains(&id));
        assert_eq!(written, None, "the log contains an id");
        assert!(
            !pages.iter().any(|page| page.shows(&id)),
            "a page contains an id"
        );
    }
}
