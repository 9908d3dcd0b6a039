//! TLS to real receivers, with certificates made by openssl(1).

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::receivers::{Certificates, Daemon, tool};
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

/// Makes `expired.pem`, which the CA of these certificates has signed, with its key.
fn make_expired(folder: &Path) {
    let config = "[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n\
                  private_key=ca.key\ncertificate=ca.pem\n[p]\ncommonName=supplied\n\
                  [e]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n";
    fs::write(folder.join("ca.conf"), config).unwrap();
    fs::write(folder.join("index"), "").unwrap();
    let request =
        "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout expired.key -out expired.csr -subj /CN=expired";
    let signature = "ca -batch -notext -config ca.conf -extensions e -in expired.csr -out expired.pem \
                     -startdate 20200101000000Z -enddate 20200201000000Z";
    for arguments in [request, signature] {
        let output = tool("usr/bin/openssl").current_dir(folder).args(arguments.split(' ')).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn an_expired_certificate_is_reported_once_however_often_it_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path());
    make_expired(folder.path());
    let chain = vec![CertificateDer::from_pem_file(folder.path().join("expired.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.path().join("expired.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = format!("syslog:tls://{}?ca={}", listener.local_addr().unwrap(), certificates.file("ca.pem"));
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            while connection.complete_io(&mut stream).is_ok() && connection.is_handshaking() {}
            counted.fetch_add(1, Relaxed);
        }
    });
    let mut bench = Bench::open(&[&out]);
    bench.write(&line(0));
    bench.flush();
    // The tries come in different seconds.
    bench.tick_until("the receiver was tried often", |_| tries.load(Relaxed) >= 6);
    bench.tick_until("the refusal is reported", Bench::is_failing);
    bench.outputs.drain(Duration::from_millis(100));
    let messages: Vec<String> = bench.outputs.take_changes().into_iter().map(|change| change.message).collect();
    assert_eq!(
        messages,
        [
            "TLS: the receiver's certificate expired at 2020-02-01 00:00:00 UTC; lines are kept while there is space, \
             and it is tried again",
            "lines were not delivered before the end and are lost; look at the receiver or the disk"
        ]
    );
}
