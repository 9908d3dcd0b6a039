//! The memory of a process, measured where no other test runs.

use std::fs;
use std::process::Command;

/// Whether this process runs this test alone, so that its memory is the test's. If not, one that does is
/// started, and has to succeed.
pub fn is_alone(test: &str) -> bool {
    const ALONE: &str = "DNSTRAIL_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{failure}");
    println!("{text}");
    false
}

/// Bytes of memory that this process has now.
pub fn resident() -> u64 {
    of_status("VmRSS:")
}

/// Most bytes of memory that this process ever had.
pub fn peak() -> u64 {
    of_status("VmHWM:")
}

fn of_status(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
