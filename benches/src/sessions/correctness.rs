use futures_util::future::join_all;

use super::app::App;
use super::peers::{self, Backing, Operations, Peer};
use super::routes::SLOW;

/// The number of concurrent requests that change one session.
pub(crate) const REQUESTS: usize = 50;
/// The number of sessions that are destroyed during a slow request.
pub(crate) const LOGOUTS: usize = 20;

/// The correctness results of a peer.
pub(super) struct Findings {
    operations: [Option<f64>; 3],
    lost: Lost,
}

/// The updates that a peer loses.
pub(crate) struct Lost {
    sets: usize,
    increments: usize,
    revived: usize,
}

impl Lost {
    /// Measures an application.
    pub(crate) async fn by(app: &dyn App) -> Self {
        Self {
            sets: lost_sets(app).await,
            increments: lost_increments(app).await,
            revived: revived(app).await,
        }
    }

    /// Returns the values in the order of the columns.
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn values(&self) -> impl Iterator<Item = Option<f64>> {
        let counts = [self.sets, self.increments, self.revived];
        counts.into_iter().map(|count| Some(count as f64))
    }
}

impl Findings {
    /// Returns the values in the order of the columns.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<f64>> {
        self.operations.into_iter().chain(self.lost.values())
    }
}

/// Measures each peer and returns the results by name.
pub(super) async fn find() -> Vec<(&'static str, Findings)> {
    let mut findings = Vec::new();
    let counting = peers::with_sessions(Backing::Counting).await;
    let peers = peers::with_sessions(Backing::Memory).await;
    for (peer, counting) in peers.iter().zip(&counting) {
        eprintln!("benches: correctness: {}", peer.name);
        let found = Findings {
            operations: operations(counting).await,
            lost: Lost::by(peer.app.as_ref()).await,
        };
        findings.push((peer.name, found));
    }
    findings
}

/// The operations of a request that reads, that reads and writes, and that creates a session.
async fn operations(peer: &Peer) -> [Option<f64>; 3] {
    let Some(counter) = &peer.operations else {
        return [None; 3];
    };
    let app = peer.app.as_ref();
    let session = begin(app).await;
    // The first read may be more expensive than later ones.
    app.call("/small/read", Some(&session)).await;
    let read = counted(app, counter, "/small/read", Some(&session)).await;
    let write = counted(app, counter, "/small/write", Some(&session)).await;
    let first = counted(app, counter, "/small/write", None).await;
    [Some(read), Some(write), Some(first)]
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
async fn counted(app: &dyn App, counter: &Operations, path: &str, cookies: Option<&str>) -> f64 {
    const TIMES: u32 = 10;
    let before = counter.so_far();
    for _ in 0..TIMES {
        assert!(app.call(path, cookies).await.success);
    }
    (counter.so_far() - before) as f64 / f64::from(TIMES)
}

async fn lost_sets(app: &dyn App) -> usize {
    let session = begin(app).await;
    let paths: Vec<String> = (0..REQUESTS)
        .map(|own| format!("/own/value-{own}"))
        .collect();
    join_all(paths.iter().map(|path| app.call(path, Some(&session)))).await;
    let mut lost = 0;
    for path in paths {
        let there = app.call(&format!("{path}/is-there"), Some(&session)).await;
        lost += usize::from(there.body != "true");
    }
    lost
}

async fn lost_increments(app: &dyn App) -> usize {
    let session = begin(app).await;
    let before = count(app, &session).await;
    let increments = (0..REQUESTS).map(|_| app.call("/increment", Some(&session)));
    join_all(increments).await;
    REQUESTS - (count(app, &session).await - before)
}

async fn revived(app: &dyn App) -> usize {
    let mut revived = 0;
    for _ in 0..LOGOUTS {
        let session = begin(app).await;
        let slow = app.call("/slow", Some(&session));
        let logout = async {
            tokio::time::sleep(SLOW / 3).await;
            app.call("/logout", Some(&session)).await
        };
        let (slow, _) = futures_util::join!(slow, logout);
        // The browser has the last cookie; an attacker may have the old one.
        let given_back = match &slow.cookies {
            Some(cookies) => count(app, cookies).await > 0,
            None => false,
        };
        let old_works = count(app, &session).await > 0;
        revived += usize::from(old_works || given_back);
    }
    revived
}

/// Returns the cookie of a new session with one small value.
async fn begin(app: &dyn App) -> String {
    let answer = app.call("/small/write", None).await;
    answer.cookies.expect("a new session has a cookie")
}

async fn count(app: &dyn App, session: &str) -> usize {
    let answer = app.call("/small/count", Some(session)).await;
    answer.body.parse().unwrap_or(0)
}
