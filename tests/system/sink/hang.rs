//! Outputs on a file system that never answers.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::hung::Hung;
use crate::support::outputs::{Bench, count_lines, line, wait_until};

const SECOND: Duration = Duration::from_secs(1);

fn replay(out: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    command.arg("replay").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dnssec.pcap"));
    command.arg("--output").arg(out).stderr(Stdio::piped()).spawn().expect("dnstrail")
}

/// Waits for the child and gives back its exit code, its messages, and the time it took.
fn end(child: Child) -> (Option<i32>, String, Duration) {
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), started.elapsed())
}

#[test]
fn a_file_system_that_hangs_holds_up_no_start() {
    let folder = tempfile::tempdir().unwrap();
    let _hung = Hung::mount(folder.path());
    let d = folder.path().display();
    for out in [format!("file:{d}/eve.json"), format!("syslog:tls://127.0.0.1:1?ca={d}/ca.pem")] {
        let (code, said, elapsed) = end(replay(&out));
        assert_eq!(code, Some(1), "{out}: {said}");
        assert!(said.contains("does not answer within 5 s; look at its file system"), "{said}");
        // The walls around the process look at the path first.
        assert!(elapsed < SECOND * 20, "{out}: {elapsed:?}");
    }
}

#[test]
fn a_request_to_end_is_heard_while_a_file_system_hangs_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let _hung = Hung::mount(folder.path());
    let child = replay(&format!("file:{}/eve.json", folder.path().display()));
    std::thread::sleep(SECOND);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let (code, said, elapsed) = end(child);
    assert!(code == Some(1) && said.contains("the program was asked to end"), "{said}");
    // The walls around the process look at the path first, and hear nothing meanwhile.
    assert!(elapsed < SECOND * 8, "{elapsed:?}");
}

#[test]
fn a_file_system_that_begins_to_hang_holds_up_neither_loop_nor_reload_nor_end() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, other) = (folder.path().join("logs"), folder.path().join("other.json"));
    fs::create_dir(&logs).unwrap();
    let path = logs.join("eve.json");
    let mut bench = Bench::open(&[
        &format!("file:{}?buffer=256KiB", path.display()),
        &format!("file:{}?buffer=64MiB", other.display()),
    ]);
    bench.write(&line(0));
    bench.deliver();
    let hung = Hung::mount(&logs);
    let started = Instant::now();
    bench.outputs.reopen();
    // The thread of the first output is inside the hung file system by now.
    std::thread::sleep(SECOND * 2);
    for number in 1..10_000 {
        bench.write(&line(number));
        bench.flush();
    }
    wait_until("the other output has every line", || count_lines(&other) == 10_000);
    bench.tick_until("the full buffer is reported", Bench::is_failing);
    bench.outputs.drain(SECOND);
    bench.outputs.close(SECOND);
    assert!(started.elapsed() < SECOND * 15, "{:?}", started.elapsed());
    assert_eq!((bench.dropped(), count_lines(&other)), (9_999, 10_000));
    drop(hung);
}
