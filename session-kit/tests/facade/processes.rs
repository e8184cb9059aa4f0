//! Four server processes that share their sessions lose no change, and none of them revives what another ended.
//!
//! Another backend is another test here that gives its configuration to [`Servers::start`].

use std::collections::HashSet;

use crate::support::{Answer, Server};
use futures_util::future::join_all;
use tempfile::TempDir;

const PROCESSES: usize = 4;
const REQUESTS: usize = 50;

/// Servers whose sessions are in one place, in a folder of their own.
struct Servers {
    servers: Vec<Server>,
    _folder: TempDir,
}

impl Servers {
    /// Starts the servers with the TOML `config`, whose relative paths are in a folder of this test.
    async fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("session.toml"), config).unwrap();
        let start = || Server::start("shared_sessions", folder.path(), "session.toml");
        Self {
            servers: join_all((0..PROCESSES).map(|_| start())).await,
            _folder: folder,
        }
    }

    /// The answer of server number `n`, counted around.
    async fn get(&self, n: usize, path: &str, cookie: &str) -> Answer {
        let server = &self.servers[n % self.servers.len()];
        server.get(path, Some(cookie.to_owned())).await
    }

    /// The answers to `REQUESTS` requests at once, spread over all servers, the n-th for `path(n)`.
    async fn get_at_once(&self, cookie: &str, path: impl Fn(usize) -> String) -> Vec<Answer> {
        let requests = (0..REQUESTS).map(|n| {
            let path = path(n);
            async move { self.get(n, &path, cookie).await }
        });
        join_all(requests).await
    }

    /// The cookie of a new session, which holds one key.
    async fn log_in(&self) -> String {
        let answer = self.servers[0].get("/set/first", None).await;
        answer.cookie.unwrap()
    }

    async fn keep_every_key_that_is_set(&self) {
        let cookie = self.log_in().await;
        for answer in self.get_at_once(&cookie, |n| format!("/set/k{n}")).await {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        for n in 0..PROCESSES {
            let count = self.get(n, "/keys", &cookie).await.body;
            assert_eq!(count, (REQUESTS + 1).to_string());
        }
    }

    async fn apply_every_update_once(&self) {
        let cookie = self.log_in().await;
        let answers = self.get_at_once(&cookie, |_| "/increment".to_owned()).await;
        let counted: HashSet<String> = answers.into_iter().map(|answer| answer.body).collect();
        let expected: HashSet<String> = (1..=REQUESTS).map(|n| n.to_string()).collect();
        assert_eq!(counted, expected);
    }

    /// One server logs out while a request on each of them, which has read the session, has yet to change it.
    async fn keep_gone_what_a_logout_ended(&self) {
        let cookie = self.log_in().await;
        let slow = (0..PROCESSES).map(|n| self.get(n, "/slow", &cookie));
        let logout = async {
            for n in 0..PROCESSES {
                self.get(n, "/slow/started", "").await;
            }
            let answer = self.get(1, "/logout", &cookie).await;
            assert_eq!(
                (answer.status.as_u16(), answer.cookie),
                (200, Some(String::new()))
            );
            for n in 0..PROCESSES {
                self.get(n, "/slow/finish", "").await;
            }
        };
        let (answers, ()) = futures_util::future::join(join_all(slow), logout).await;
        for answer in answers {
            assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "1"));
            assert_eq!(answer.cookie, None);
        }
        for n in 0..PROCESSES {
            assert_eq!(self.get(n, "/keys", &cookie).await.body, "0");
        }
    }

    async fn keep_the_promises_of_sessions(&self) {
        self.keep_every_key_that_is_set().await;
        self.apply_every_update_once().await;
        self.keep_gone_what_a_logout_ended().await;
    }
}

#[test_support::test(flavor = "multi_thread")]
async fn four_processes_share_their_sessions_over_a_folder() {
    let servers = Servers::start(
        r#"
        driver = "fs"

        [options]
        base = "sessions"
        "#,
    )
    .await;
    servers.keep_the_promises_of_sessions().await;
}

#[test_support::test(flavor = "multi_thread")]
async fn four_processes_share_their_sessions_over_sqlite() {
    let servers = Servers::start(
        r#"
        driver = "sqlite"

        [options]
        path = "sessions.db"
        "#,
    )
    .await;
    servers.keep_the_promises_of_sessions().await;
}

#[test_support::test(flavor = "multi_thread")]
async fn four_processes_share_their_sessions_over_redis() {
    let server = test_support::RedisServer::start();
    let config = format!(
        r#"
        driver = "redis"

        [options]
        url = "{}"
        base = "sessions"
        "#,
        server.url()
    );
    Servers::start(&config)
        .await
        .keep_the_promises_of_sessions()
        .await;
}

#[test_support::test(flavor = "multi_thread")]
async fn four_processes_share_their_sessions_over_a_redis_cluster() {
    let cluster = test_support::RedisCluster::start();
    let config = format!(
        r#"
        driver = "redis"

        [options]
        cluster = {:?}
        base = "sessions"
        "#,
        cluster.addresses()
    );
    Servers::start(&config)
        .await
        .keep_the_promises_of_sessions()
        .await;
}

#[cfg(feature = "dynamodb")]
#[test_support::test(flavor = "multi_thread")]
async fn four_processes_share_their_sessions_over_dynamodb() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("session-kit-dynalite");
    let server = test_support::Dynalite::start(folder);
    let servers = Servers::start(&format!(
        r#"
        driver = "dynamodb"

        [options]
        table = "sessions"
        region = "us-east-1"
        endpoint_url = "{}"
        credentials = {{ access_key_id = "AKIDEXAMPLE", secret_access_key = "secret" }}
        create_table = true
        "#,
        server.url()
    ))
    .await;
    servers.keep_the_promises_of_sessions().await;
}

#[cfg(feature = "upstash")]
#[test_support::test(flavor = "multi_thread")]
async fn four_processes_share_their_sessions_over_upstash() {
    use test_support::UpstashGateway;

    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("sessions-upstash");
    let gateway = UpstashGateway::start(&UpstashGateway::packages(folder));
    let config = format!(
        r#"
        driver = "upstash"

        [options]
        url = "{}"
        token = "{}"
        base = "sessions"
        "#,
        gateway.url(),
        UpstashGateway::TOKEN
    );
    let servers = Servers::start(&config).await;
    servers.keep_the_promises_of_sessions().await;
}
