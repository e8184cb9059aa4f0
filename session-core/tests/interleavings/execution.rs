use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use session_core::session::{SaveOutcome, Session, SessionEvent, SessionId, SessionManager};
use session_core::{Error, Outcome};

use crate::model::{Choice, Scenario};
use crate::program::Step;
use crate::world::{Connection, Ending, Operation, REQUEST, World};

/// The session that all requests begin with.
pub(crate) const ORIGINAL: &str = "00000000-0000-4000-8000-000000000000";
const ORIGINAL_RECORD: &str =
    r#"[["Map",1,2,4,5],"base",{"data":3,"expires":-1},"old","n",{"data":6,"expires":-1},0]"#;

/// Changes that were made and not yet committed, or that belong together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delta {
    pub(crate) set: bool,
    pub(crate) updates: u32,
}

impl Delta {
    fn is_empty(&self) -> bool {
        !self.set && self.updates == 0
    }
}

/// Changes that a commit acknowledged, and where it put them.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) id: String,
    pub(crate) from_original: bool,
    pub(crate) delta: Delta,
}

/// What a request was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) pending: Delta,
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Changes of which nobody knows whether they were applied.
    pub(crate) unknown: Delta,
    pub(crate) destroyed: Vec<String>,
    /// A destroy took the original record away itself.
    pub(crate) removed_original: bool,
    pub(crate) destroy_failed: bool,
    pub(crate) last_outcome: Option<SaveOutcome>,
    pub(crate) set_cookie: Option<String>,
    /// It was given an id of its own, or lost its session by its own doing.
    pub(crate) may_set_cookie: bool,
}

impl Told {
    /// Whether the request was told of a session with this id.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let mut acknowledged = self.acknowledged.iter();
        let cookie = self.set_cookie.as_deref();
        acknowledged.any(|acknowledged| acknowledged.id == id)
            || cookie.is_some_and(|cookie| cookie.contains(id))
    }
}

/// What was seen of one run.
pub(crate) struct Seen {
    pub(crate) told: Vec<Told>,
    pub(crate) world: Arc<World>,
    pub(crate) cleanup_failures: usize,
    pub(crate) issued_updates: u32,
}

/// How far a run came.
pub(crate) enum Run {
    /// It goes on with one of these choices.
    Choices(Vec<Choice>),
    Ended(Seen),
}

/// Runs `scenario` from its start through `schedule`.
pub(crate) fn run(scenario: &Scenario, schedule: &[Choice]) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(scenario.backend);
        world.put(ORIGINAL, ORIGINAL_RECORD);
        let cleanup_failures = Arc::new(Mutex::new(0));
        let stores: Vec<SessionManager> = (0..scenario.servers)
            .map(|_| store(&world, &cleanup_failures))
            .collect();

        let mut requests = Vec::new();
        for (request, program) in scenario.requests.iter().enumerate() {
            let store = stores[request % stores.len()].clone();
            let handler = handle(store, request, program.clone(), Arc::clone(&world));
            requests.push(tokio::spawn(REQUEST.scope(request, handler)));
        }
        let mut choices = schedule.iter();
        loop {
            // With the clock paused this returns when nobody can go on but through a gate.
            tokio::time::sleep(Duration::from_millis(100)).await;
            let waiting = world.waiting();
            if waiting.is_empty() {
                break;
            }
            match choices.next() {
                Some(choice) => world.open(choice.request, choice.ending),
                None => {
                    let faults = schedule
                        .iter()
                        .filter(|choice| choice.ending != Ending::Answered)
                        .count();
                    for request in &requests {
                        request.abort();
                    }
                    return Run::Choices(choices_of(&waiting, faults < scenario.faults));
                }
            }
        }
        let mut told = Vec::new();
        for request in requests {
            assert!(
                request.is_finished(),
                "a request waits for nothing: {schedule:?}"
            );
            told.push(request.await.unwrap());
        }
        let issued_updates = scenario
            .requests
            .iter()
            .flatten()
            .filter(|step| **step == Step::Update)
            .count();
        let cleanup_failures = *cleanup_failures.lock().unwrap();
        Run::Ended(Seen {
            told,
            world,
            cleanup_failures,
            issued_updates: u32::try_from(issued_updates).unwrap(),
        })
    })
}

fn choices_of(waiting: &[(usize, Operation)], may_fail: bool) -> Vec<Choice> {
    let mut choices = Vec::new();
    for (request, operation) in waiting {
        let endings: &[Ending] = match (may_fail, operation) {
            (false, _) => &[Ending::Answered],
            (true, Operation::Read) => &[Ending::Answered, Ending::Refused],
            (true, Operation::Change) => &[
                Ending::Answered,
                Ending::Refused,
                Ending::AnswerLost,
                Ending::RequestLost,
            ],
        };
        choices.extend(endings.iter().map(|ending| Choice {
            request: *request,
            ending: *ending,
        }));
    }
    choices
}

fn store(world: &Arc<World>, cleanup_failures: &Arc<Mutex<usize>>) -> SessionManager {
    let failures = Arc::clone(cleanup_failures);
    SessionManager::builder(Arc::new(Connection(Arc::clone(world))))
        // The clock stands still but for the pauses of this test.
        .commit_deadline(Duration::from_secs(3_600))
        .on_event(move |event| {
            if matches!(event, SessionEvent::CleanupFailed(_)) {
                *failures.lock().unwrap() += 1;
            }
        })
        .build()
        .unwrap()
}

async fn handle(
    store: SessionManager,
    request: usize,
    program: Vec<Step>,
    world: Arc<World>,
) -> Told {
    let mut headers = HeaderMap::new();
    let cookie = format!("{}={ORIGINAL}", store.cookie_name());
    headers.insert(COOKIE, cookie.parse().unwrap());
    let session = store.session_from_headers(&headers);
    let mut told = Told::default();
    let mut regenerates = false;
    for step in program {
        match step {
            Step::Get => {
                let _ = session.get::<String>("base").await;
            }
            Step::Set => {
                session.set(own_key(request).as_str(), &request).unwrap();
                told.pending.set = true;
            }
            Step::Update => {
                let added = session
                    .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                    .await;
                told.pending.updates += u32::from(added.is_ok());
            }
            Step::Regenerate => {
                session.regenerate().unwrap();
                regenerates = true;
            }
            Step::Destroy => {
                let id = session.id();
                let was_live = world.value(ORIGINAL).is_some_and(|value| value != "null");
                destroy(&session, id, &mut told).await;
                let is_gone = world.value(ORIGINAL).is_none();
                told.removed_original |= was_live && is_gone;
                regenerates = false;
            }
            Step::Save => save(&session, &mut told, &world, &mut regenerates).await,
        }
    }
    save(&session, &mut told, &world, &mut regenerates).await;
    let finished = session.commit().await;
    // What `finish` tried once more was not told to this request.
    told.unknown.set |= told.pending.set;
    told.unknown.updates += told.pending.updates;
    let mut headers = HeaderMap::new();
    finished.headers.apply(&mut headers);
    told.set_cookie = headers
        .get(SET_COOKIE)
        .map(|cookie| cookie.to_str().unwrap().to_owned());
    told
}

pub(crate) fn own_key(request: usize) -> String {
    format!("k{request}")
}

async fn destroy(session: &Session, id: Option<SessionId>, told: &mut Told) {
    match session.destroy().await {
        Ok(()) => {
            told.pending = Delta::default();
            told.destroyed.extend(id.map(|id| id.expose().to_owned()));
            told.may_set_cookie = true;
        }
        Err(_) => told.destroy_failed = true,
    }
}

async fn save(session: &Session, told: &mut Told, world: &World, regenerates: &mut bool) {
    match session.save().await {
        Ok(outcome) => {
            told.last_outcome = Some(outcome);
            match outcome {
                SaveOutcome::Gone => {}
                _ => acknowledge(session, told, world, *regenerates),
            }
            told.pending = Delta::default();
            *regenerates = false;
        }
        Err(error) => fail(told, &error, regenerates),
    }
}

fn acknowledge(session: &Session, told: &mut Told, world: &World, regenerates: bool) {
    let id = session.id().map(|id| id.expose().to_owned());
    if let Some(id) = id
        && (!told.pending.is_empty() || regenerates)
    {
        let stored = world.value(&id).unwrap_or_default();
        let from_original = id == ORIGINAL || String::from_utf8_lossy(&stored).contains("\"base\"");
        told.may_set_cookie |= id != ORIGINAL;
        told.acknowledged.push(Acknowledged {
            id,
            from_original,
            delta: told.pending,
        });
    }
}

fn fail(told: &mut Told, error: &Error, regenerates: &mut bool) {
    told.last_outcome = None;
    if error.outcome() == Outcome::Unknown {
        told.unknown.set |= told.pending.set;
        told.unknown.updates += told.pending.updates;
        told.pending = Delta::default();
        *regenerates = false;
    }
    // Otherwise `finish` tries again, and may succeed with a new id.
    told.may_set_cookie = true;
}
