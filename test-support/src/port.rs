use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};

use parking_lot::Mutex;

/// The ports to choose from. They are below the ephemeral range, so that no outgoing connection takes the port before
/// the server starts. They also leave room for the bus of Redis Cluster, which is 10,000 above.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Returns a free port on loopback. The process never gets the same port twice.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock();
    let given = given.get_or_insert_default();
    for _ in 0..10_000 {
        let port = fastrand::u16(RANGE);
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free(port) && is_free(port + 10_000) && given.insert(port) {
            return port;
        }
    }
    panic!("no port between {} and {} is free", RANGE.start, RANGE.end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: HashSet<u16> = (0..100).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 100);
    }
}
