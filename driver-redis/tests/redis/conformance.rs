//! The contract of session-core, held against this driver on each kind of server.

use std::time::Duration;

use conformance_tests::Subject;
use driver_redis::{RedisDriver, RedisOptions};
use test_support::RedisServer;

use crate::support;

const TTL: Duration = Duration::from_secs(3_600);

/// Enough for a value of 64 MiB while all tests keep the machine busy.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(500);

async fn on(options: RedisOptions, server: &'static RedisServer) -> Subject {
    let base = options.prefix.as_ref().map(|base| format!("{base}:"));
    let base = base.unwrap_or_default();
    let options = options.with_ttl(TTL).with_timeout(TIMEOUT);
    let driver = RedisDriver::open(options).await.unwrap();
    Subject::new(driver)
        .with_default_ttl(TTL)
        .with_outage(support::unreachable().await)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let key = format!("{base}{}", key.as_str());
            async move {
                tokio::task::spawn_blocking(move || server.set(&key, &value)).await?;
                Ok(())
            }
        })
}

/// A further kind of server or configuration, for which the generated cases need not run as long.
async fn also_on(options: RedisOptions, server: &'static RedisServer) -> Subject {
    on(options, server).await.with_budget(BRIEF)
}

mod on_redis {
    use driver_redis::RedisOptions;

    use crate::support::server;

    conformance_tests::suite!(|| super::on(RedisOptions::new(server().url()), server()));
}

mod below_a_base {
    use driver_redis::RedisOptions;

    use crate::support::server;

    conformance_tests::suite!(|| {
        let options = RedisOptions::new(server().url())
            .with_prefix("app:*[sessions")
            .with_connections(3);
        super::also_on(options, server())
    });
}

mod in_the_form_of_unstorage_1 {
    use driver_redis::{RawFormat, RedisOptions};

    use crate::support::server;

    conformance_tests::suite!(|| {
        let options = RedisOptions::new(server().url())
            .with_prefix("v1")
            .with_raw_format(RawFormat::Base64);
        super::also_on(options, server())
    });
}

mod on_a_client_of_the_application {
    use driver_redis::{RedisDriver, RedisOptions, redis};

    use crate::support::server;

    conformance_tests::suite!(|| async {
        let client = redis::Client::open(format!("{}/1", server().url())).unwrap();
        let options = RedisOptions::default()
            .with_prefix("client")
            .with_ttl(super::TTL);
        let driver = RedisDriver::from_client(client, options.with_timeout(super::TIMEOUT));
        let subject = conformance_tests::Subject::new(driver.await.unwrap());
        let subject = subject.with_budget(super::BRIEF);
        subject.with_default_ttl(super::TTL).with_shared_backend()
    });
}

mod on_valkey {
    use driver_redis::RedisOptions;

    use crate::support::valkey;

    conformance_tests::suite!(|| super::also_on(RedisOptions::new(valkey().url()), valkey()));
}

mod with_tls_and_an_acl {
    use crate::support::{on_tls, tls};

    conformance_tests::suite!(|| super::also_on(on_tls(tls()), tls().server()));
}

mod under_sentinels {
    use crate::support::{on_sentinels, sentinels};

    conformance_tests::suite!(|| super::also_on(on_sentinels(sentinels()), sentinels().primary()));
}

mod on_a_cluster {
    use crate::support::{cluster, on_cluster};

    conformance_tests::suite!(|| super::also_on(on_cluster(cluster()), &cluster().nodes()[0]));
}

mod with_reads_from_replicas {
    use driver_redis::ReadFrom;

    use crate::support::{cluster, on_cluster};

    conformance_tests::suite!(|| async {
        let options = on_cluster(cluster())
            .with_prefix("replicas")
            .with_read_from(ReadFrom::Replica);
        let subject = super::also_on(options, &cluster().nodes()[0]).await;
        subject.with_convergence(|| async {
            let waiting = tokio::task::spawn_blocking(|| cluster().wait_until_replicated());
            waiting.await.unwrap();
        })
    });
}
