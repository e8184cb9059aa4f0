use std::path::Path;
use std::process::Command;

use crate::{NodePackages, Peer, PythonPackages, free_port};

/// Scripts and lists of packages of both servers.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dynamodb");

/// dynalite, which imitates DynamoDB's limits, errors and reckoning of capacity, and has neither a time to live nor
/// the old item of a failed condition.
pub struct Dynalite {
    peer: Peer,
    packages: NodePackages,
    port: u16,
    counting_port: u16,
}

impl Dynalite {
    /// Installs it into `into`, a folder of its own below `CARGO_TARGET_TMPDIR`, and starts it with no table.
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

    /// Starts it again in the same place after it was killed, with no table.
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

    /// Where it serves.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Where it serves too, and counts: `GET /counts` there tells for each table and operation the `requests` and
    /// the capacity `units`, as JSON.
    pub fn counting_url(&self) -> String {
        url(self.counting_port)
    }

    /// The process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// ministack, which imitates the times to live and the old item of a failed condition, and is lax with limits.
pub struct Ministack {
    peer: Peer,
    port: u16,
}

impl Ministack {
    /// Installs it into `into`, a folder of its own below `CARGO_TARGET_TMPDIR`, and starts it with no table.
    pub fn start(into: impl AsRef<Path>) -> Self {
        let requirements = Path::new(SOURCES).join("requirements.txt");
        let packages = PythonPackages::install(requirements, into);
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(packages.program("ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            // It leaves a file with its process id there.
            .env("TMPDIR", folder.path());
        let peer = Peer::start_in(folder, command);
        peer.wait_for_port(port);
        Self { peer, port }
    }

    /// Where it serves.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// The process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
