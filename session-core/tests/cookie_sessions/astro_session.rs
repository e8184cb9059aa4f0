//! Beside the npm package `astro-session` 0.3.0, on Node.js: each reads what the other wrote.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::{Map, Value, json};
use session_core::session::{CookieFormat, CookieRejection, CookieSessionOptions, Lifetime};
use session_core::{ErrorKind, Expiry, SystemClock, Timestamp};
use test_support::{NodePackages, Script};

use crate::visitor::{Browser, OTHER_SECRET, SECRET, Site, set};

static PACKAGES: LazyLock<NodePackages> = LazyLock::new(|| {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cookie_sessions/js");
    NodePackages::install(
        sources,
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("astro-session"),
    )
});

fn astro_session(secret: &str) -> Script {
    let mut script = PACKAGES.script("astro_session.mjs");
    script.args(["sid", secret]);
    Script::start(script)
}

fn options() -> CookieSessionOptions {
    CookieSessionOptions::new([SECRET]).with_format(CookieFormat::AstroSession)
}

fn site() -> Site {
    Site::with(options(), |store| store.clock(Arc::new(SystemClock)))
}

/// A browser with the cookie that a `Set-Cookie` of the package says.
fn browser_with(set_cookie: &Value) -> Browser {
    let mut browser = Browser::default();
    browser.keep(set_cookie.as_str().unwrap());
    browser
}

fn cookie_of(browser: &Browser) -> String {
    format!("sid={}", browser.value())
}

struct States(TestRng);

impl States {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }

    fn text(&mut self, longest: u64) -> String {
        const LETTERS: [char; 16] = [
            'a', 'Z', '0', ' ', '"', '\\', '\n', '\u{1}', '<', '/', 'é', '漢', '😀', '\u{2028}',
            '=', ';',
        ];
        let length = self.below(longest + 1);
        (0..length)
            .map(|_| LETTERS[usize::try_from(self.below(16)).unwrap()])
            .collect()
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => Value::Bool(self.below(2) == 0),
            2 => json!(self.below(1 << 53)),
            3 => json!(-i64::try_from(self.below(1000)).unwrap()),
            4 => {
                let bits = f64::from_bits(self.0.next_u64());
                json!(if bits.is_finite() { bits } else { 0.1 })
            }
            5 => Value::String(self.text(12)),
            6 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => Value::Object(self.members(depth - 1)),
        }
    }

    fn members(&mut self, depth: u64) -> Map<String, Value> {
        let members = 0..self.below(5);
        members
            .map(|_| (format!("k{}", self.text(4)), self.value(depth)))
            .collect()
    }
}

/// Whether both are the same to JavaScript, which has one kind of number.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// All that the session of a browser holds, flashes too; these are taken.
async fn read(site: &Site, browser: &mut Browser, flash: &Map<String, Value>) -> Value {
    let names: Vec<String> = flash.keys().cloned().collect();
    let session = site.store.session_from_headers(&browser.headers());
    let mut data = Map::new();
    for name in session.keys().await.unwrap() {
        let value = session.get::<Value>(&name).await.unwrap().unwrap();
        data.insert(name, value);
    }
    let mut taken = Map::new();
    for name in names {
        let value = session.take_flash::<Value>(&name).await.unwrap();
        taken.insert(name, value.expect("it is flashed"));
    }
    let finished = session.commit(http::StatusCode::OK).await;
    assert!(finished.failure.is_none());
    for cookie in finished.headers.set_cookies() {
        browser.keep(cookie.to_str().unwrap());
    }
    json!({ "data": data, "flash": taken })
}

#[test_support::test]
async fn each_reads_200_random_sessions_that_the_other_wrote_and_their_flashes_once() {
    let site = site();
    let mut astro_session = astro_session(SECRET);
    let mut states = States(TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let mut done = 0;
    while done < 200 {
        let (data, flash) = (states.members(2), states.members(1));
        let state = json!({ "data": data, "flash": flash });
        if state.to_string().len() > 2_000 {
            continue;
        }
        done += 1;
        let cookie = astro_session.call("write", json!([data, flash])).await;
        let mut theirs = browser_with(&cookie);
        let found = read(&site, &mut theirs, &flash).await;
        assert!(same(&found, &state), "we read {found} of {state}");
        let left = astro_session
            .call("read", json!([cookie_of(&theirs)]))
            .await;
        assert!(
            same(&left["data"], &state["data"]),
            "we left {left} of {state}"
        );
        assert_eq!(left["flash"], json!({}), "we took all flashes");

        let mut ours = Browser::default();
        ours.visit(&site, |session| async move {
            for (name, value) in &data {
                session.set(name, value)?;
            }
            for (name, value) in &flash {
                session.flash(name, value)?;
            }
            Ok(())
        })
        .await;
        if ours.cookies.is_empty() {
            assert_eq!(
                state,
                json!({ "data": {}, "flash": {} }),
                "nothing is no session"
            );
            continue;
        }
        let found = astro_session.call("read", json!([cookie_of(&ours)])).await;
        assert!(same(&found, &state), "they read {found} of {state}");
        let names_of_flashes = json!(
            state["flash"]
                .as_object()
                .unwrap()
                .keys()
                .collect::<Vec<_>>()
        );
        let taken = json!([cookie_of(&ours), names_of_flashes]);
        let taken = astro_session.call("take", taken).await;
        let mut theirs = browser_with(&taken["cookie"]);
        let left = read(&site, &mut theirs, &Map::new()).await;
        assert!(
            same(&left["data"], &state["data"]),
            "they left {left} of {state}"
        );
        let session = site.store.session_from_headers(&theirs.headers());
        for name in state["flash"].as_object().unwrap().keys() {
            assert_eq!(session.take_flash::<Value>(name).await.unwrap(), None);
        }
        assert!(site.take_rejections().is_empty(), "{state}");
    }
}

#[test_support::test]
async fn neither_reads_what_another_secret_signed() {
    let site = site();
    let mut other = astro_session(OTHER_SECRET);
    let cookie = other.call("write", json!([{ "name": "Eve" }, {}])).await;
    let browser = browser_with(&cookie);
    assert_eq!(browser.read(&site, "name").await, None);
    assert_eq!(site.take_rejections(), [CookieRejection::Forged]);

    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let found = other.call("read", json!([cookie_of(&browser)])).await;
    assert_eq!(found, json!({ "data": {}, "flash": {} }));
}

#[test_support::test]
async fn a_text_that_javascript_cut_in_the_middle_of_a_character_logs_nobody_out() {
    let site = site();
    let mut astro_session = astro_session(SECRET);
    let arguments = json!(["name", "'Ann 😀'.slice(0, 5)"]);
    let cookie = astro_session.call("writeScript", arguments).await;
    let browser = browser_with(&cookie);
    assert_eq!(
        browser.read(&site, "name").await.as_deref(),
        Some("Ann \u{fffd}")
    );
}

#[test_support::test]
async fn a_session_of_the_package_ends_for_want_of_activity_here() {
    let clock = Arc::new(session_core::ManualClock::new(Timestamp::now()));
    let site = Site::with(options(), |store| store.clock(clock.clone()));
    let mut astro_session = astro_session(SECRET);
    let cookie = astro_session
        .call("write", json!([{ "name": "Ann" }, {}]))
        .await;
    let browser = browser_with(&cookie);
    clock.advance(Duration::from_secs(13 * 24 * 60 * 60));
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));
    clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    assert_eq!(browser.read(&site, "name").await, None);
    assert_eq!(site.take_rejections(), [CookieRejection::Expired]);
}

#[test_support::test]
async fn what_ends_here_has_ended_there() {
    let site = site();
    let mut browser = Browser::default();
    browser
        .visit(&site, |session| async move {
            session.set("name", "Ann")?;
            session.set_lifetime(Lifetime::idle(Duration::from_secs(1)))
        })
        .await;
    let mut astro_session = astro_session(SECRET);
    let ended = async {
        loop {
            let found = astro_session
                .call("read", json!([cookie_of(&browser)]))
                .await;
            if found["data"] == json!({}) {
                break;
            }
        }
    };
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, ended)
        .await
        .expect("it ends");
    assert_eq!(browser.read(&site, "name").await, None);
}

#[test_support::test]
async fn lifetimes_and_ends_of_values_last_from_one_request_of_ours_to_the_next() {
    let site = Site::with(options(), |store| store);
    let mut browser = Browser::default();
    let hour = Duration::from_secs(60 * 60);
    let end = site.store.now().saturating_add(hour);
    let cookies = browser
        .visit(&site, |session| async move {
            session.set_with("code", "1234", Expiry::At(end))?;
            session.set("name", "Ann")?;
            session.set_lifetime(
                Lifetime::idle(10 * hour)
                    .with_absolute(15 * hour)
                    .persistent(),
            )
        })
        .await;
    assert!(cookies[0].contains("Max-Age=36000"), "{cookies:?}");
    assert_eq!(browser.read(&site, "code").await.as_deref(), Some("1234"));
    site.clock.advance(2 * hour);
    assert_eq!(browser.read(&site, "code").await, None);
    site.clock.advance(7 * hour);
    let cookies = browser.visit(&site, set("note", "x")).await;
    assert!(cookies[0].contains("Max-Age=21600"), "{cookies:?}");
    site.clock.advance(6 * hour);
    assert_eq!(browser.read(&site, "name").await, None);
}

#[test_support::test]
async fn what_json_cannot_hold_is_an_error_that_names_it() {
    let site = Site::with(options(), |store| store);
    for (value, kind) in [
        (serde_devalue::Value::Number(f64::NAN), "not finite"),
        (serde_devalue::Value::Set(Vec::new()), "of a type"),
        (serde_devalue::Value::ArrayBuffer(vec![1]), "bytes"),
    ] {
        let written = Browser::default()
            .try_visit(&site, |session| async move { session.set("odd", &value) })
            .await;
        let error = written.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unserializable);
        let text = error.to_string();
        assert!(text.contains("`odd`") && text.contains(kind), "{text}");
    }
}
