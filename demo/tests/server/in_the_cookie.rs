//! The shop with sessions in the cookie.

use crate::browser::Browser;
use crate::program::Site;

#[test_support::test]
async fn the_shop_works_without_a_store_and_shows_the_limits() {
    let site = Site::cookie();
    let server = site.serve().await;
    let browser = Browser::new();

    let page = browser.get(&server, "/session").await;
    assert!(page.shows("You have no session yet"), "{}", page.body);
    assert_eq!(browser.visit(&server).await, 1);
    let page = browser.log_in(&server, "Ann").await;
    assert!(page.shows("Welcome, Ann!"), "{}", page.body);
    let page = browser.get(&server, "/login").await;
    assert!(
        !page.shows("Welcome, Ann!"),
        "a flash message is shown once"
    );
    for product in ["teapot", "kite", "teapot"] {
        browser.add(&server, product).await;
    }

    let page = browser.get(&server, "/session").await;
    assert!(page.shows("visits, user, cart"), "{}", page.body);
    assert!(page.shows("even after you log out") && page.shows("the last one wins"));

    assert!(server.stop().await.status.success());
    let server = site.serve().await;
    assert_eq!(browser.items(&server).await, 3);
    let kept = Browser::with_id(&browser.id().unwrap());

    let page = browser.post(&server, "/logout", &[]).await;
    assert!(page.shows("You are logged out."));
    assert_eq!(browser.items(&server).await, 0);
    assert_eq!(
        kept.items(&server).await,
        3,
        "an old cookie stays valid, as the page says"
    );
    assert!(server.stop().await.status.success());
}

#[test_support::test]
async fn a_forged_cookie_is_an_empty_session() {
    let site = Site::cookie();
    let server = site.serve().await;
    for forged in ["nonsense", "v1.1.AAAA", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(Browser::with_id(forged).visit(&server).await, 1);
    }
    assert!(server.stop().await.status.success());
}
