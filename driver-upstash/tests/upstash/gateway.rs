//! The gateway on which the driver is tested, proven by the client of others.

use crate::support::Gateway;

#[test_support::test]
fn the_gateway_is_one_by_the_official_client() {
    let gateway = Gateway::start();
    let output = gateway.official_client().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("proven"),
        "{said}{errors}"
    );
}
