use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use session_core::session::{Lifetime, SaveOutcome, Session, SessionEvent, SessionManager};
use session_core::{Error, Outcome, Timestamp};

use crate::model::{Choice, Scenario};
use crate::program::Step;
use crate::world::{Connection, Ending, Operation, REQUEST, World};

/// The session that all requests begin with.
pub(crate) const ORIGINAL: &str = "00000000-0000-4000-8000-000000000000";
/// It holds `base`, the counters `n` and `c`, and the flashed value `f`.
fn original_record(renewed: Timestamp) -> String {
    let renewed = renewed.as_millis();
    format!(
        concat!(
            r#"[["Map",1,2,4,5,7,8,9,10,13,14],"base",{{"data":3,"expires":-1}},"old","n",{{"data":6,"expires":-1}},0,"#,
            r#""c",{{"data":6,"expires":-1}},"$session:flash",{{"data":11,"expires":-1}},["Map",12,3],"f","#,
            r#""$session:lifetime",{{"data":15,"expires":-1}},{{"created":16,"renewed":16}},{}]"#
        ),
        renewed
    )
}

/// The idle timeout that a request gives the session.
pub(crate) const OWN_IDLE: Duration = Duration::from_secs(77);

/// Changes that were made and not yet committed, or that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Delta {
    pub(crate) set: bool,
    pub(crate) updates: u32,
    /// Increments by reading and setting.
    pub(crate) sets_after_read: u32,
    pub(crate) flashed: bool,
    pub(crate) took_flash: bool,
    pub(crate) set_lifetime: bool,
}

impl Delta {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.set |= other.set;
        self.updates += other.updates;
        self.sets_after_read += other.sets_after_read;
        self.flashed |= other.flashed;
        self.took_flash |= other.took_flash;
        self.set_lifetime |= other.set_lifetime;
    }
}

/// Changes that a commit acknowledged, and where it put them.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) id: String,
    pub(crate) delta: Delta,
    /// The session got this id by a `regenerate`.
    pub(crate) regenerated: bool,
}

/// A session that a request destroyed.
#[derive(Clone, Debug)]
pub(crate) struct DestroyedSession {
    pub(crate) id: String,
    /// The revision of the world before.
    pub(crate) since: u64,
}

/// What a request was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) pending: Delta,
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Changes of which nobody knows whether they were applied.
    pub(crate) unknown: Delta,
    pub(crate) destroyed: Vec<DestroyedSession>,
    pub(crate) destroy_failed: bool,
    pub(crate) last_outcome: Option<SaveOutcome>,
    pub(crate) had_error: bool,
    pub(crate) set_cookie: Option<String>,
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
        let renewed = match scenario.is_due {
            true => Timestamp::from_millis(0),
            false => Timestamp::now(),
        };
        world.put(ORIGINAL, &original_record(renewed));
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
            Step::ReadThenSet => {
                if let Ok(count) = session.get::<u32>("c").await {
                    session.set("c", &(count.unwrap_or(0) + 1)).unwrap();
                    told.pending.sets_after_read += 1;
                }
            }
            Step::Flash => {
                session.flash(own_key(request).as_str(), &request).unwrap();
                told.pending.flashed = true;
            }
            Step::TakeFlash => {
                let taken = session.take_flash::<String>("f").await;
                told.pending.took_flash |= matches!(taken, Ok(Some(_)));
            }
            Step::SetLifetime => {
                session.set_lifetime(Lifetime::idle(OWN_IDLE)).unwrap();
                told.pending.set_lifetime = true;
            }
            Step::Rotate => session.rotate().unwrap(),
            Step::Regenerate => {
                session.regenerate().unwrap();
                regenerates = true;
            }
            Step::Destroy => {
                destroy(&session, &mut told, &world).await;
                regenerates = false;
            }
            Step::Save => save(&session, &mut told, &mut regenerates).await,
        }
    }
    save(&session, &mut told, &mut regenerates).await;
    let finished = session.commit(StatusCode::OK).await;
    // What this tried once more was not told to the request.
    told.unknown.add(told.pending);
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

async fn destroy(session: &Session, told: &mut Told, world: &World) {
    // A session that has moved is destroyed under the id that the client has.
    let id = session
        .id()
        .map_or(ORIGINAL.to_owned(), |id| id.expose().to_owned());
    let since = world.revision();
    match session.destroy().await {
        Ok(()) => {
            told.pending = Delta::default();
            told.destroyed.push(DestroyedSession { id, since });
        }
        Err(_) => told.destroy_failed = true,
    }
}

async fn save(session: &Session, told: &mut Told, regenerates: &mut bool) {
    match session.save().await {
        Ok(outcome) => {
            told.last_outcome = Some(outcome);
            match outcome {
                SaveOutcome::Gone | SaveOutcome::Stale => {}
                _ => acknowledge(session, told, *regenerates),
            }
            told.pending = Delta::default();
            *regenerates = false;
        }
        Err(error) => fail(told, &error, regenerates),
    }
}

fn acknowledge(session: &Session, told: &mut Told, regenerated: bool) {
    let id = session.id().map(|id| id.expose().to_owned());
    if let Some(id) = id
        && (!told.pending.is_empty() || regenerated)
    {
        told.acknowledged.push(Acknowledged {
            id,
            delta: told.pending,
            regenerated,
        });
    }
}

fn fail(told: &mut Told, error: &Error, regenerates: &mut bool) {
    told.last_outcome = None;
    told.had_error = true;
    if error.outcome() == Outcome::Unknown {
        told.unknown.add(told.pending);
        told.pending = Delta::default();
        *regenerates = false;
    }
}
