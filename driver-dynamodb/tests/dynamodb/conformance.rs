//! The conformance suite against this driver on both servers: with a base and without, with other names,
//! with reads that may be older.

use std::time::Duration;

use conformance_tests::Subject;
use driver_dynamodb::DynamoDbOptions;
use session_core::Prefix;

use crate::support::{binary, client, open, put, text};

/// How long each generated case runs on a further configuration.
const BRIEF: Duration = Duration::from_millis(500);

const TTL: Duration = Duration::from_secs(3_600);

/// The driver by `options`, which are the same for all of its cases.
async fn on(options: DynamoDbOptions) -> Subject {
    let options = options.with_ttl(TTL);
    let url = options.endpoint_url.clone().unwrap();
    let (table, names) = (options.table.clone(), options.attributes.clone());
    let base = Prefix::new(options.prefix.as_deref().unwrap_or_default());
    let nobody = format!("http://127.0.0.1:{}", test_support::free_port());
    let outage = options
        .clone()
        .with_endpoint_url(nobody)
        .with_create_table(false);
    Subject::new(open(options).await)
        .with_default_ttl(TTL)
        .with_clocks_of_clients()
        .with_outage(open(outage).await)
        .with_shared_backend()
        .with_foreign_write(move |key, value| {
            let (client, table, names) = (client(&url), table.clone(), names.clone());
            let key = text(base.join(&key).as_str());
            async move {
                let value = match std::str::from_utf8(&value) {
                    Ok(value) => text(value),
                    Err(_) => binary(&value),
                };
                put(&client, &table, &[(&names.key, key), (&names.value, value)]).await;
                Ok(())
            }
        })
}

/// A further server or configuration, for which the generated cases need not run as long.
async fn also_on(options: DynamoDbOptions) -> Subject {
    on(options).await.with_budget(BRIEF)
}

mod on_dynalite {
    conformance_tests::suite!({
        let options = crate::support::options(&crate::support::DYNALITE.url());
        move || super::on(options.clone())
    });
}

mod on_ministack {
    conformance_tests::suite!({
        let options = crate::support::options(&crate::support::MINISTACK.url());
        move || super::also_on(options.clone())
    });
}

mod with_a_prefix_with_other_names {
    use driver_dynamodb::AttributeNames;

    conformance_tests::suite!({
        let options = crate::support::options(&crate::support::MINISTACK.url())
            .with_prefix("app:sessions")
            .with_consistent_read(false)
            .with_attributes(
                AttributeNames::default()
                    .with_key("Id")
                    .with_value("the data")
                    .with_expires_at("ttl"),
            );
        move || super::also_on(options.clone())
    });
}
