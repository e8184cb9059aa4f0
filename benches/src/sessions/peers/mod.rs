//! The compared applications, one file each. To add one, add a file and a line in [`all`].

pub(crate) mod axum_session;

mod actix;
mod bare;
mod ours;
mod tower_sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use actix::ActixApp;

use super::app::App;

/// An application with the sessions of one crate.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// A note on its configuration.
    pub(crate) note: &'static str,
    pub(crate) app: Box<dyn App>,
    /// The baseline peer with the same framework; `None` for the baseline itself.
    pub(crate) below: Option<&'static str>,
    /// The operations on its store; `None` without sessions or without a counting store.
    pub(crate) operations: Option<Operations>,
}

/// The store of the sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backing {
    /// The in-memory store of the crate.
    Memory,
    /// A store that counts its operations.
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

/// The name of our peer, which the others are compared with.
pub(crate) const OURS: &str = "session-kit";
/// The name of axum with a layer that does nothing.
pub(crate) const IDENTITY: &str = "axum, identity layer";
/// The name of the peer in the budgets.
pub(crate) const TOWER_SESSIONS: &str = "tower-sessions 0.15";

/// Returns all peers, new and empty.
pub(crate) async fn all() -> Vec<Peer> {
    let mut peers = vec![
        bare::axum(),
        bare::axum_with_identity_layer(),
        bare::actix().await,
    ];
    peers.extend(with_sessions(Backing::Memory).await);
    peers
}

/// Returns the peers with sessions, new and empty.
pub(crate) async fn with_sessions(backing: Backing) -> Vec<Peer> {
    vec![
        ours::peer(backing),
        tower_sessions::peer(backing),
        axum_session::peer(backing).await,
        actix::peer(backing).await,
    ]
}
