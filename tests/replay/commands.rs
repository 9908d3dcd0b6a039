//! `dnstrail replay` as a person types it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::bytes::{self, Order, UDP, query};

const MICROSECOND: u32 = 0xa1b2_c3d4;
/// The time of the first frames, in seconds.
const START: u32 = 1_700_000_000;
const RAW: u32 = 101;

fn replay(files: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dnstrail")).arg("replay").args(files).output().expect("dnstrail")
}

/// How often an action stands in the lines.
fn count(output: &Output, action: &str) -> usize {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).matches(&format!("\"action\":\"{action}\"")).count()
}

fn question(id: u16) -> Vec<u8> {
    bytes::ipv4(UDP, &[], &bytes::udp(&query(id, "www.example.com")))
}

/// The answer to [`question`], the other way round.
fn reply(id: u16) -> Vec<u8> {
    let mut packet = question(id);
    let header = packet.clone();
    packet[12..16].copy_from_slice(&header[16..20]);
    packet[16..20].copy_from_slice(&header[12..16]);
    packet[20..22].copy_from_slice(&header[22..24]);
    packet[22..24].copy_from_slice(&header[20..22]);
    packet[30] |= 0x80;
    packet
}

/// A frame of each millisecond from `start` on: 9,000 lookups, each answered after 300 ms.
fn lookups(start: u32) -> Vec<(u32, u32, Vec<u8>)> {
    let mut frames = Vec::new();
    for millisecond in 0..9_300_u32 {
        let (second, fraction) = (start + millisecond / 1000, millisecond % 1000 * 1000);
        if millisecond < 9_000 {
            frames.push((second, fraction, question(u16::try_from(millisecond).unwrap())));
        }
        if let Some(asked) = millisecond.checked_sub(300) {
            frames.push((second, fraction, reply(u16::try_from(asked).unwrap())));
        }
    }
    frames
}

fn capture(frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, RAW);
    for (second, fraction, frame) in frames {
        capture.extend(bytes::pcap_record(Order::Little, *second, *fraction, frame.len(), frame));
    }
    capture
}

/// U14: each of the 300 lookups under way was given up.
#[test]
fn one_wrong_time_stamp_times_no_lookup_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.pcap");
    for wrong in [u32::MAX, START + 60, 0] {
        let mut frames = lookups(START);
        frames[8_000].0 = wrong;
        fs::write(&file, capture(&frames)).expect("it is ours");
        let output = replay(&[&file]);
        assert_eq!((count(&output, "dns-timeout"), count(&output, "dns-answer")), (0, 9_000), "{wrong}");
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            lines.contains("\"frame_time\":"),
            "the count is in no line: {}",
            lines.lines().last().unwrap_or_default()
        );
    }
    // A silence that is real ends the lookups before it.
    let mut frames = lookups(START);
    frames.retain(|(second, _, frame)| *second < START + 4 || frame[20..22] == question(0)[20..22]);
    frames.iter_mut().filter(|(second, ..)| *second >= START + 4).for_each(|(second, ..)| *second += 60);
    fs::write(&file, capture(&frames)).expect("it is ours");
    assert_eq!(count(&replay(&[&file]), "dns-timeout"), 300);
}

#[test]
fn an_older_capture_behind_a_newer_one_times_no_lookup_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let [new, old] = ["new.pcap", "old.pcap"].map(|name| folder.path().join(name));
    fs::write(&new, capture(&lookups(START))).expect("it is ours");
    fs::write(&old, capture(&lookups(START - 86_400))).expect("it is ours");
    let output = replay(&[&new, &old]);
    assert_eq!((count(&output, "dns-timeout"), count(&output, "dns-answer")), (0, 18_000));
}

/// U16: frames that cannot be read were no line and no count.
#[test]
fn frames_that_are_not_read_are_counted_in_the_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.pcap");
    let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, 1);
    let mut encrypted = vec![0; 12];
    encrypted.extend([0x88, 0xe5, 0, 0]);
    let mut session = vec![0; 12];
    session.extend([0x88, 0x64, 0x11, 0, 0, 7, 0, 0, 0, 0x21]);
    session.extend(question(7));
    for frame in [&encrypted, &encrypted, &session] {
        capture.extend(bytes::pcap_record(Order::Little, START, 0, frame.len(), frame));
    }
    fs::write(&file, capture).expect("it is ours");
    let output = replay(&[&file]);
    assert_eq!(count(&output, "dns-query"), 1, "a query in PPPoE");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(lines.contains("\"frame_unread\":{\"growth\":2,\"total\":2}"), "{lines}");
}

#[test]
fn a_missing_capture_is_said_once() {
    let output = replay(&[Path::new("/nonexistent/a.pcap")]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "dnstrail: /nonexistent/a.pcap: cannot be opened: No such file or directory (os error 2)\n");
    assert_eq!(output.status.code(), Some(1));
}
