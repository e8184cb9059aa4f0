use driver_postgres::{PostgresDriver, PostgresOptions};

use super::batched::{Batched, SWEEP_INTERVAL};
use super::subject::{Candidate, Subject};
use crate::stores::postgres;

pub(super) const CANDIDATES: [Candidate; 1] = [Candidate {
    name: "driver-postgres",
    is_ours: true,
    open: || Box::pin(open()),
}];

async fn open() -> Box<dyn Subject> {
    let server = postgres::durable();
    let options = PostgresOptions::new(server.url("postgres")).with_sweep_interval(SWEEP_INTERVAL);
    let driver = PostgresDriver::open(options).await.expect("a table");
    Box::new(Batched::new(driver, move || {
        let size = server.psql("postgres", "SELECT pg_total_relation_size('unstorage')");
        size.parse().expect("a number of bytes")
    }))
}
