//! What the README tells the author of a driver works in a crate outside of this workspace.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use std::fs;
use std::path::Path;
use std::process::Command;

/// The first code block of the README in `language`.
fn block(language: &str) -> String {
    let readme = include_str!("../README.md");
    let (_, block) = readme.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Makes a crate with the driver of the example and what the README says.
fn make_crate(folder: &Path) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = |name: &str| workspace.join(name).canonicalize().unwrap();
    let manifest = block("toml").replace(
        "[dev-dependencies]",
        "parking_lot = \"0.12\"\n\n[dev-dependencies]",
    );
    let manifest = format!(
        "[package]\nname = \"my-driver\"\nedition = \"2024\"\n\n{manifest}\n[workspace]\n\n[patch.crates-io]\n\
         session-core.path = {:?}\nconformance-tests.path = {:?}\n",
        path("session-core"),
        path("conformance-tests"),
    );
    let example = include_str!("../examples/custom_driver.rs");
    let (driver, _main) = example.split_once("\n#[tokio::main]").unwrap();
    let driver = driver.replace("MapDriver", "MyDriver");
    let test = block("rust,ignore").replace(
        "MyDriver::open(\"…\").await.unwrap()",
        "MyDriver::default()",
    );
    for child in ["src", "tests"] {
        fs::create_dir_all(folder.join(child)).unwrap();
    }
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::copy(path("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::write(
        folder.join("src/lib.rs"),
        driver.replace("pub(crate)", "pub"),
    )
    .unwrap();
    fs::write(folder.join("tests/conformance.rs"), test).unwrap();
}

#[test_support::test(limit = 540)]
fn the_readme_makes_a_test_program_in_a_crate_of_its_own() {
    // Below the target folder, so that what was built is kept.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stranger");
    make_crate(&folder);
    let tested = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--test", "conformance", "--"])
        .args(["my_driver::unsupported_", "--test-threads", "4"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .unwrap();
    let (output, errors) = (
        String::from_utf8_lossy(&tested.stdout),
        String::from_utf8_lossy(&tested.stderr),
    );
    assert!(tested.status.success(), "{output}\n{errors}");
    let lines: Vec<&str> = output.lines().collect();
    let of = |name: &str| {
        let line = lines.iter().find(|line| line.contains(name)).unwrap();
        line.rsplit(" ... ").next().unwrap()
    };
    assert_eq!(of("unsupported_watch_is_rejected"), "ok", "{output}");
    assert_eq!(
        of("unsupported_list_is_rejected"),
        "ignored (the driver can list)",
        "{output}"
    );
}
