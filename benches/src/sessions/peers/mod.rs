//! The applications that are compared, one file each. A further one is a file and a line in [`all`].

pub(crate) mod axum_session;

mod actix;
mod bare;
mod ours;
mod tower_sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use actix::ActixApp;

use super::app::App;

/// An application with the sessions of some crate.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What a reader must know to judge its figures.
    pub(crate) note: &'static str,
    pub(crate) app: Box<dyn App>,
    /// The peer that shows what the framework costs alone; `None` for that one.
    pub(crate) below: Option<&'static str>,
    /// The operations on its store; `None` for those without sessions, and where the store does not count.
    pub(crate) operations: Option<Operations>,
}

/// What lies below the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// The store in memory that the crate brings.
    Memory,
    /// One that counts its operations.
    Counting,
}

/// Counts the operations on a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Operations(Arc<AtomicU64>);

impl Operations {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The name of ours, to which the others are compared.
pub(crate) const OURS: &str = "session-kit";
/// Axum with a layer that does nothing.
pub(crate) const IDENTITY: &str = "axum, identity layer";
/// The peer that the budgets name.
pub(crate) const TOWER_SESSIONS: &str = "tower-sessions 0.15";

/// All of them, anew and empty.
pub(crate) async fn all() -> Vec<Peer> {
    let mut peers = vec![
        bare::axum(),
        bare::axum_with_identity_layer(),
        bare::actix().await,
    ];
    peers.extend(with_sessions(Backing::Memory).await);
    peers
}

/// Those that have sessions, anew and empty.
pub(crate) async fn with_sessions(backing: Backing) -> Vec<Peer> {
    vec![
        ours::peer(backing),
        tower_sessions::peer(backing),
        axum_session::peer(backing).await,
        actix::peer(backing).await,
    ]
}
