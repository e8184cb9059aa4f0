//! The driver that the README shows keeps the contract.

#[expect(dead_code, reason = "its `main` is for those who run it")]
#[path = "../examples/custom_driver.rs"]
mod custom_driver;

conformance_tests::suite!(|| async { crate::custom_driver::Shelf::default() });
