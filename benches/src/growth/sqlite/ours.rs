use driver_sqlite::{SqliteDriver, SqliteOptions};

use super::file_size;
use crate::growth::batched::{Batched, SWEEP_INTERVAL};
use crate::growth::subject::Subject;

pub(super) async fn open() -> Box<dyn Subject> {
    let folder = crate::stores::folder();
    let options =
        SqliteOptions::new(folder.path().join("sessions.db")).with_sweep_interval(SWEEP_INTERVAL);
    let driver = SqliteDriver::open(options).await.expect("a database");
    Box::new(Batched::new(driver, move || {
        file_size(&folder.path().join("sessions.db"))
    }))
}
