//! Sessions in cookies: the costs of decrypting, and of decrypting and encrypting, 1 KiB with each request.

use std::collections::HashMap;

use actix_session::SessionMiddleware;
use actix_session::storage::CookieSessionStore;
use actix_web::{HttpResponse, web};
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use session_core::session::{CookieSessionOptions, SessionManager};
use session_tower::{Session, SessionLayer};
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tower_cookies::{Cookie, CookieManagerLayer, Cookies, Key};

use super::app::{App, AxumApp};
use super::peers::ActixApp;
use crate::plan::Plan;
use crate::report::{Column, Comparison, Row, Section};
use crate::statistics::{median, median_above, spread};
use crate::subprocess::{self, Subprocess};

/// The title of the section.
pub(crate) const IN_COOKIES: &str = "sessions in cookies";

const OURS: &str = "session-kit";
const AXUM: &str = "axum";
const ACTIX: &str = "actix-web";
const SECRET: &str = "a secret that is the same for all, and has 64 bytes: 0123456789ab";
const NAME: &str = "text";

const COLUMNS: [Column; 6] = [
    Column::plain("ns", 0),
    Column::plain("± %", 1),
    Column::plain("allocations", 1),
    Column::plotted("ns above", 0),
    Column::plain("allocations above", 1),
    Column::plain("× ours", 2),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Scenario {
    Read,
    Write,
}

impl Scenario {
    const ALL: [Self; 2] = [Self::Read, Self::Write];

    const fn title(self) -> &'static str {
        match self {
            Self::Read => "read 1 KiB in the cookie",
            Self::Write => "read + write 1 KiB in the cookie",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Read => "/read",
            Self::Write => "/write",
        }
    }
}

struct Peer {
    name: &'static str,
    note: &'static str,
    app: Box<dyn App>,
    below: Option<&'static str>,
}

fn text() -> String {
    "0123456789abcdef".repeat(64)
}

/// Returns a different text with the same length.
fn next(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("{rest}{first}")
}

async fn peers() -> Vec<Peer> {
    vec![
        bare_axum(),
        bare_actix().await,
        ours(),
        tower_cookies(),
        actix_session().await,
    ]
}

fn bare_axum() -> Peer {
    let done = || async { StatusCode::NO_CONTENT };
    let app = Router::new()
        .route("/read", get(done))
        .route("/write", get(done));
    Peer {
        name: AXUM,
        note: "without sessions",
        app: Box::new(AxumApp::new(app)),
        below: None,
    }
}

async fn bare_actix() -> Peer {
    async fn done() -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
    let app = actix_web::App::new()
        .route("/read", web::get().to(done))
        .route("/write", web::get().to(done));
    Peer {
        name: ACTIX,
        note: "without sessions",
        app: Box::new(ActixApp::new(app).await),
        below: None,
    }
}

fn ours() -> Peer {
    async fn seed(session: Session) {
        session.set(NAME, &text()).expect("a value");
    }
    async fn read(session: Session) -> StatusCode {
        let text: Option<String> = session.get(NAME).await.expect("a readable value");
        std::hint::black_box(text.expect("the seed is there"));
        StatusCode::NO_CONTENT
    }
    async fn write(session: Session) -> StatusCode {
        let text: Option<String> = session.get(NAME).await.expect("a readable value");
        let text = text.expect("the seed is there");
        session.set(NAME, &next(&text)).expect("a value");
        StatusCode::NO_CONTENT
    }
    let store = SessionManager::in_cookies(CookieSessionOptions::new([SECRET])).build();
    let layer = SessionLayer::from_manager(store.expect("a good configuration"));
    let app = Router::new()
        .route("/seed", get(seed))
        .route("/read", get(read))
        .route("/write", get(write))
        .layer(layer);
    Peer {
        name: OURS,
        note: "`SessionLayer` on `SessionManager::in_cookies`, defaults: XChaCha20-Poly1305",
        app: Box::new(AxumApp::new(app)),
        below: Some(AXUM),
    }
}

fn tower_cookies() -> Peer {
    #[derive(Serialize, Deserialize)]
    struct Record {
        text: String,
    }
    fn record(cookies: &Cookies, key: &Key) -> Record {
        let cookie = cookies
            .private(key)
            .get("session")
            .expect("the seed is there");
        serde_json::from_str(cookie.value()).expect("JSON")
    }
    fn keep(cookies: &Cookies, key: &Key, record: &Record) {
        let json = serde_json::to_string(record).expect("JSON");
        let cookie = Cookie::build(("session", json))
            .path("/")
            .http_only(true)
            .secure(true);
        cookies.private(key).add(cookie.build());
    }
    let key = Key::from(SECRET.as_bytes());
    let (seeding, reading, writing) = (key.clone(), key.clone(), key);
    let app = Router::new()
        .route(
            "/seed",
            get(move |cookies: Cookies| async move {
                keep(&cookies, &seeding, &Record { text: text() });
            }),
        )
        .route(
            "/read",
            get(move |cookies: Cookies| async move {
                std::hint::black_box(record(&cookies, &reading).text);
                StatusCode::NO_CONTENT
            }),
        )
        .route(
            "/write",
            get(move |cookies: Cookies| async move {
                let text = next(&record(&cookies, &writing).text);
                keep(&cookies, &writing, &Record { text });
                StatusCode::NO_CONTENT
            }),
        )
        .layer(CookieManagerLayer::new());
    Peer {
        name: "tower-cookies 0.11",
        note: "a private cookie (AES-256-GCM) with JSON, without a session; only the browser expires it",
        app: Box::new(AxumApp::new(app)),
        below: Some(AXUM),
    }
}

async fn actix_session() -> Peer {
    type Session = actix_session::Session;
    async fn seed(session: Session) -> HttpResponse {
        session.insert(NAME, text()).expect("a value");
        HttpResponse::NoContent().finish()
    }
    fn stored(session: &Session) -> String {
        let text = session.get(NAME).expect("a readable value");
        text.expect("the seed is there")
    }
    async fn read(session: Session) -> HttpResponse {
        std::hint::black_box(stored(&session));
        HttpResponse::NoContent().finish()
    }
    async fn write(session: Session) -> HttpResponse {
        session
            .insert(NAME, next(&stored(&session)))
            .expect("a value");
        HttpResponse::NoContent().finish()
    }
    let key = actix_web::cookie::Key::from(SECRET.as_bytes());
    let sessions = SessionMiddleware::builder(CookieSessionStore::default(), key).build();
    let app = actix_web::App::new()
        .wrap(sessions)
        .route("/seed", web::get().to(seed))
        .route("/read", web::get().to(read))
        .route("/write", web::get().to(write));
    Peer {
        name: "actix-session 0.11",
        note: "its `CookieSessionStore` in a private cookie (AES-256-GCM), in the test service of actix, above bare actix-web",
        app: Box::new(ActixApp::new(app).await),
        below: Some(ACTIX),
    }
}

#[derive(Default)]
struct Rounds {
    nanoseconds: Vec<f64>,
    allocations: f64,
}

#[derive(Serialize, Deserialize)]
struct Question {
    scenario: Scenario,
    requests: usize,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    nanoseconds: f64,
    allocations: f64,
}

/// Runs the selected benchmarks with all peers in turns.
pub(super) async fn measure(plan: &Plan) -> Option<Section> {
    let includes =
        |scenario: &Scenario| plan.includes(&format!("{IN_COOKIES}: {}", scenario.title()));
    let scenarios: Vec<Scenario> = Scenario::ALL.into_iter().filter(includes).collect();
    if scenarios.is_empty() {
        return None;
    }
    let mut notes = vec![
        "one value of 1 KiB; each request carries the cookie, and each response of the second comparison sets it; measured as \
         requests are"
            .to_owned(),
    ];
    for peer in peers().await {
        notes.push(format!("{}: {}", peer.name, peer.note));
    }
    let mut comparisons = Vec::new();
    for scenario in scenarios {
        eprintln!("benches: {IN_COOKIES}: {}", scenario.title());
        comparisons.push(Comparison {
            title: scenario.title().to_owned(),
            rows: compare(plan, scenario).await,
        });
    }
    Some(Section {
        title: IN_COOKIES,
        notes,
        columns: COLUMNS.to_vec(),
        comparisons,
    })
}

async fn compare(plan: &Plan, scenario: Scenario) -> Vec<Row> {
    let peers = peers().await;
    let mut measured: HashMap<&str, Rounds> = HashMap::new();
    let question = Question {
        scenario,
        requests: plan.requests,
    };
    for _ in 0..plan.request_processes {
        let mut processes: Vec<Subprocess> = peers
            .iter()
            .map(|peer| Subprocess::of_subject(IN_COOKIES, peer.name))
            .collect();
        for round in 0..=plan.request_rounds {
            for (peer, process) in peers.iter().zip(&mut processes) {
                let answer: Answer = process.ask(&question).await;
                // The first round is a warm-up.
                if round > 0 {
                    let found = measured.entry(peer.name).or_default();
                    found.nanoseconds.push(answer.nanoseconds);
                    found.allocations = answer.allocations;
                }
            }
        }
        for process in processes {
            process.end().await;
        }
    }
    let above = |peer: &Peer| {
        let (own, below) = (measured.get(peer.name)?, measured.get(peer.below?)?);
        let nanoseconds = median_above(&own.nanoseconds, &below.nanoseconds);
        Some((nanoseconds, own.allocations - below.allocations))
    };
    let ours = peers.iter().find(|peer| peer.name == OURS).and_then(above);
    let with_sessions = peers.iter().filter(|peer| peer.below.is_some());
    let rows = with_sessions.filter_map(|peer| {
        let own = measured.get(peer.name)?;
        let above = above(peer);
        let ratio = above.zip(ours).map(|(its, ours)| its.0 / ours.0);
        Some(Row {
            subject: peer.name.to_owned(),
            ours: peer.name == OURS,
            values: vec![
                Some(median(&own.nanoseconds)),
                Some(spread(&own.nanoseconds)),
                Some(own.allocations),
                above.map(|above| above.0),
                above.map(|above| above.1),
                ratio,
            ],
        })
    });
    rows.collect()
}

/// Runs the peer with this name.
pub(crate) fn be(runtime: &Runtime, name: &str) {
    const WARM_UP: usize = 50;
    let tasks = LocalSet::new();
    let peers = tasks.block_on(runtime, peers());
    let Some(peer) = peers.into_iter().find(|peer| peer.name == name) else {
        return;
    };
    let cookie = tasks.block_on(runtime, async {
        peer.below?;
        let answer = peer.app.call("/seed", None).await;
        assert!(answer.success, "{} must store a session", peer.name);
        answer.cookies
    });
    subprocess::answer(|Question { scenario, requests }| {
        let measured = async {
            let visitors = cookie.as_slice();
            peer.app.batch(scenario.path(), visitors, WARM_UP).await;
            let batch = peer.app.batch(scenario.path(), visitors, requests).await;
            Answer {
                nanoseconds: per_request(batch.elapsed.as_nanos(), requests),
                allocations: per_request(u128::from(batch.allocations), requests),
            }
        };
        tasks.block_on(runtime, tokio::task::unconstrained(measured))
    });
}

#[expect(clippy::cast_precision_loss, reason = "counts of a batch")]
fn per_request(total: u128, requests: usize) -> f64 {
    total as f64 / requests as f64
}
