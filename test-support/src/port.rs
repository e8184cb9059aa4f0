use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};

use parking_lot::Mutex;

/// Below the range from which systems take the ports of outgoing connections, so that none of those gets in the way
/// between this call and the start of the server; and low enough that Redis Cluster's bus, 10,000 above, has a port.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port on loopback that nobody listens on, and that this process gives out once.
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
