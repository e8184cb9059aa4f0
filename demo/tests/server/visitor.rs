//! The visit of one visitor.

use crate::browser::Browser;
use crate::program::Site;

const LOGIN_FORM: &str = "<form class=\"card\" method=\"post\" action=\"/login\">";

#[test_support::test]
async fn a_cart_survives_a_restart_and_a_logout_ends_the_login() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();

    assert_eq!(browser.visit(&server).await, 1);
    let anonymous = browser.id().expect("counting starts a session");

    let page = browser.log_in(&server, "Ann").await;
    assert!(page.shows("Welcome, Ann!"), "{}", page.body);
    let page = browser.get(&server, "/login").await;
    assert!(
        !page.shows("Welcome, Ann!"),
        "a flash message is shown once"
    );
    assert!(page.shows("Hello, Ann"));
    let logged_in = browser.id().unwrap();
    assert_ne!(logged_in, anonymous, "a login gets a new id");

    let old = Browser::with_id(&anonymous);
    for path in ["/login", "/cart", "/", "/session"] {
        let page = old.get(&server, path).await;
        assert!(!page.shows("Ann"), "{path} accepts the old id");
        assert!(!page.sets_a_cookie(), "{path} would remove the new cookie");
    }

    for product in ["teapot", "kite", "teapot"] {
        browser.add(&server, product).await;
    }
    assert_eq!(browser.items(&server).await, 3);

    assert!(server.stop().await.status.success());
    let server = site.serve().await;

    let page = browser.get(&server, "/cart").await;
    assert_eq!(page.number("items"), Some(3));
    assert!(page.shows("Stubborn teapot") && page.shows("€ 90.40"));
    assert!(page.shows("Logged in as <strong>Ann</strong>"));
    assert_eq!(browser.id().unwrap(), logged_in);
    assert_eq!(browser.visit(&server).await, 2);

    let page = browser.post(&server, "/logout", &[]).await;
    assert!(page.shows("You are logged out.") && page.shows(LOGIN_FORM));
    assert_ne!(browser.id().unwrap(), logged_in);

    let old = Browser::with_id(&logged_in);
    assert!(old.get(&server, "/login").await.shows(LOGIN_FORM));
    assert!(
        old.get(&server, "/session")
            .await
            .shows("You have no session yet")
    );
    assert_eq!(old.items(&server).await, 0);

    assert!(server.stop().await.status.success());
}

#[test_support::test]
async fn a_failed_login_is_reported_once_and_logs_nobody_in() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();

    let form = [("name", "Ann"), ("password", "please")];
    let page = browser.post(&server, "/login", &form).await;
    assert!(page.shows("Wrong password"));
    assert!(page.shows(LOGIN_FORM) && page.shows("value=\"Ann\""));

    let page = browser.get(&server, "/login").await;
    assert!(!page.shows("Ann"));
    assert!(!page.shows("Wrong password"));
    assert!(!page.shows("Logged in as"));
}

#[test_support::test]
async fn only_a_remembered_login_survives_the_browser() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();

    let mut cookies = Vec::new();
    for form in [
        "name=Ann&password=open+sesame",
        "name=Ann&password=open+sesame&remember=yes",
    ] {
        let response = client
            .post(format!("{}/login", server.url()))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
            .await
            .unwrap();
        cookies.push(
            response.headers()["set-cookie"]
                .to_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert!(!cookies[0].contains("Max-Age"), "{}", cookies[0]);
    // Thirty days, minus the elapsed time.
    let (_, max_age) = cookies[1].split_once("Max-Age=").expect("it has a Max-Age");
    let seconds: u32 = max_age.parse().unwrap();
    assert!((2_591_900..=2_592_000).contains(&seconds), "{seconds}");
}

#[test_support::test]
async fn the_cart_adds_updates_and_removes() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.add(&server, "notebook").await;
    browser.add(&server, "compass").await;

    let form = [("product", "notebook"), ("quantity", "5")];
    let page = browser.post(&server, "/cart/quantity", &form).await;
    assert_eq!(page.number("items"), Some(6));
    assert!(page.shows("€ 49.00") && page.shows("€ 76.90"));

    let form = [("product", "compass")];
    let page = browser.post(&server, "/cart/remove", &form).await;
    assert!(page.shows("Honest compass was removed from your cart."));
    assert_eq!(page.number("items"), Some(5));

    let form = [("product", "notebook"), ("quantity", "0")];
    let page = browser.post(&server, "/cart/quantity", &form).await;
    assert!(page.shows("Your cart is empty."));
}
