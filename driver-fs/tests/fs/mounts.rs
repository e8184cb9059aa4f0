//! File systems of other kinds: a small one that runs full, and one without extended attributes.
//!
//! They are mounted for this test alone, in namespaces of its own (`unshare`), which needs no rights where the
//! system lets its users have such namespaces.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use driver_fs::Durability;
use session_core::{Driver, DriverExt, ErrorKind, Outcome, WriteOptions};
use tempfile::TempDir;

use crate::support::{key, names_below, open};

/// Set for the process in the namespaces, which is this same program.
const INSIDE: &str = "DRIVER_FS_TEST_MOUNTED";

/// Runs the test of this name again where `kind` is mounted on a folder of its own, whose path it gives there; here
/// it gives nothing.
fn mounted(name: &str, kind: &str, options: &str) -> Option<std::path::PathBuf> {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t \"$1\" -o \"$2\" none \"$3\" && exec \"$4\" --exact \"$5\" --nocapture";
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
        ])
        .args([kind, options])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(INSIDE, folder.path())
        .output()
        .expect("this test needs `unshare` of util-linux");
    let (out, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        out.contains("running 1 test"),
        "a {kind} could not be mounted: this test needs root, or user namespaces \
         (`sysctl kernel.unprivileged_userns_clone=1`; in a container `--security-opt seccomp=unconfined \
         --cap-add SYS_ADMIN`)\n{errors}"
    );
    assert!(output.status.success(), "{out}\n{errors}");
    None
}

fn block_on(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work);
}

#[test]
fn a_full_disk_is_reported_and_leaves_the_old_values() {
    let name = "mounts::a_full_disk_is_reported_and_leaves_the_old_values";
    if let Some(folder) = mounted(name, "tmpfs", "size=1m,nr_inodes=200") {
        block_on(fill_up(&folder));
    }
}

async fn fill_up(folder: &Path) {
    let driver = open(folder, |options| options.durability = Durability::Full).await;
    driver.put("old", "old value").await.unwrap();
    driver
        .put_with_ttl("ends", "old value", Duration::from_secs(60))
        .await
        .unwrap();
    let mut written = 0;
    let error = loop {
        let value = vec![b'x'; 50_000];
        match driver.put(&format!("fill:{written}"), value).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!((5..30).contains(&written), "{written}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert!(error.to_string().contains("full; make room"), "{error}");

    // Neither an overwrite nor a conditional write leaves anything else than the old value.
    let entry = driver.read(&key("old")).await.unwrap().unwrap();
    for options in [
        WriteOptions::default(),
        WriteOptions::if_version(entry.version.clone().unwrap()),
    ] {
        let value = vec![b'y'; 500_000].into();
        let error = driver.write(&key("old"), value, options).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
        assert_eq!(driver.read(&key("old")).await.unwrap().unwrap(), entry);
    }
    for number in 0..written {
        let value = driver
            .get(&format!("fill:{number}"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(value.len(), 50_000);
    }
    assert_eq!(driver.get(&format!("fill:{written}")).await.unwrap(), None);
    let ends = driver.read(&key("ends")).await.unwrap().unwrap();
    assert!(ends.expires_at.is_some());
    // No half of a value is left, and room is made by removing.
    assert!(names_below(folder).iter().all(|name| !name.contains("tmp")));
    driver.delete("fill:0").await.unwrap();
    driver.put("old", vec![b'z'; 20_000]).await.unwrap();
    assert_eq!(driver.get("old").await.unwrap().unwrap().len(), 20_000);

    // Without a place for another file it is the same.
    let mut number = 0;
    let error = loop {
        match driver.put(&format!("small:{number}"), "v").await {
            Ok(()) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(driver.get("small:0").await.unwrap().unwrap(), "v");
}

#[test]
fn the_contract_holds_without_extended_attributes() {
    let name = "mounts::the_contract_holds_without_extended_attributes";
    if let Some(folder) = mounted(name, "ramfs", "rw") {
        block_on(hold_the_contract(&folder));
    }
}

async fn hold_the_contract(folder: &Path) {
    let parent = Arc::new(TempDir::new_in(folder).unwrap());
    let at = Arc::clone(&parent);
    let subject = move || crate::subject::on(Arc::clone(&at), Durability::None);
    let cases: Vec<_> = conformance_tests::case_names()
        .filter(|name| !crate::subject::makes_thousands_of_writes(name))
        .collect();
    conformance_tests::run_only(&cases, subject)
        .await
        .assert_passed();

    let base = parent.path().join("beside");
    let driver = open(&base, |_| {}).await;
    driver.put("never", "v").await.unwrap();
    driver
        .put_with_ttl("ends", "v", Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(names_below(&base), [".ends.expires$", "ends", "never"]);
    // While a value is being replaced, the end of the old one holds, and then that of the new one.
    driver
        .put_with_ttl("ends", "v", Duration::from_secs(120))
        .await
        .unwrap();
    let later = driver.read(&key("ends")).await.unwrap().unwrap().expires_at;
    driver
        .put_with_ttl("ends", "new", Duration::from_secs(60))
        .await
        .unwrap();
    let sooner = driver.read(&key("ends")).await.unwrap().unwrap().expires_at;
    assert!(sooner.unwrap() < later.unwrap());
    std::fs::write(base.join("ends"), "v").unwrap();
    let old = driver.read(&key("ends")).await.unwrap().unwrap().expires_at;
    assert_eq!(old, later);
    driver.delete("ends").await.unwrap();
    assert_eq!(names_below(&base), ["never"]);
}
