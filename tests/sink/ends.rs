//! The end of a run: lines that are left are delivered or counted, and their number reaches the outputs
//! that still work, standard error and the exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::outputs::{Bench, free_port, line};

const SECOND: Duration = Duration::from_secs(1);

fn replay(outs: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    command.arg("replay").arg(root.join("tests/data/dnssec.pcap"));
    for out in outs {
        command.arg("--output").arg(out);
    }
    command.output().expect("dnstrail")
}

/// The number of documents in the capture of [`replay`].
fn documents() -> usize {
    let output = replay(&["stdout"]);
    assert!(output.status.success());
    output.stdout.split(|byte| *byte == b'\n').count() - 1
}

#[test]
fn a_drain_gives_up_who_cannot_deliver_and_keeps_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("eve.json");
    let away = format!("syslog:tcp://127.0.0.1:{}", free_port());
    let mut bench = Bench::open(&[&away, &format!("file:{}", path.display())]);
    for number in 0..2000 {
        bench.write(&line(number));
    }
    let started = Instant::now();
    bench.outputs.drain(SECOND);
    assert!(started.elapsed() < SECOND * 3, "{:?}", started.elapsed());
    assert_eq!(bench.dropped(), 2000);
    let changes = bench.outputs.take_changes();
    let last = changes.last().expect("a change");
    assert!(last.output == away && last.failing && last.dropped == 2000, "{changes:?}");
    assert!(last.message.starts_with("lines were not delivered before the end"), "{changes:?}");
    // The last documents still reach the file.
    bench.write(&line(2000));
    bench.outputs.close(SECOND);
    let wanted: String = (0..=2000).map(line).collect();
    assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
    let losses: Vec<_> = bench.outputs.losses().map(|loss| loss.to_string()).collect();
    assert_eq!(losses, [format!("output {away}: 2001 of 2001 lines were lost")]);
}

#[test]
fn a_drain_that_succeeds_leaves_every_output_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eve.json");
    let mut bench = Bench::open(&[&format!("file:{}", path.display())]);
    for number in 0..10 {
        bench.write(&line(number));
        bench.outputs.drain(SECOND * 10);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count() as u64, number + 1);
    }
    assert_eq!(bench.outputs.take_changes(), []);
}

#[test]
fn a_replay_that_loses_lines_fails_with_their_number() {
    let documents = documents();
    for out in ["file:/dev/full".to_owned(), format!("syslog:tcp://127.0.0.1:{}", free_port())] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eve.json");
        let output = replay(&[&out, &format!("file:{}", path.display())]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let found = said.lines().find_map(|text| {
            let (lost, rest) = text.strip_prefix(&format!("dnstrail: output {out}: "))?.split_once(" of ")?;
            Some((lost.parse::<usize>().ok()?, rest.strip_suffix(" lines were lost")?.parse::<usize>().ok()?))
        });
        let (lost, given) = found.unwrap_or_else(|| panic!("no number of lost lines: {said}"));
        assert!(lost == given && lost > documents, "{said}");
        // The other output has every document, and the last one is about the loss.
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), given, "{text}");
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"]["action"], "output-failing", "{last}");
        let report = &last["dnstrail"]["output"];
        assert_eq!(report["name"], out.as_str(), "{last}");
        let dropped = usize::try_from(report["dropped"].as_u64().expect("a number")).unwrap();
        assert!((documents..=lost).contains(&dropped), "{last}");
    }
}

#[test]
fn a_replay_to_a_full_standard_output_fails_too() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    command.arg("replay").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dnssec.pcap"));
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().expect("dnstrail");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("output stdout: cannot be written: No space left on device;"), "{said}");
    assert!(said.contains(" lines were lost"), "{said}");
}

#[test]
fn a_reader_that_leaves_is_no_loss() {
    let script =
        format!("'{}' replay '{}/tests/data/dnssec.pcap'", env!("CARGO_BIN_EXE_dnstrail"), env!("CARGO_MANIFEST_DIR"));
    let pipe = format!("{script} | true; echo ${{PIPESTATUS[0]}}");
    let output = Command::new("bash").args(["-c", &pipe]).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("lost"), "{output:?}");
}
