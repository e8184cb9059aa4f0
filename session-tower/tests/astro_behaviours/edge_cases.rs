//! Corrupt and foreign records, and odd requests, with what a real Astro application made of each.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_devalue::Value;
use session_core::session::SessionId;
use session_core::{Error, ErrorKind, Result};
use session_tower::Session;

use crate::support::{ID, Site, entries};

/// What a case of the file of edge cases is about.
#[derive(Clone, Deserialize)]
struct EdgeCase {
    name: String,
    /// What was stored under the visitor's id.
    raw: Option<String>,
    /// The visitor's cookie, where nothing was stored.
    cookie: Option<String>,
    /// What the handler did.
    steps: Option<String>,
    #[serde(rename = "setCookie")]
    set_cookie: Vec<String>,
    new_keys: Option<Vec<(String, String)>>,
}

fn edge_cases() -> Vec<EdgeCase> {
    serde_json::from_str(include_str!("../vectors/astro-edge-cases.json")).unwrap()
}

/// What we make of a stored text, where `a` is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// An error, and the record stays. Astro destroys these.
    Corrupt,
    /// No session: a value that is set goes to a new one.
    NoSession,
    /// The value `a` is this text or URL.
    Reads(&'static str),
    /// There is a session, and it has no value `a`. Of an entry of another shape, Astro destroys the record.
    ReadsNothing,
    /// The value `a` is an error. What is stored stays.
    ValueIsAnError,
}

fn verdict(name: &str) -> Verdict {
    match name {
        "truncated" | "index out of range" | "array, not Map" | "plain object" | "-1"
        | "string with braces" => Verdict::Corrupt,
        "null" | "false" => Verdict::NoSession,
        "entry is null" | "empty map" => Verdict::ReadsNothing,
        "entry without expires" | "leading whitespace" | "pretty printed" => Verdict::Reads("v"),
        "URL built-in form" | "URL reducer form" => Verdict::Reads("https://e.com/"),
        "unknown tag" | "__proto__ key" => Verdict::ValueIsAnError,
        "duplicate keys" => Verdict::Reads("w"),
        other => panic!("a case without a verdict: {other}"),
    }
}

#[test_support::test]
async fn what_is_stored_is_never_changed_by_reading_it() {
    let mut seen = 0;
    for case in edge_cases() {
        let Some(raw) = case.raw else { continue };
        seen += 1;
        let site = Site::new();
        site.stored_by_astro(ID, &raw);
        let answer = site
            .visitor(ID, |session: Session| async move {
                Ok(session.get::<String>("a").await?.unwrap_or_default())
            })
            .await;
        assert_eq!(site.record(ID).as_ref(), Some(&raw), "{}", case.name);
        assert_eq!(site.count(), 1, "{}", case.name);
        assert!(answer.cookies().is_empty(), "{}", case.name);
        match verdict(&case.name) {
            Verdict::Corrupt => {
                assert_eq!(answer.error, Some(ErrorKind::CorruptData), "{}", case.name);
            }
            Verdict::ValueIsAnError => assert!(answer.error.is_some(), "{}", case.name),
            Verdict::Reads(text) => assert_eq!(answer.ok().body, text, "{}", case.name),
            Verdict::NoSession | Verdict::ReadsNothing => {
                assert_eq!(answer.ok().body, "", "{}", case.name);
            }
        }
    }
    assert_eq!(seen, 18);
}

#[test_support::test]
async fn what_cannot_be_read_is_not_changed_by_a_commit() {
    for case in edge_cases() {
        let Some(raw) = case.raw else { continue };
        let site = Site::new();
        site.stored_by_astro(ID, &raw);
        let answer = site
            .visitor(
                ID,
                |session: Session| async move { session.set("ours", &1) },
            )
            .await;
        let stored = site.record(ID).unwrap();
        match verdict(&case.name) {
            // The value is kept as it is, and the change stands beside it.
            Verdict::ValueIsAnError => {
                answer.ok();
                let kept = match case.name.as_str() {
                    "unknown tag" => r#"["Foo","#,
                    _ => r#""__proto__""#,
                };
                assert!(raw.contains(kept) && stored.contains(kept), "{stored}");
                let session = site
                    .visitor(ID, |session: Session| async move {
                        let ours: Option<u32> = session.get("ours").await?;
                        Ok(ours.unwrap_or(0).to_string())
                    })
                    .await;
                assert_eq!(session.ok().body, "1");
            }
            Verdict::Corrupt => {
                assert_eq!(
                    answer.status,
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "{}",
                    case.name
                );
                assert!(answer.cookies().is_empty(), "{}", case.name);
                assert_eq!(site.events().len(), 1, "{}", case.name);
                assert_eq!((stored, site.count()), (raw, 1), "{}", case.name);
            }
            Verdict::NoSession => {
                assert_ne!(answer.ok().id(), ID, "{}", case.name);
                assert_eq!((stored, site.count()), (raw, 2), "{}", case.name);
            }
            Verdict::Reads(_) | Verdict::ReadsNothing => {
                assert!(answer.ok().cookies().is_empty(), "{}", case.name);
                let untouched = entries(&raw);
                let written = entries(&stored);
                assert_eq!(written[..untouched.len()], untouched, "{}", case.name);
                assert_eq!(written.len(), untouched.len() + 2, "{}", case.name);
            }
        }
    }
}

#[test_support::test]
async fn a_record_that_was_corrupted_meanwhile_is_not_overwritten() {
    for case in edge_cases() {
        let Some(raw) = case.raw else { continue };
        if verdict(&case.name) != Verdict::Corrupt {
            continue;
        }
        let site = Arc::new(Site::new());
        site.stored_by_astro(ID, r#"[["Map",1,2],"a",{"data":3,"expires":-1},"v"]"#);
        let (elsewhere, corrupt) = (Arc::clone(&site), raw.clone());
        let answer = site
            .visitor(ID, move |session: Session| async move {
                assert!(session.has("a").await?);
                elsewhere.stored_by_astro(ID, &corrupt);
                session.set("ours", &1)
            })
            .await;
        assert_eq!(
            answer.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{}",
            case.name
        );
        assert_eq!(site.record(ID), Some(raw), "{}", case.name);
    }
}

/// One thing that the handler of an edge case does, such as `["set","a",1]`.
type Step = (String, Option<String>, Option<u32>);

fn steps(text: &str) -> Vec<Step> {
    let steps: Vec<Vec<serde_json::Value>> = serde_json::from_str(text).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let number = |value: &serde_json::Value| u32::try_from(value.as_u64().unwrap()).unwrap();
    steps
        .iter()
        .map(|step| {
            (
                text(&step[0]),
                step.get(1).map(text),
                step.get(2).map(number),
            )
        })
        .collect()
}

async fn take(session: &Session, step: &Step) -> Result<()> {
    match step {
        (verb, Some(name), None) if verb == "get" => session.get::<Value>(name).await.map(drop),
        (verb, Some(name), Some(value)) if verb == "set" => session.set(name, value),
        (verb, None, None) if verb == "regenerate" => session.regenerate(),
        (verb, Some(id), None) if verb == "load" => {
            session.load(id.parse::<SessionId>()?).await.map(drop)
        }
        other => panic!("an unknown step: {other:?}"),
    }
}

#[test_support::test]
async fn cookies_and_keys_of_odd_requests_are_those_of_astro() {
    let mut seen = 0;
    for case in edge_cases() {
        let Some(text) = case.steps else { continue };
        seen += 1;
        let site = Site::new();
        let cookie = case.cookie.map(|id| format!("astro-session={id}"));
        let cookies: Vec<&str> = cookie.iter().map(String::as_str).collect();
        let answer = site
            .visit(&cookies, move |session: Session| async move {
                for step in steps(&text) {
                    take(&session, &step).await?;
                }
                Ok::<_, Error>(())
            })
            .await;
        let astro = (case.set_cookie.len(), case.new_keys.unwrap().len());
        let ours = (answer.cookies().len(), site.count());
        match &*case.name {
            // Astro stores an empty session.
            "regenerate anonymous" => assert_eq!((ours, astro), ((0, 0), (1, 1))),
            // Astro takes any text as an id.
            "load arbitrary string" => {
                assert_eq!(answer.error, Some(ErrorKind::InvalidKey));
                assert_eq!((ours, astro), ((0, 0), (1, 1)));
            }
            _ => assert_eq!(ours, astro, "{}", case.name),
        }
        if let [cookie] = answer.cookies()[..] {
            assert!(
                !cookies.iter().any(|sent| cookie.starts_with(sent)),
                "{cookie}"
            );
            assert!(site.record(answer.id()).is_some(), "{}", case.name);
        }
    }
    assert_eq!(seen, 9);
}
