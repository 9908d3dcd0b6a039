//! A file output on a disk that fills up, and is freed again.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::outputs::{Bench, line, number_of};

const SECOND: Duration = Duration::from_secs(1);

/// A file system of its own, of one megabyte; mounting needs root.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1M", "tmpfs"]).arg(folder.path()).status().unwrap();
        assert!(status.success(), "mounting a tmpfs needs root");
        Tmpfs(folder)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_as_root() {
    let tmpfs = Tmpfs::mount();
    let folder = tmpfs.0.path();
    let ballast = folder.join("ballast");
    fs::write(&ballast, vec![0; 300_000]).unwrap();
    let path = folder.join("eve.json");
    let mut bench = Bench::open(&[&format!("file:{}?buffer=256KiB", path.display())]);
    let mut sent = 0;
    while bench.dropped() < 500 {
        bench.write(&line(sent));
        sent += 1;
        if sent % 10 == 0 {
            bench.outputs.flush();
            bench.outputs.tick(Instant::now() + SECOND * 2);
        }
    }
    assert!(bench.is_failing());
    assert!(
        !fs::read(&path).unwrap().ends_with(b"\n"),
        "the disk was full at the very end of a line: the test says little"
    );
    fs::remove_file(&ballast).unwrap();
    bench.tick_until("it works again", |bench| !bench.is_failing());
    for _ in 0..50 {
        bench.write(&line(sent));
        sent += 1;
    }
    bench.outputs.close(SECOND);
    let text = fs::read_to_string(&path).unwrap();
    let numbers = text.split_inclusive('\n').map(|text| number_of(text).filter(|&number| text == line(number)));
    let found: Vec<u64> = numbers.map(|number| number.expect("no line is torn")).collect();
    assert_eq!(found.len() as u64 + bench.dropped(), sent);
    assert!(found.is_sorted());
    let changes = bench.outputs.take_changes();
    let failing: Vec<bool> = changes.iter().map(|change| change.failing).collect();
    assert!(failing.first() == Some(&true) && failing.last() == Some(&false), "{changes:?}");
    // On a slow machine the buffer may be full before the disk has answered.
    let is_reason = |message: &str| message.contains("No space left on device; lines are kept");
    assert!(changes.iter().any(|change| change.failing && is_reason(&change.message)), "{changes:?}");
}

#[test]
fn a_replay_into_a_full_disk_fails_with_the_number_of_lost_lines() {
    let tmpfs = Tmpfs::mount();
    fs::write(tmpfs.0.path().join("ballast"), vec![0; 1_040_000]).unwrap();
    let path = tmpfs.0.path().join("eve.json");
    let mut replay = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    replay.arg("replay");
    for _ in 0..20 {
        replay.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/dnssec.pcap"));
    }
    let output = replay.arg("--output").arg(format!("file:{}", path.display())).output().expect("dnstrail");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let written = fs::read_to_string(&path).unwrap().matches('\n').count();
    let numbers = said.lines().find_map(|text| {
        let (lost, rest) = text.split_once(": ")?.1.rsplit_once(": ")?.1.split_once(" of ")?;
        Some((lost.parse::<usize>().ok()?, rest.strip_suffix(" lines were lost")?.parse::<usize>().ok()?))
    });
    let (lost, given) = numbers.unwrap_or_else(|| panic!("no number of lost lines: {said}"));
    assert!(lost > 0 && written + lost == given, "{written} written: {said}");
}
