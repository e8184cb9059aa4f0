use std::process::Command;

/// The variable that names the test that runs in a measured process.
const MEASURED: &str = "TEST_SUPPORT_MEASURED";

/// The bytes of a block from which on glibc gives it back to the system when it is freed.
const BLOCK: &str = "131072";

/// Returns by how many bytes `work` raises the peak memory of a process in which the test `name` runs alone.
///
/// `name` is that of the calling test, with its modules. The test runs again in a process of its own, which does the work.
/// What is freed there in blocks over 128 KiB goes back to the system at once. By default glibc raises that limit while a
/// process runs, and the peak would then be of what it keeps as well.
///
/// ```
/// # async fn listing() {}
/// # async fn run() {
/// let growth = test_support::memory_growth("memory::a_listing_is_bounded", listing()).await;
/// assert!(growth < 100 << 20, "{growth}");
/// # }
/// ```
pub async fn memory_growth(name: &str, work: impl Future<Output = ()>) -> u64 {
    if std::env::var_os(MEASURED).is_some_and(|measured| measured == name) {
        // Makes the current size the peak.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = memory();
        work.await;
        let growth = peak_memory().saturating_sub(before);
        println!("measured: {growth}");
        return growth;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MEASURED, name)
        .env("MALLOC_MMAP_THRESHOLD_", BLOCK)
        .env("MALLOC_TRIM_THRESHOLD_", BLOCK)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let line = said
        .lines()
        .find_map(|line| line.split("measured: ").nth(1));
    line.unwrap().trim().parse().unwrap()
}

/// Returns the resident memory of this process, in bytes.
pub fn memory() -> u64 {
    bytes("VmRSS:")
}

/// Returns the most resident memory that this process ever had, in bytes.
pub fn peak_memory() -> u64 {
    bytes("VmHWM:")
}

/// A value of this process in `/proc/self/status`, which has it in KiB.
fn bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1_024
}
