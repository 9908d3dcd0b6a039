//! 100,000 lines over each transport to rsyslog and syslog-ng, which write every byte unchanged.

use std::path::Path;
use std::time::Duration;

use super::receivers::{Certificates, Daemon};
use crate::support::outputs::{Bench, count_lines, line, wait_until};

const LINES: u64 = 100_000;
/// Two windows may be under way: fewer datagrams than a default socket buffer (208 KiB) holds.
const UDP_WINDOW: u64 = 50;

/// Sends over all transports at once, and compares.
fn deliver(daemon: &Daemon, outs: &[(&str, String)]) {
    let texts: Vec<&str> = outs.iter().map(|(_, out)| out.as_str()).collect();
    let mut bench = Bench::open(&texts);
    let mut wanted = Vec::new();
    for number in 0..LINES {
        let text = line(number);
        bench.write(&text);
        wanted.extend_from_slice(text.as_bytes());
        if number % 500 == 499 {
            bench.flush();
        }
    }
    bench.outputs.close(Duration::from_mins(1));
    assert_eq!((bench.dropped(), bench.uncertain(), bench.resent()), (0, 0, 0), "{:?}", bench.outputs.take_changes());
    for (name, _) in outs {
        compare(&daemon.output(name), &wanted);
    }
}

/// Waits for the daemon, which writes when it likes to, and compares its file.
fn compare(path: &Path, wanted: &[u8]) {
    wait_until("all bytes are written", || path.metadata().is_ok_and(|file| file.len() >= wanted.len() as u64));
    let written = std::fs::read(path).unwrap();
    let first = written.iter().zip(wanted).position(|(one, other)| one != other);
    let differing = first.map(|at| {
        String::from_utf8_lossy(&written[at.saturating_sub(200)..(at + 100).min(written.len())]).into_owned()
    });
    assert_eq!((differing, written.len()), (None, wanted.len()), "{}", path.display());
}

fn deliver_over_udp(daemon: &Daemon) {
    let mut bench = Bench::open(&[&format!("syslog:udp://127.0.0.1:{}", daemon.ports.udp)]);
    let mut wanted = Vec::new();
    let mut bytes_due = 0;
    for number in 0..LINES {
        let text = line(number);
        bench.write(&text);
        wanted.extend_from_slice(text.as_bytes());
        if number % UDP_WINDOW == UDP_WINDOW - 1 {
            bench.flush();
            let path = daemon.output("udp");
            let due = std::mem::replace(&mut bytes_due, wanted.len() as u64);
            let mut rounds = 0;
            while path.metadata().map_or(0, |file| file.len()) < due {
                rounds += 1;
                assert!(rounds < 200_000, "a datagram was lost: {} of {number}", count_lines(&path));
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
    bench.outputs.close(Duration::from_mins(1));
    assert_eq!((bench.dropped(), bench.uncertain()), (0, 0));
    compare(&daemon.output("udp"), &wanted);
}

#[test]
fn rsyslog_receives_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let daemon = Daemon::rsyslog(folder.path(), &certificates);
    let ports = daemon.ports;
    let outs = [
        ("octet", format!("syslog:tcp://127.0.0.1:{}?buffer=256MiB", ports.octet)),
        ("newline", format!("syslog:tcp://127.0.0.1:{}?framing=newline&buffer=256MiB", ports.newline)),
        ("old", format!("syslog:tcp://127.0.0.1:{}?rfc=3164&buffer=256MiB", ports.old)),
        ("tls", format!("syslog:tls://127.0.0.1:{}?buffer=256MiB&{}", ports.tls, certificates.parameters())),
        ("datagram", format!("syslog:unix:{}/datagram.sock?buffer=256MiB", folder.path().display())),
    ];
    deliver(&daemon, &outs);
    deliver_over_udp(&daemon);
}

#[test]
fn syslog_ng_receives_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let daemon = Daemon::syslog_ng(folder.path(), &certificates);
    let ports = daemon.ports;
    let outs = [
        ("octet", format!("syslog:tcp://localhost:{}?buffer=256MiB", ports.octet)),
        ("newline", format!("syslog:tcp://127.0.0.1:{}?framing=newline&buffer=256MiB", ports.newline)),
        ("old", format!("syslog:tcp://127.0.0.1:{}?rfc=3164&framing=newline&buffer=256MiB", ports.old)),
        (
            "tls",
            format!(
                "syslog:tls://127.0.0.1:{}?server_name=logs.test&buffer=256MiB&{}",
                ports.tls,
                certificates.parameters()
            ),
        ),
        ("datagram", format!("syslog:unix:{}/datagram.sock?buffer=256MiB", folder.path().display())),
        ("stream", format!("syslog:unix:{}/stream.sock?buffer=256MiB", folder.path().display())),
    ];
    deliver(&daemon, &outs);
    deliver_over_udp(&daemon);
}
