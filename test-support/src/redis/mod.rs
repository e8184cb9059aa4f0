//! Redis and Valkey as local processes: standalone, with TLS, with sentinels, and as a cluster.

mod cluster;
mod sentinel;
mod server;
mod tls;
mod valkey;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinels;
pub use server::RedisServer;
pub use tls::{RedisTls, TlsFiles};

#[cfg(test)]
mod tests {
    use super::*;

    #[test_support::test]
    fn a_restarted_server_has_its_data() {
        let mut server =
            RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        assert_eq!(server.cli(&["SET", "k", "v"]), "OK");
        server.kill();
        assert_eq!(server.try_cli(&["GET", "k"]), None);
        server.restart();
        assert_eq!(server.cli(&["GET", "k"]), "v");
    }

    #[test_support::test]
    fn tls_accepts_the_administrator() {
        for tls in [
            RedisTls::start(),
            RedisTls::start_with_client_certificates(),
        ] {
            assert_eq!(tls.server().cli(&["PING"]), "PONG");
        }
    }

    #[test_support::test]
    fn a_replica_takes_over() {
        let sentinels = RedisSentinels::start();
        let before = sentinels.primary().port();
        sentinels.fail_over();
        let sentinel = &sentinels.sentinels()[0];
        sentinel
            .peer()
            .wait_until("name the replica", || sentinels.primary().port() != before);
    }

    #[test_support::test]
    fn a_slot_moves_with_its_keys() {
        let cluster = RedisCluster::start();
        let from = cluster.master_of("k");
        assert_eq!(cluster.nodes()[from].cli(&["SET", "k", "v"]), "OK");
        let to = (0..3).find(|place| *place != from).unwrap();
        cluster.move_slot_of("k", to);
        assert_eq!(cluster.master_of("k"), to);
        assert_eq!(cluster.nodes()[to].cli(&["GET", "k"]), "v");
    }
}
