//! Invalidations: a trigger notifies of each row that is changed or removed, by whatever program, and a connection of its
//! own listens.
//!
//! PostgreSQL delivers notifications in the order in which their transactions were committed. So a probe, a notification
//! that this process sends itself, arrives after all that was committed before it.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use session_core::{InvalidationListener, Key, Prefix};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::Failure;

/// The payload for a table that was emptied by one statement.
pub(crate) const EVERYTHING: &str = "*";

/// A pause before a connection that could not be made is tried again.
const PAUSE: Duration = Duration::from_millis(250);

/// Who is told of changes, and what the server has told.
pub(crate) struct Invalidations {
    listeners: RwLock<Vec<Arc<dyn InvalidationListener>>>,
    prefix: Prefix,
    channel: String,
    connect: PgConnectOptions,
    timeout: Duration,
    /// Tells the probes of this driver from those of others.
    sender: u64,
    sent: AtomicU64,
    /// The number of the last probe that arrived.
    arrived: watch::Sender<u64>,
    /// A probe did not arrive, so that the connection cannot be relied on.
    is_silent: Notify,
}

impl Invalidations {
    pub(crate) fn new(
        prefix: Prefix,
        channel: String,
        connect: PgConnectOptions,
        timeout: Duration,
    ) -> Self {
        Self {
            listeners: RwLock::default(),
            prefix,
            channel,
            connect,
            timeout,
            sender: RandomState::new().hash_one(std::process::id()),
            sent: AtomicU64::new(0),
            arrived: watch::Sender::new(0),
            is_silent: Notify::new(),
        }
    }

    pub(crate) fn add(&self, listener: Arc<dyn InvalidationListener>) {
        self.listeners.write().push(listener);
    }

    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    pub(crate) fn connect_options(&self) -> &PgConnectOptions {
        &self.connect
    }

    /// A connection that listens from now on.
    pub(crate) async fn connect(&self) -> Result<PgListener, Failure> {
        let connecting = async {
            // Without a pool of its own, a listener would keep a connection from the other callers.
            let pool = PgPoolOptions::new().max_connections(1);
            let pool = pool.max_lifetime(None).idle_timeout(None);
            let pool = pool.connect_lazy_with(self.connect.clone());
            let mut listener = PgListener::connect_with(&pool).await?;
            // What changes in between would be missed in silence.
            listener.eager_reconnect(false);
            listener.listen(&self.channel).await?;
            Ok(listener)
        };
        match timeout(self.timeout, connecting).await {
            Ok(connected) => connected.map_err(Failure::to_connect),
            Err(_) => Err(Failure::to_connect(sqlx::Error::PoolTimedOut)),
        }
    }

    /// Listens until the task that runs it is stopped.
    pub(crate) async fn keep(self: Arc<Self>, listener: PgListener) {
        let mut connected = Some(listener);
        loop {
            if let Some(listener) = connected.take() {
                self.hear(listener).await;
                self.lose_track();
            }
            match self.connect().await {
                Ok(listener) => {
                    connected = Some(listener);
                    let sent = self.sent.load(Ordering::Relaxed);
                    // What was read while nobody listened.
                    self.lose_track();
                    // Their notifications are lost, but nothing that was read before them counts any more.
                    self.arrive(sent);
                }
                Err(failure) => {
                    let error = failure.error();
                    tracing::debug!(%error, "listening failed; it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Passes on what arrives, until the connection is lost.
    async fn hear(&self, mut listener: PgListener) {
        loop {
            tokio::select! {
                received = listener.try_recv() => match received {
                    Ok(Some(notification)) => self.take(notification.payload()),
                    Ok(None) | Err(_) => return,
                },
                () = self.is_silent.notified() => return,
            }
        }
    }

    fn take(&self, payload: &str) {
        if payload == EVERYTHING {
            return self.lose_track();
        }
        if let Some((sender, number)) = payload.split_once(':') {
            if let (Ok(sender), Ok(number)) = (sender.parse::<u64>(), number.parse::<u64>())
                && sender == self.sender
            {
                self.arrive(number);
            }
            return;
        }
        let key = hex::decode(payload).ok();
        let key = key.and_then(|key| String::from_utf8(key).ok());
        let key = key.and_then(|key| Key::new(&key).ok());
        // Another key was never read by this driver.
        if let Some(key) = key.and_then(|key| self.prefix.strip(&key)) {
            for listener in &*self.listeners.read() {
                listener.invalidate(&key);
            }
        }
    }

    fn arrive(&self, number: u64) {
        self.arrived.send_if_modified(|arrived| {
            let is_later = number > *arrived;
            *arrived = number.max(*arrived);
            is_later
        });
    }

    pub(crate) fn lose_track(&self) {
        for listener in &*self.listeners.read() {
            listener.invalidate_all();
        }
    }

    /// The number and the payload of a new probe.
    pub(crate) fn probe(&self) -> (u64, String) {
        let number = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        (number, format!("{}:{number}", self.sender))
    }

    /// Waits until the probe, or a later one, has arrived.
    pub(crate) async fn arrival(&self, number: u64, deadline: Instant) -> Result<(), Failure> {
        let mut arrived = self.arrived.subscribe();
        let arrival = arrived.wait_for(|arrived| *arrived >= number);
        match timeout_at(deadline, arrival).await {
            Ok(Ok(_)) => Ok(()),
            _ => {
                // Only a connection that was there for all of that time is to blame.
                self.is_silent.notify_waiters();
                Err(Failure::unheard())
            }
        }
    }
}
