//! TLS to real receivers, with certificates made by openssl(1).

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::receivers::{Certificates, Daemon};
use crate::support::outputs::{Bench, count_lines, line};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn only_a_trusted_receiver_gets_lines() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let daemon = Daemon::syslog_ng(folder.path(), &certificates);
    let port = daemon.ports.tls;
    let all = certificates.parameters();
    let (ca, stranger) = (certificates.file("ca.pem"), certificates.file("stranger.pem"));
    let stranger_key = certificates.file("stranger.key");
    for (parameters, wanted) in [
        (format!("{all}&server_name=other.test"), "TLS: invalid peer certificate"),
        (all.replace(&format!("ca={ca}"), &format!("ca={stranger}")), "TLS: invalid peer certificate"),
        (format!("ca={ca}"), "TLS: received fatal alert"),
        (format!("ca={ca}&cert={stranger}&key={stranger_key}"), "TLS: received fatal alert"),
    ] {
        let mut bench = Bench::open(&[&format!("syslog:tls://127.0.0.1:{port}?{parameters}")]);
        bench.write(&line(0));
        bench.flush();
        bench.tick_until("the refusal is reported", Bench::is_failing);
        let changes = bench.outputs.take_changes();
        assert!(changes[0].message.starts_with(wanted), "{wanted}: {changes:?}");
        bench.outputs.close(Duration::from_millis(100));
        assert_eq!(bench.dropped(), 1, "{parameters}");
    }
    assert_eq!(count_lines(&daemon.output("tls")), 0);
}

#[test]
fn a_receiver_that_speaks_no_tls_is_not_waited_for_without_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    let mut bench =
        Bench::open(&[&format!("syslog:tls://{}?{}", listener.local_addr().unwrap(), certificates.parameters())]);
    bench.write(&line(0));
    let (_silent, _) = listener.accept().unwrap();
    let closing = Instant::now();
    bench.outputs.close(SECOND);
    assert!(closing.elapsed() < SECOND * 3);
    assert_eq!(bench.dropped(), 1);
}
