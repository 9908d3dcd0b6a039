//! stdout as a pipe whose reader leaves, or reads nothing. A process has only one stdout, so each test runs
//! itself again as a child.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dnstrail::metrics::Metrics;
use dnstrail::sink::{Format, Kind, Line, Outputs, Stopping, WhenFull};

use crate::support::outputs::{Bench, count_lines, line, wait_until};

const CHILD: &str = "DNSTRAIL_TEST_STDOUT";
const FILE: &str = "DNSTRAIL_TEST_FILE";

fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs one test of this file again, with a pipe as stdout.
fn child(test: &str, file: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", &format!("sink::standard_output::{test}")])
        .env(CHILD, "yes")
        .env(FILE, file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn write(outputs: &mut Outputs, text: &str) {
    outputs.write(&Line { bytes: text.as_bytes(), format: Format::Ecs, kind: Kind::Event, severity: None, time: 0 });
}

fn ends_well(mut child: Child) {
    let mut status = None;
    wait_until("the child ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert!(status.unwrap().success(), "{status:?}");
}

#[test]
fn a_reader_that_leaves_ends_the_run() {
    if is_child() {
        let mut bench = Bench::open(&["stdout"]);
        bench.write(&line(0));
        bench.outputs.flush();
        assert!(!bench.outputs.are_over());
        // No more is written: the leaving itself is noticed.
        bench.tick_until("the reader has left", |bench| bench.outputs.are_over());
        bench.outputs.close(Duration::from_secs(5));
        // The harness would print its result to a closed pipe.
        std::process::exit(0);
    }
    let mut child = child("a_reader_that_leaves_ends_the_run", Path::new(""));
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.ends_with(&line(0)) {
        assert!(reader.read_line(&mut text).unwrap() > 0, "{text}");
    }
    drop(reader);
    ends_well(child);
}

#[test]
fn a_slow_reader_gets_every_line() {
    let lines = 2000;
    if is_child() {
        let mut bench = Bench::open(&["stdout"]);
        for number in 0..lines {
            bench.write(&line(number));
        }
        bench.outputs.close(Duration::from_millis(1));
        assert_eq!(bench.dropped(), 0);
        std::process::exit(0);
    }
    let mut child = child("a_slow_reader_gets_every_line", Path::new(""));
    let mut out = child.stdout.take().unwrap();
    let mut bytes = Vec::new();
    let mut room = [0; 9000];
    loop {
        match out.read(&mut room).unwrap() {
            0 => break,
            length => bytes.extend_from_slice(&room[..length]),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let wanted: String = (0..lines).map(line).collect();
    assert!(String::from_utf8(bytes).unwrap().ends_with(&wanted));
    ends_well(child);
}

#[test]
fn a_request_to_end_is_heard_while_the_reader_is_stuck() {
    if is_child() {
        let metrics = Arc::new(Metrics::default());
        let asked = Instant::now() + Duration::from_millis(300);
        let stopping: Stopping = Arc::new(move || Instant::now() >= asked);
        let targets = vec!["stdout".parse().unwrap()];
        let mut outputs = Outputs::open(targets, WhenFull::Drop, &stopping, Arc::clone(&metrics)).unwrap();
        for number in 0..2000 {
            write(&mut outputs, &line(number));
        }
        outputs.close(Duration::from_secs(1));
        assert!(asked.elapsed() < Duration::from_secs(4) && metrics.losses.output_dropped.get() > 1000);
        std::process::exit(0);
    }
    let mut child = child("a_request_to_end_is_heard_while_the_reader_is_stuck", Path::new(""));
    let _unread = child.stdout.take();
    ends_well(child);
}

#[test]
fn a_slow_reader_is_waited_for_also_when_the_program_ends() {
    let lines = 2000;
    if is_child() {
        let stopping: Stopping = Arc::new(|| true);
        let targets = vec!["stdout".parse().unwrap()];
        let mut outputs = Outputs::open(targets, WhenFull::Drop, &stopping, Arc::new(Metrics::default())).unwrap();
        for number in 0..lines {
            write(&mut outputs, &line(number));
        }
        outputs.close(Duration::from_millis(1));
        std::process::exit(0);
    }
    let mut child = child("a_slow_reader_is_waited_for_also_when_the_program_ends", Path::new(""));
    let mut out = child.stdout.take().unwrap();
    let mut bytes = Vec::new();
    let started = Instant::now();
    let mut room = vec![0; 1 << 15];
    loop {
        match out.read(&mut room).unwrap() {
            0 => break,
            length => bytes.extend_from_slice(&room[..length]),
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    let wanted: String = (0..lines).map(line).collect();
    assert!(started.elapsed() > Duration::from_secs(4), "longer than a reader that takes nothing is waited for");
    assert!(String::from_utf8(bytes).unwrap().ends_with(&wanted));
    ends_well(child);
}

#[test]
fn a_stuck_reader_does_not_hold_up_the_file() {
    let lines = 20_000;
    if is_child() {
        let file = std::env::var(FILE).unwrap();
        let mut bench = Bench::open(&["stdout?buffer=256KiB", &format!("file:{file}")]);
        for number in 0..lines {
            bench.write(&line(number));
        }
        bench.flush();
        wait_until("the file has every line", || count_lines(Path::new(&file)) == lines);
        bench.outputs.close(Duration::from_millis(300));
        let [stdout, _] = bench.outputs.tallies().map(|(_, tally, _)| tally).collect::<Vec<_>>()[..] else { panic!() };
        assert!(stdout.lines == lines && stdout.dropped > lines / 2, "{stdout:?}");
        std::process::exit(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eve.json");
    let mut child = child("a_stuck_reader_does_not_hold_up_the_file", &file);
    let _unread = child.stdout.take();
    ends_well(child);
    assert_eq!(count_lines(&file), lines);
}
