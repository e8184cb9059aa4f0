//! The official client against the gateway on which the driver is tested.

use crate::support::Gateway;

#[test]
fn the_official_client_works_on_the_gateway() {
    let gateway = Gateway::start();
    let output = gateway.official_client().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("proven"),
        "{said}{errors}"
    );
}
