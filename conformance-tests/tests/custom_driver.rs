//! The driver in the README passes the suite.

#[expect(dead_code, reason = "`main` is only for running the example")]
#[path = "../examples/custom_driver.rs"]
mod custom_driver;

conformance_tests::suite!(|| async { crate::custom_driver::MapDriver::default() });
