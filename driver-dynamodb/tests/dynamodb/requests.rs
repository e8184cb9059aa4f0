//! The requests and the capacity of operations, as counted by the server. The tables in the crate documentation show the
//! same numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use http::HeaderMap;
use http::header::{COOKIE, SET_COOKIE};
use serde_json::Value;
use session_core::session::{Session, SessionManager};
use session_core::{Driver, DriverExt, ManualClock, Prefix, Timestamp, Write};

use crate::support::{DYNALITE, client, key, make_table, new_table, open, options, text};

/// Requests and capacity units of each operation on a table.
type Used = BTreeMap<String, (u64, f64)>;

/// What was used of `table` in all, by the server's count.
async fn used(table: &str) -> Used {
    let url = format!("{}/counts", DYNALITE.counting_url());
    let counts = reqwest::get(url).await.unwrap().text().await.unwrap();
    let counts: Value = serde_json::from_str(&counts).unwrap();
    let Some(operations) = counts[table].as_object() else {
        return Used::new();
    };
    let counted = operations.iter().map(|(operation, counted)| {
        let requests = counted["requests"].as_u64().unwrap();
        (
            operation.clone(),
            (requests, counted["units"].as_f64().unwrap()),
        )
    });
    counted.collect()
}

/// What is used of a table from one look to the next.
struct Meter {
    table: String,
    before: Used,
}

impl Meter {
    async fn new(table: &str) -> Self {
        Self {
            table: table.to_owned(),
            before: used(table).await,
        }
    }

    /// Since the last call: the operations with how many requests and units they were.
    async fn read(&mut self) -> Vec<(String, u64, f64)> {
        let now = used(&self.table).await;
        let since = now.iter().filter_map(|(operation, (requests, units))| {
            let (before, units_before) = self.before.get(operation).copied().unwrap_or_default();
            let requests = requests - before;
            (requests > 0).then(|| (operation.clone(), requests, units - units_before))
        });
        let since = since.collect();
        self.before = now;
        since
    }

    async fn expect(&mut self, what: &str, expected: &[(&str, u64, f64)]) {
        let expected = expected
            .iter()
            .map(|(name, requests, units)| ((*name).to_owned(), *requests, *units));
        assert_eq!(self.read().await, expected.collect::<Vec<_>>(), "{what}");
    }
}

#[test_support::test]
async fn a_session_costs_as_few_requests_as_documented() {
    for (consistent_read, read) in [(true, 1.0), (false, 0.5)] {
        let options = options(&DYNALITE.counting_url()).with_consistent_read(consistent_read);
        let mut meter = Meter::new(&options.table).await;
        let driver = Arc::new(open(options).await);
        let clock = Arc::new(ManualClock::new(Timestamp::now()));
        let store = SessionManager::builder(driver)
            .clock(Arc::clone(&clock) as _)
            .build()
            .unwrap();
        meter.read().await;
        let mut browser = HeaderMap::new();
        let read_n = async |session: &Session| {
            session.get::<u32>("n").await.unwrap();
        };
        let set_n = async |session: &Session| session.set("n", &1).unwrap();

        visit(&store, &mut browser, async |_| ()).await;
        visit(&store, &mut browser, read_n).await;
        meter.expect("an anonymous visitor", &[]).await;

        visit(&store, &mut browser, set_n).await;
        meter.expect("a new session", &[("PutItem", 1, 1.0)]).await;

        visit(&store, &mut browser, async |_| ()).await;
        meter.expect("a request without its session", &[]).await;

        let read_only = [("GetItem", 1, read)];
        visit(&store, &mut browser, read_n).await;
        meter.expect("a request that reads", &read_only).await;

        let read_and_commit = [("GetItem", 1, read), ("PutItem", 1, 1.0)];
        let increment = async |session: &Session| {
            let update = session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1);
            update.await.unwrap();
        };
        visit(&store, &mut browser, increment).await;
        meter
            .expect("a request that reads and writes", &read_and_commit)
            .await;

        clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
        let read_and_touch = [("GetItem", 1, read), ("UpdateItem", 1, 1.0)];
        visit(&store, &mut browser, read_n).await;
        meter
            .expect("a request that reads after days", &read_and_touch)
            .await;

        let log_in = async |session: &Session| session.regenerate().unwrap();
        let regenerate = [("GetItem", 1, read), ("PutItem", 2, 2.0)];
        visit(&store, &mut browser, log_in).await;
        meter.expect("a login", &regenerate).await;

        let log_out = async |session: &Session| session.destroy().await.unwrap();
        visit(&store, &mut browser, log_out).await;
        let read_and_remove = [("DeleteItem", 1, 1.0), ("GetItem", 1, read)];
        meter.expect("a logout", &read_and_remove).await;
    }
}

/// A request of `browser`, which keeps its cookie.
async fn visit(
    store: &SessionManager,
    browser: &mut HeaderMap,
    handler: impl AsyncFnOnce(&Session),
) {
    let session = store.session_from_headers(browser);
    handler(&session).await;
    let finished = session.commit(http::StatusCode::OK).await;
    assert!(finished.failure.is_none());
    let mut response = HeaderMap::new();
    finished.headers.apply(&mut response);
    if let Some(set) = response.get(SET_COOKIE) {
        let cookie = set.to_str().unwrap().split(';').next().unwrap();
        browser.insert(COOKIE, cookie.parse().unwrap());
    }
}

#[test_support::test]
async fn capacity_depends_on_the_size_and_batches_save_only_requests() {
    let options = options(&DYNALITE.counting_url());
    let mut meter = Meter::new(&options.table).await;
    let driver = open(options).await;
    let mut sized = async |bytes: usize, reads: f64, writes: f64| {
        driver.put("k", "v".repeat(bytes)).await.unwrap();
        meter.expect("a write", &[("PutItem", 1, writes)]).await;
        driver.get("k").await.unwrap();
        meter.expect("a read", &[("GetItem", 1, reads)]).await;
        driver.exists(&key("k")).await.unwrap();
        meter.expect("exists", &[("GetItem", 1, reads)]).await;
    };
    sized(900, 1.0, 1.0).await;
    sized(1_100, 1.0, 2.0).await;
    sized(4_200, 2.0, 5.0).await;

    let keys: Vec<_> = (0..100).map(|number| key(&format!("k{number}"))).collect();
    let writes = keys.iter().map(|key| Write::new(key.clone(), "v"));
    driver.write_many(writes.collect()).await;
    meter
        .expect("100 writes", &[("BatchWriteItem", 4, 100.0)])
        .await;
    driver.read_many(&keys).await.unwrap();
    meter
        .expect("100 reads", &[("BatchGetItem", 1, 100.0)])
        .await;
    driver.remove_many(&keys).await.unwrap();
    meter
        .expect("100 removals", &[("BatchWriteItem", 4, 100.0)])
        .await;
}

const OWN: usize = 1_000;
const OTHERS: usize = 4_000;

/// Why the table has a partition key alone: what listing one application's 1,000 entries of 1 KB takes in a table that
/// others' 4,000 are in too, in the design that was chosen and in the other one.
#[test_support::test]
async fn a_listing_costs_the_whole_table_and_with_partitions_only_the_prefix() {
    let value = "v".repeat(950);
    // dynalite takes every scan for an eventually consistent one; otherwise each costs twice as much.
    let shared = options(&DYNALITE.counting_url()).with_consistent_read(false);
    let drivers = [("own", OWN), ("others", OTHERS)].map(|(base, count)| {
        let options = shared.clone().with_prefix(base);
        async move {
            let driver = open(options).await;
            let write = |number| Write::new(key(&format!("{number:08}-session")), "v".repeat(950));
            for result in driver.write_many((0..count).map(write).collect()).await {
                let _unconditional = result.unwrap();
            }
            driver
        }
    });
    let [own, others] = drivers;
    let (own, _others) = (own.await, others.await);
    let mut meter = Meter::new(&shared.table).await;
    let listed: Vec<_> = futures_util::TryStreamExt::try_collect(own.keys(Prefix::root()))
        .await
        .unwrap();
    assert_eq!(listed.len(), OWN);
    let scan = meter.read().await;

    // The other design: a partition for each base.
    let (url, table) = (DYNALITE.url(), new_table());
    let client = client(&url);
    make_table(&url, &table, &["base", "key"]).await;
    for number in 0..OWN {
        let name = format!("{number:08}-session");
        let attributes = [
            ("base", text("own")),
            ("key", text(&name)),
            ("value", text(&value)),
        ];
        crate::support::put(&client, &table, &attributes).await;
    }
    let (mut requests, mut units, mut after) = (0, 0.0, None);
    loop {
        let request = client
            .query()
            .table_name(&table)
            .key_condition_expression("#base = :base")
            .expression_attribute_names("#base", "base")
            .expression_attribute_values(":base", text("own"))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .set_exclusive_start_key(after);
        let answer = request.send().await.unwrap();
        requests += 1;
        units += answer.consumed_capacity.unwrap().capacity_units.unwrap();
        after = answer.last_evaluated_key;
        if after.is_none() {
            break;
        }
    }
    let [(operation, scans, scanned)] = &scan[..] else {
        panic!("one kind of request was expected: {scan:?}");
    };
    assert_eq!((operation.as_str(), *scans), ("Scan", 6));
    assert_eq!((*scanned, requests, units), (600.0, 1, 120.0));
}
