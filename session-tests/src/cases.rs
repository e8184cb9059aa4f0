//! What sessions promise to the visitors of a site, whatever framework and driver it is built of.

use std::cell::Cell;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use http::StatusCode;
use session_core::DriverExt;
use session_core::session::{SessionId, SessionManager};

use crate::{Answer, App, Backend, Browser};

/// An application and what it stores.
struct Site<A> {
    app: A,
    manager: SessionManager,
    backend: Backend,
}

impl<A: App> Site<A> {
    async fn new(app: impl AsyncFn(SessionManager) -> A, backend: Backend) -> Self {
        let manager = SessionManager::builder(backend.driver.clone())
            // A busy machine commits slowly.
            .commit_deadline(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            app: app(manager.clone()).await,
            manager,
            backend,
        }
    }

    /// Returns a visitor whose number is 1.
    async fn visitor(&self) -> Browser {
        let mut browser = Browser::default();
        assert_eq!(browser.post(&self.app, "/inc").await.body, "1");
        browser
    }

    async fn get(&self, browser: &Browser, path: &str) -> Answer {
        browser.clone().get(&self.app, path).await
    }

    /// Returns a visitor who sends all of these values in cookies of the session's name.
    fn with_cookies(&self, values: &[&str]) -> Browser {
        let name = self.manager.cookie_name();
        let pairs = values.iter().map(|value| format!("{name}={value}"));
        let cookie = pairs.collect::<Vec<_>>().join("; ");
        Browser { cookie }
    }
}

/// A cookie that names no session stands before the one that does, as a browser sends them after a change of `Domain`.
pub async fn a_stale_cookie_of_the_name_does_not_hide_the_session<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let visitor = site.visitor().await;
    let mut gone = site.visitor().await;
    let gone_id = gone.id().to_owned();
    gone.post(&site.app, "/logout").await;
    assert_eq!(gone.cookie, "");
    for stale in [SessionId::random().expose(), &gone_id, "junk", ""] {
        for cookies in [[stale, visitor.id()], [visitor.id(), stale]] {
            let answer = site.get(&site.with_cookies(&cookies), "/n").await;
            assert_eq!(answer.body, "Some(1)", "{stale:?}");
        }
    }
}

/// A change goes to the session that exists, and not to a new one.
pub async fn a_login_beside_a_stale_cookie_leaves_no_other_record<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let visitor = site.visitor().await;
    let mut twins = site.with_cookies(&[SessionId::random().expose(), visitor.id()]);
    assert_eq!(
        twins.post(&site.app, "/set-user").await.status,
        StatusCode::OK
    );
    assert_eq!(site.manager.ids().count().await, 1);
    assert_eq!(site.get(&visitor, "/user").await.body, r#"Some("ann")"#);
}

/// A logout leaves no session that one of the browser's cookies names.
pub async fn a_logout_ends_the_sessions_of_all_cookies_of_the_name<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let (one, two) = (site.visitor().await, site.visitor().await);
    let mut both = site.with_cookies(&["junk", one.id(), two.id()]);
    assert_eq!(both.post(&site.app, "/logout").await.status, StatusCode::OK);
    for browser in [one, two] {
        assert_eq!(site.get(&browser, "/n").await.body, "None");
    }
}

/// A double click on the button of a login: both requests have read the session before either gives it a new id.
pub async fn two_logins_with_one_id_both_stand<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let old = site.visitor().await;
    let (mut one, mut two) = (old.clone(), old.clone());
    let login = "/n/meet/regenerate/set-user";
    let (first, second) = join(one.post(&site.app, login), two.post(&site.app, login)).await;
    for (answer, browser) in [(first, &one), (second, &two)] {
        assert_eq!(answer.status, StatusCode::OK);
        assert_ne!(browser.cookie, old.cookie);
        assert_eq!(site.get(browser, "/user").await.body, r#"Some("ann")"#);
    }
    assert_eq!(site.get(&old, "/n").await.body, "None");
}

/// Sends ten updates at once, of which one does `change` too. Returns how many were stored according to their answers,
/// and the browser of that one.
async fn ten_updates<A: App>(site: &Site<A>, change: &str) -> (usize, Browser) {
    let visitor = site.visitor().await;
    let mut changing = visitor.clone();
    let change = format!("/n/{change}/inc");
    let updates = join_all((0..9).map(|_| async {
        let mut browser = visitor.clone();
        browser.post(&site.app, "/n/inc").await.status
    }));
    let (mut statuses, answer) = join(updates, changing.post(&site.app, &change)).await;
    assert_eq!(answer.status, StatusCode::OK);
    statuses.push(answer.status);
    let told = [StatusCode::OK, StatusCode::CONFLICT];
    assert!(
        statuses.iter().all(|status| told.contains(status)),
        "{statuses:?}"
    );
    let stored = statuses.iter().filter(|status| status.is_success());
    (stored.count(), changing)
}

/// No change vanishes behind a `200`.
pub async fn updates_beside_a_login_are_stored_or_told<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let (stored, browser) = ten_updates(&site, "regenerate").await;
    let expected = format!("Some({})", 1 + stored);
    assert_eq!(site.get(&browser, "/n").await.body, expected);
}

/// A rotation loses nothing.
pub async fn updates_beside_a_rotation_are_stored<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let (stored, browser) = ten_updates(&site, "rotate").await;
    assert_eq!(stored, 10);
    assert_eq!(site.get(&browser, "/n").await.body, "Some(11)");
}

/// Two requests read a value and set it to one more: the second one does not overwrite the first.
pub async fn a_value_that_was_computed_from_an_old_one_is_told<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let visitor = site.visitor().await;
    let (mut one, mut two) = (visitor.clone(), visitor.clone());
    let add = "/n/meet/set-next";
    let (one, two) = join(one.post(&site.app, add), two.post(&site.app, add)).await;
    let mut statuses = [one.status, two.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::OK, StatusCode::CONFLICT]);
    assert_eq!(site.get(&visitor, "/n").await.body, "Some(2)");
}

/// A login never succeeds while the id from before it still names the session.
pub async fn a_login_ends_the_old_id_although_others_write_to_it<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    for _ in 0..4 {
        let old = site.visitor().await;
        let done = Cell::new(false);
        let writers = join_all((0..4).map(|_| async {
            while !done.get() {
                old.clone().post(&site.app, "/inc").await;
                tokio::task::yield_now().await;
            }
        }));
        let login = async {
            let mut browser = old.clone();
            let answer = browser.post(&site.app, "/n/regenerate/set-user").await;
            let old_id = site.get(&old, "/n").await;
            done.set(true);
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!(old_id.body, "None");
            assert_eq!(site.get(&browser, "/user").await.body, r#"Some("ann")"#);
        };
        join(writers, login).await;
    }
}

/// A browser whose login was answered after the click on "log out" is logged out.
pub async fn a_logout_under_an_id_from_before_a_login_ends_the_login<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let mut late = site.visitor().await;
    let mut browser = late.clone();
    browser.post(&site.app, "/regenerate/set-user").await;
    assert_eq!(late.post(&site.app, "/logout").await.status, StatusCode::OK);
    assert_eq!(site.get(&browser, "/user").await.body, "None");
}

/// A rotation changes the id under parallel requests, which go on with the new one.
pub async fn requests_with_the_old_id_follow_a_rotation<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let visitor = site.visitor().await;
    let (mut rotating, mut parallel, mut late) =
        (visitor.clone(), visitor.clone(), visitor.clone());
    let (rotated, written) = join(
        rotating.post(&site.app, "/n/rotate/meet"),
        parallel.post(&site.app, "/n/meet/inc"),
    )
    .await;
    assert_eq!([rotated.status, written.status], [StatusCode::OK; 2]);
    assert_ne!(rotating.cookie, visitor.cookie);
    assert_eq!(late.get(&site.app, "/n").await.body, "Some(2)");
    assert_eq!(late.cookie, rotating.cookie, "it gets the new cookie");
    assert_eq!(site.get(&rotating, "/n").await.body, "Some(2)");
}

/// Who knows an id from before a login sees nothing of it, and changes nothing.
pub async fn a_planted_id_is_not_carried_into_a_login<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let mut attacker = site.visitor().await;
    let mut victim = attacker.clone();
    victim.post(&site.app, "/rotate").await;
    victim.post(&site.app, "/regenerate/set-user").await;
    assert_eq!(site.get(&attacker, "/user").await.body, "None");
    let written = attacker.post(&site.app, "/inc").await;
    assert_eq!(written.status, StatusCode::CONFLICT);
    assert_eq!(site.get(&victim, "/user").await.body, r#"Some("ann")"#);
    assert_eq!(site.get(&victim, "/n").await.body, "Some(1)");
}

/// A deploy with a lower limit ends sessions from before it.
pub async fn a_lowered_absolute_timeout_ends_sessions_that_exist<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(&app, backend).await;
    let visitor = site.visitor().await;
    let deployed = SessionManager::builder(site.backend.driver.clone())
        .absolute_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let deployed = app(deployed).await;
    while visitor.clone().get(&deployed, "/n").await.body != "None" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Damaged bytes are an error for a page, and a login starts anew.
pub async fn a_visitor_with_a_damaged_record_can_log_in<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let mut visitor = site.visitor().await;
    let driver = &site.backend.driver;
    driver.put(visitor.id(), "[damaged").await.unwrap();
    let page = site.get(&visitor, "/n").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    let login = visitor.post(&site.app, "/regenerate/set-user").await;
    assert_eq!(login.status, StatusCode::OK);
    assert_eq!(site.get(&visitor, "/user").await.body, r#"Some("ann")"#);
}

/// Reading a session whose values have all expired changes nothing.
pub async fn a_read_does_not_remove_a_record_whose_values_have_expired<A: App>(
    app: impl AsyncFn(SessionManager) -> A,
    backend: Backend,
) {
    let site = Site::new(app, backend).await;
    let mut visitor = Browser::default();
    visitor.post(&site.app, "/set-short").await;
    while site.get(&visitor, "/short").await.body != "None" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    site.get(&visitor, "/short").await;
    let record = site.backend.driver.get(visitor.id()).await.unwrap();
    assert!(record.is_some());
}
