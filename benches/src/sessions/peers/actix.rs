use std::cell::RefCell;
use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

use actix_session::config::CookieContentSecurity;
use actix_session::storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError};
use actix_session::{Session, SessionMiddleware};
use actix_web::body::MessageBody;
use actix_web::cookie::Key;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpResponse, web};
use async_trait::async_trait;
use uuid::Uuid;

use super::bare::ACTIX;
use super::{Backing, Operations, Peer};
use crate::allocations::allocations;
use crate::sessions::app::{self, Answer, Batch, in_turn};
use crate::sessions::routes::{FIVE, SLOW, SMALL, WAIT, next_text, text};

pub(super) async fn peer(backing: Backing) -> Peer {
    let operations = (backing == Backing::Counting).then(Operations::default);
    let store = MapStore {
        records: Rc::default(),
        operations: operations.clone(),
    };
    let sessions = SessionMiddleware::builder(store, Key::from(&[7; 64]))
        .cookie_content_security(CookieContentSecurity::Signed)
        .build();
    let app = App::new()
        .wrap(sessions)
        .route("/untouched", web::get().to(untouched))
        .route("/small/read", web::get().to(read_small))
        .route("/small/write", web::get().to(write_small))
        .route("/small/set/{visits}", web::get().to(set_small))
        .route("/small/count", web::get().to(count))
        .route("/five/seed", web::get().to(seed_five))
        .route("/five/read-one", web::get().to(read_one))
        .route("/five/write-one", web::get().to(write_one))
        .route("/five/read-all", web::get().to(read_all))
        .route(
            "/five/read-all-write-one",
            web::get().to(read_all_write_one),
        )
        .route("/own/{name}", web::get().to(set_own))
        .route("/own/{name}/is-there", web::get().to(own_is_there))
        .route("/increment", web::get().to(increment))
        .route("/slow", web::get().to(slow))
        .route("/logout", web::get().to(logout));
    Peer {
        name: "actix-session 0.11",
        note: "in actix's own test service, above bare actix-web; it brings no store in memory, so the smallest \
               there can be, a `HashMap` without a lock on its one thread; the cookie is signed, since it has \
               no plain one",
        app: Box::new(ActixApp::new(app).await),
        below: Some(ACTIX),
        operations,
    }
}

/// An actix application, called with its test service.
pub(in crate::sessions) struct ActixApp<S>(S);

impl ActixApp<()> {
    pub(in crate::sessions) async fn new<T, B>(
        app: App<T>,
    ) -> ActixApp<
        impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    >
    where
        T: ServiceFactory<
                ServiceRequest,
                Config = (),
                Response = ServiceResponse<B>,
                Error = actix_web::Error,
                InitError = (),
            > + 'static,
        B: MessageBody + 'static,
    {
        ActixApp(init_service(app).await)
    }
}

#[async_trait(?Send)]
impl<S, B> app::App for ActixApp<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    B: MessageBody,
{
    async fn call(&self, path: &str, cookies: Option<&str>) -> Answer {
        let response = self.0.call(request(path, cookies)).await;
        let response = response.expect("the middleware does not fail");
        let set: Vec<&str> = response
            .headers()
            .get_all(SET_COOKIE)
            .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
            .collect();
        let cookies = (!set.is_empty()).then(|| set.join("; "));
        let success =
            response.status() == StatusCode::OK || response.status() == StatusCode::NO_CONTENT;
        let body = actix_web::test::read_body(response).await;
        Answer {
            success,
            cookies,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    async fn batch(&self, path: &str, visitors: &[String], requests: usize) -> Batch {
        let requests: Vec<_> = in_turn(visitors)
            .take(requests)
            .map(|cookies| request(path, cookies))
            .collect();
        let before = allocations();
        let started = Instant::now();
        for request in requests {
            let response = self.0.call(request).await;
            drop(black_box(response.expect("the middleware does not fail")));
        }
        Batch {
            elapsed: started.elapsed(),
            allocations: allocations() - before,
        }
    }
}

fn request(path: &str, cookies: Option<&str>) -> actix_http::Request {
    let mut request = TestRequest::with_uri(path);
    if let Some(cookies) = cookies {
        request = request.insert_header((COOKIE, cookies));
    }
    request.to_request()
}

// Copies of the handlers in `routes`: the session of actix is not `Send`, so it cannot implement `Handle`.

fn done() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

fn get<T: serde::de::DeserializeOwned>(session: &Session, name: &str) -> Option<T> {
    session.get(name).expect("a readable value")
}

fn set<T: serde::Serialize>(session: &Session, name: &str, value: T) {
    session
        .insert(name, value)
        .expect("a value that can be stored");
}

pub(super) async fn untouched() -> HttpResponse {
    done()
}

async fn read_small(session: Session) -> HttpResponse {
    black_box(get::<u64>(&session, SMALL));
    done()
}

async fn write_small(session: Session) -> HttpResponse {
    let visits: u64 = get(&session, SMALL).unwrap_or(0);
    set(&session, SMALL, visits + 1);
    done()
}

async fn set_small(visits: web::Path<u64>, session: Session) -> HttpResponse {
    set(&session, SMALL, *visits);
    done()
}

async fn count(session: Session) -> String {
    get::<u64>(&session, SMALL).unwrap_or(0).to_string()
}

async fn seed_five(session: Session) -> HttpResponse {
    for name in FIVE {
        set(&session, name, text());
    }
    done()
}

async fn read_one(session: Session) -> HttpResponse {
    black_box(get::<String>(&session, FIVE[1]));
    done()
}

async fn write_one(session: Session) -> HttpResponse {
    let old: String = get(&session, FIVE[1]).unwrap_or_else(text);
    set(&session, FIVE[1], next_text(old));
    done()
}

async fn read_all(session: Session) -> HttpResponse {
    for name in FIVE {
        black_box(get::<String>(&session, name));
    }
    done()
}

async fn read_all_write_one(session: Session) -> HttpResponse {
    for name in FIVE {
        black_box(get::<String>(&session, name));
    }
    write_one(session).await
}

async fn set_own(name: web::Path<String>, session: Session) -> HttpResponse {
    black_box(get::<u64>(&session, SMALL));
    tokio::time::sleep(WAIT).await;
    set(&session, &name, true);
    done()
}

async fn own_is_there(name: web::Path<String>, session: Session) -> String {
    get::<bool>(&session, &name).is_some().to_string()
}

async fn increment(session: Session) -> HttpResponse {
    let visits: u64 = get(&session, SMALL).unwrap_or(0);
    tokio::time::sleep(WAIT).await;
    set(&session, SMALL, visits + 1);
    done()
}

async fn slow(session: Session) -> HttpResponse {
    let visits: u64 = get(&session, SMALL).unwrap_or(0);
    tokio::time::sleep(SLOW).await;
    set(&session, SMALL, visits + 1);
    done()
}

async fn logout(session: Session) -> HttpResponse {
    session.purge();
    done()
}

type Record = HashMap<String, String>;

/// A minimal store in memory.
struct MapStore {
    records: Rc<RefCell<HashMap<String, Record>>>,
    operations: Option<Operations>,
}

impl MapStore {
    fn count(&self) {
        if let Some(operations) = &self.operations {
            operations.add_one();
        }
    }
}

impl SessionStore for MapStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<Record>, LoadError> {
        self.count();
        Ok(self.records.borrow().get(key.as_ref()).cloned())
    }

    async fn save(
        &self,
        record: Record,
        _ttl: &actix_web::cookie::time::Duration,
    ) -> Result<SessionKey, SaveError> {
        self.count();
        let id = Uuid::new_v4().to_string();
        self.records.borrow_mut().insert(id.clone(), record);
        Ok(SessionKey::try_from(id).expect("a short key"))
    }

    /// Like its Redis store, saves a missing session under a new key.
    async fn update(
        &self,
        key: SessionKey,
        record: Record,
        ttl: &actix_web::cookie::time::Duration,
    ) -> Result<SessionKey, UpdateError> {
        self.count();
        if let Some(old) = self.records.borrow_mut().get_mut(key.as_ref()) {
            *old = record;
            return Ok(key);
        }
        let saved = self.save(record, ttl).await;
        Ok(saved.expect("saving does not fail"))
    }

    async fn update_ttl(
        &self,
        _key: &SessionKey,
        _ttl: &actix_web::cookie::time::Duration,
    ) -> Result<(), anyhow::Error> {
        self.count();
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        self.count();
        self.records.borrow_mut().remove(key.as_ref());
        Ok(())
    }
}
