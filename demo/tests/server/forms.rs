//! Cross-site forms and invalid forms.

use reqwest::StatusCode;

use crate::browser::Browser;
use crate::html;
use crate::program::Site;

#[test_support::test]
async fn a_cross_site_form_is_rejected_and_changes_nothing() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.log_in(&server, "Ann").await;

    for header in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "http://evil.example"),
        ("origin", "http://127.0.0.1"),
        ("origin", "null"),
        ("origin", ""),
    ] {
        let page = browser.post_from(&server, "/logout", &[], header).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{header:?}");
        assert!(
            page.shows("This form was sent from another site"),
            "{header:?}"
        );
        assert!(!page.sets_a_cookie(), "{header:?}");
        html::check(&page.body);
    }
    assert!(browser.get(&server, "/login").await.shows("Hello, Ann"));
}

#[test_support::test]
async fn a_same_site_form_is_accepted() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    for header in [
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("origin", server.url()),
    ] {
        let form = [("product", "kite")];
        let page = browser.post_from(&server, "/cart/add", &form, header).await;
        assert_eq!(page.status, StatusCode::OK, "{header:?}");
    }
    assert_eq!(browser.items(&server).await, 3);
}

#[test_support::test]
async fn an_invalid_form_gets_an_error_page() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    for (path, form) in [
        ("/cart/add", &[("product", "yacht")][..]),
        ("/cart/add", &[]),
        ("/cart/quantity", &[("product", "kite"), ("quantity", "-1")]),
        (
            "/cart/quantity",
            &[("product", "kite"), ("quantity", "lots")],
        ),
        ("/login", &[("name", "Ann")]),
    ] {
        let page = browser.post(&server, path, form).await;
        assert!(
            page.status.is_client_error(),
            "{path} {form:?}: {}",
            page.status
        );
        assert!(page.shows("Invalid form"), "{path} {form:?}");
        assert!(!page.sets_a_cookie());
        html::check(&page.body);
    }
    let page = browser.post(&server, "/", &[]).await;
    assert_eq!(page.status, StatusCode::METHOD_NOT_ALLOWED);
    html::check(&page.body);
}

#[test_support::test]
async fn user_input_is_escaped() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.log_in(&server, "<script>alert(1)</script>").await;
    for path in ["/login", "/session"] {
        let page = browser.get(&server, path).await;
        assert!(page.shows("&lt;script&gt;"), "{path}");
        assert!(!page.shows("<script"), "{path}");
        html::check(&page.body);
    }
}
