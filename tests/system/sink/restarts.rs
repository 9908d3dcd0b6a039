//! Receivers that go away and come back: every line is received or counted.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::receivers::{Certificates, Daemon};
use crate::support::outputs::{Bench, count_lines, line, number_of};

/// The lines before the first stop, between the stops, and after the last.
const LINES: u64 = 20_000;
const DRAIN: Duration = Duration::from_secs(30);
/// The lines that a killed receiver loses from its own memory: rsyslog and syslog-ng read up to 128 KiB from
/// a socket at once.
const RECEIVER_MEMORY_LINES: u64 = (128 << 10) / 90;

struct Received {
    distinct: u64,
    twice: u64,
    /// Lines that differ from every line that was sent.
    foreign: Vec<String>,
}

fn received(path: &Path) -> Received {
    let mut seen: HashMap<u64, u64> = HashMap::new();
    let mut foreign = Vec::new();
    for text in String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).split_inclusive('\n') {
        match number_of(text).filter(|&number| text == line(number)) {
            Some(number) => *seen.entry(number).or_default() += 1,
            None => foreign.push(text.to_owned()),
        }
    }
    let twice = seen.values().map(|times| times - 1).sum();
    Received { distinct: seen.len() as u64, twice, foreign }
}

/// Waits until the daemon has written every line, so that none is under way.
fn quiet(bench: &mut Bench, path: &Path, lines: u64) {
    bench.flush();
    bench.tick_until("everything has arrived", |_| count_lines(path) >= lines);
}

/// The daemon is killed while nothing is under way, lines come while it is away, and it comes back.
fn killed_when_quiet(mut daemon: Daemon, name: &str, out: &str) {
    let mut bench = Bench::open(&[out]);
    let mut sent = 0;
    for _ in 0..LINES {
        bench.write(&line(sent));
        sent += 1;
    }
    let settled = sent;
    quiet(&mut bench, &daemon.output(name), settled);
    daemon.stop(Signal::SIGKILL);
    for _ in 0..100 {
        bench.write(&line(sent));
        sent += 1;
    }
    bench.flush();
    bench.tick_until("the loss is reported", Bench::is_failing);
    daemon.start();
    bench.tick_until("it is back", |bench| !bench.is_failing());
    bench.outputs.close(DRAIN);
    let changes = bench.outputs.take_changes();
    let path = daemon.output(name);
    let counted = bench.dropped() + bench.uncertain();
    bench.tick_until("the last lines arrive", |_| received(&path).distinct + counted >= sent);
    let found = received(&path);
    assert_eq!((found.foreign, found.twice), (vec![], 0), "{changes:?}");
    assert_eq!((found.distinct, bench.dropped()), (sent, 0), "{changes:?}");
    assert_eq!(changes.iter().filter(|change| !change.failing).count(), 1, "{changes:?}");
}

/// The daemon is stopped in the middle of a stream of lines.
fn stopped_under_load(mut daemon: Daemon, name: &str, out: &str, signal: Signal) {
    let mut bench = Bench::open(&[out]);
    let mut sent = 0;
    let mut some = |bench: &mut Bench, lines: u64| {
        for _ in 0..lines {
            bench.write(&line(sent));
            sent += 1;
            if sent % 100 == 0 {
                bench.flush();
                std::thread::sleep(Duration::from_micros(500));
            }
        }
        sent
    };
    some(&mut bench, LINES);
    daemon.stop(signal);
    some(&mut bench, LINES);
    bench.tick_until("the loss is reported", Bench::is_failing);
    daemon.start();
    let sent = some(&mut bench, LINES);
    bench.outputs.close(DRAIN);
    let path = daemon.output(name);
    let in_memory = if signal == Signal::SIGKILL { RECEIVER_MEMORY_LINES } else { 0 };
    let counted = bench.dropped() + bench.uncertain() + in_memory;
    bench.tick_until("the last lines arrive", |_| {
        let (found, last) = (received(&path), line(sent - 1));
        found.distinct + counted >= sent && std::fs::read_to_string(&path).is_ok_and(|text| text.ends_with(&last))
    });
    let found = received(&path);
    let figures = format!(
        "{name} {signal}: sent {sent}, received {} ({} twice), dropped {}, uncertain {}, resent {}; {:?}",
        found.distinct,
        found.twice,
        bench.dropped(),
        bench.uncertain(),
        bench.resent(),
        bench.outputs.take_changes()
    );
    println!("{figures}");
    assert!(found.distinct + bench.dropped() <= sent, "{figures}");
    assert!(found.twice <= bench.resent(), "{figures}");
    // A daemon that is killed may cut the line it is writing into its own file.
    assert!(found.foreign.len() <= usize::from(signal == Signal::SIGKILL), "{figures} {:?}", found.foreign);
}

/// The daemon stands still while lines fill its socket, and is killed: these lines are lost with its
/// kernel's buffer, and all of them are counted.
fn killed_with_unread_lines(mut daemon: Daemon, name: &str, out: &str) {
    let mut bench = Bench::open(&[out]);
    for number in 0..LINES {
        bench.write(&line(number));
    }
    quiet(&mut bench, &daemon.output(name), LINES);
    daemon.freeze();
    for number in LINES..LINES + 2000 {
        bench.write(&line(number));
        bench.flush();
    }
    std::thread::sleep(Duration::from_millis(300));
    daemon.stop(Signal::SIGKILL);
    bench.tick_until("the loss is reported", |bench| {
        bench.flush();
        bench.is_failing()
    });
    daemon.start();
    let sent = LINES + 3000;
    for number in LINES + 2000..sent {
        bench.write(&line(number));
    }
    bench.outputs.close(DRAIN);
    let path = daemon.output(name);
    let last = line(sent - 1);
    bench
        .tick_until("the last lines arrive", |_| std::fs::read_to_string(&path).is_ok_and(|text| text.contains(&last)));
    let found = received(&path);
    let (dropped, uncertain, resent) = (bench.dropped(), bench.uncertain(), bench.resent());
    let figures = format!("{name}: sent {sent}, received {}, dropped {dropped}, uncertain {uncertain}", found.distinct);
    println!("{figures}");
    assert!(found.distinct < sent, "nothing was unread: {figures}");
    assert!(found.distinct + dropped + uncertain >= sent, "{figures}");
    assert!(found.twice <= resent, "{figures}");
    assert!(found.foreign.is_empty(), "{figures} {:?}", found.foreign);
}

fn rsyslog() -> (tempfile::TempDir, Certificates, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let daemon = Daemon::rsyslog(folder.path(), &certificates);
    (folder, certificates, daemon)
}

fn syslog_ng() -> (tempfile::TempDir, Certificates, Daemon) {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let daemon = Daemon::syslog_ng(folder.path(), &certificates);
    (folder, certificates, daemon)
}

#[test]
fn rsyslog_killed_when_quiet_over_tcp() {
    let (_folder, _, daemon) = rsyslog();
    let out = format!("syslog:tcp://127.0.0.1:{}", daemon.ports.octet);
    killed_when_quiet(daemon, "octet", &out);
}

#[test]
fn rsyslog_killed_when_quiet_over_tls() {
    let (_folder, certificates, daemon) = rsyslog();
    let out = format!("syslog:tls://127.0.0.1:{}?{}", daemon.ports.tls, certificates.parameters());
    killed_when_quiet(daemon, "tls", &out);
}

#[test]
fn syslog_ng_killed_when_quiet_over_its_local_socket() {
    let (folder, _, daemon) = syslog_ng();
    let out = format!("syslog:unix:{}/datagram.sock", folder.path().display());
    killed_when_quiet(daemon, "datagram", &out);
}

#[test]
fn syslog_ng_killed_when_quiet_over_a_local_stream() {
    let (folder, _, daemon) = syslog_ng();
    let out = format!("syslog:unix:{}/stream.sock", folder.path().display());
    killed_when_quiet(daemon, "stream", &out);
}

#[test]
fn rsyslog_stopped_under_load() {
    let (_folder, _, daemon) = rsyslog();
    let out = format!("syslog:tcp://127.0.0.1:{}", daemon.ports.octet);
    stopped_under_load(daemon, "octet", &out, Signal::SIGTERM);
}

#[test]
fn rsyslog_killed_under_load() {
    let (_folder, _, daemon) = rsyslog();
    let out = format!("syslog:tcp://127.0.0.1:{}", daemon.ports.octet);
    stopped_under_load(daemon, "octet", &out, Signal::SIGKILL);
}

#[test]
fn syslog_ng_killed_under_load_over_tls() {
    let (_folder, certificates, daemon) = syslog_ng();
    let out = format!("syslog:tls://127.0.0.1:{}?{}", daemon.ports.tls, certificates.parameters());
    stopped_under_load(daemon, "tls", &out, Signal::SIGKILL);
}

#[test]
fn rsyslog_killed_with_unread_lines_over_tcp() {
    let (_folder, _, daemon) = rsyslog();
    let out = format!("syslog:tcp://127.0.0.1:{}", daemon.ports.octet);
    killed_with_unread_lines(daemon, "octet", &out);
}

#[test]
fn syslog_ng_killed_with_unread_lines_over_tls() {
    let (_folder, certificates, daemon) = syslog_ng();
    let out = format!("syslog:tls://127.0.0.1:{}?{}", daemon.ports.tls, certificates.parameters());
    killed_with_unread_lines(daemon, "tls", &out);
}

#[test]
fn syslog_ng_killed_with_unread_lines_on_its_local_socket() {
    let (folder, _, daemon) = syslog_ng();
    let out = format!("syslog:unix:{}/datagram.sock", folder.path().display());
    killed_with_unread_lines(daemon, "datagram", &out);
}

#[test]
fn syslog_ng_killed_with_unread_lines_on_a_local_stream() {
    let (folder, _, daemon) = syslog_ng();
    let out = format!("syslog:unix:{}/stream.sock", folder.path().display());
    killed_with_unread_lines(daemon, "stream", &out);
}
