//! Processes that do not want to be seen: none of them stops the sensor, and none makes it take more memory.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::clients::{Client, Running};
use super::lab::{Lab, until};
use super::sensor::Sensor;
use super::servers::misbehaving;

/// A client that sees a file without answers in the place of `/etc/passwd`. It asks when the file is there.
fn stalled(lab: &Lab, file: &str) -> Running {
    let go = lab.path(file);
    let arguments = ["early", "127.0.0.1", "53", &lab.suffix, &*go.to_string_lossy()];
    let client = Client::new(lab, "owner", &arguments).stalled("/etc/passwd").start();
    until("the client has its socket", || lab.path(&format!("{file}.open")).exists());
    client
}

/// The accounts of a process in another mount namespace were looked up below its root: on a file system that does
/// not answer, start, run and end of the sensor waited for ever.
#[test]
fn live_file_system_that_never_answers_holds_up_neither_start_nor_run_nor_end() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let before = stalled(&lab, "before");
    let sensor = Sensor::start(&lab, &[]);
    let meanwhile = stalled(&lab, "meanwhile");
    for file in ["before", "meanwhile"] {
        fs::write(lab.path(file), "").expect("the client waits for this file");
    }
    let pids = [before.pid(), meanwhile.pid()];
    sensor.until_written("the lookups of both", |documents| {
        let of = |pid: u32| documents.iter().any(|document| document.get("process.pid") == Some(&pid.into()));
        pids.iter().all(|pid| of(*pid))
    });
    // Those two have ended, and their file systems with them; this one stays.
    let last = stalled(&lab, "last");
    let recording = sensor.stop_by(Signal::SIGTERM);
    for pid in pids {
        for document in recording.of_process(pid) {
            document.has(&[("process.name", "owner")]);
            assert!(document.get("user.name").is_none(), "its accounts are not the host's: {document:?}");
        }
    }
    assert_eq!(recording.lost("process_unread"), 0);
    drop((before, meanwhile, last));
}

/// Each exec left its arguments behind as thousands of strings: 3,000 of them took 1.4 GB.
#[test]
fn live_flood_of_long_command_lines_takes_no_memory() {
    let lab = Lab::new();
    let sensor = Sensor::start(&lab, &[]);
    let arguments = vec!["x"; 8_190];
    for _ in 0..3_000 {
        let status = Command::new("true").args(&arguments).stdin(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", sensor.pid())).expect("the sensor runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("peak of the resident set: {kilobytes} kB");
    assert!(kilobytes < 100_000, "{kilobytes} kB");
    let recording = sensor.stop_by(Signal::SIGTERM);
    assert!(recording.lost("process_arguments_cut") < 3_000);
}
