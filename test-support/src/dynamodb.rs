use std::path::Path;
use std::process::Command;

use crate::{NodePackages, Peer, PythonPackages, free_port};

/// The scripts and package lists of both servers.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dynamodb");

/// dynalite, a DynamoDB emulator with accurate limits, errors and consumed capacity.
///
/// It supports neither a time to live nor the old item of a failed condition.
pub struct Dynalite {
    peer: Peer,
    packages: NodePackages,
    port: u16,
    counting_port: u16,
}

impl Dynalite {
    /// Installs the emulator into `into`, a folder below `CARGO_TARGET_TMPDIR`, and starts it without tables.
    pub fn start(into: impl AsRef<Path>) -> Self {
        let packages = NodePackages::install(SOURCES, into);
        let (port, counting_port) = (free_port(), free_port());
        Self {
            peer: Self::serve(&packages, port, counting_port),
            packages,
            port,
            counting_port,
        }
    }

    /// Restarts the emulator on the same ports after it was killed, without tables.
    pub fn restart(&mut self) {
        self.peer = Self::serve(&self.packages, self.port, self.counting_port);
    }

    fn serve(packages: &NodePackages, port: u16, counting_port: u16) -> Peer {
        let mut command = packages.script("dynalite.mjs");
        command.arg(port.to_string()).arg(counting_port.to_string());
        let peer = Peer::start(command);
        peer.wait_for_port(counting_port);
        peer
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Returns a second URL that counts requests.
    ///
    /// `GET /counts` on it returns the `requests` and the capacity `units` of each table and operation as JSON.
    pub fn counting_url(&self) -> String {
        url(self.counting_port)
    }

    /// Returns its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// ministack, a DynamoDB emulator with a time to live and the old item of a failed condition, but lax limits.
pub struct Ministack {
    peer: Peer,
    port: u16,
}

impl Ministack {
    /// Installs the emulator into `into`, a folder below `CARGO_TARGET_TMPDIR`, and starts it without tables.
    pub fn start(into: impl AsRef<Path>) -> Self {
        let requirements = Path::new(SOURCES).join("requirements.txt");
        let packages = PythonPackages::install(requirements, into);
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(packages.program("ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // It writes a file with its process id there.
            .env("TMPDIR", folder.path());
        let peer = Peer::start_in(folder, command);
        peer.wait_for_port(port);
        Self { peer, port }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Returns its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
