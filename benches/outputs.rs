//! The cost of a line in each output: the loop's own share, and the rate at which lines arrive at the other
//! end. A line is as long as a usual document.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dnstrail::metrics::Metrics;
use dnstrail::sink::{Format, Kind, Line, Outputs, Stopping, WhenFull};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Bench;

const LENGTH: usize = 1200;
const LINES: u32 = 200_000;
/// The ring is drained about this often.
const LINES_PER_FLUSH: u32 = 64;
/// The argument of the child whose stdout is measured.
const STDOUT: &str = "outputs/stdout itself";

pub fn bench(bench: &mut Bench) {
    if std::env::args().any(|argument| argument == STDOUT) {
        eprint!("{}", measure("stdout", WhenFull::Wait));
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let row = |name: &str, run: &mut dyn FnMut() -> String| {
        if bench.wants(name) {
            println!("{name:<44} {}", run());
        }
    };
    row("outputs/stdout to /dev/null", &mut || as_child(Stdio::null()));
    row("outputs/stdout to a pipe", &mut || as_child(Stdio::piped()));
    row("outputs/file", &mut || measure(&format!("file:{}", at("plain.json")), WhenFull::Wait));
    row("outputs/file, rotated at 16 MiB", &mut || {
        measure(&format!("file:{}?rotate_size=16MiB&rotate_keep=3", at("rotated.json")), WhenFull::Wait)
    });
    row("outputs/syslog, unix datagram", &mut || {
        let socket = UnixDatagram::bind(at("log")).expect("bind");
        std::thread::spawn(move || {
            let mut room = vec![0; 65_536];
            while socket.recv(&mut room).is_ok() {}
        });
        measure(&format!("syslog:unix:{}", at("log")), WhenFull::Wait)
    });
    row("outputs/syslog, udp (sent)", &mut || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let address = socket.local_addr().expect("address");
        std::thread::spawn(move || {
            let mut room = vec![0; 65_536];
            while socket.recv(&mut room).is_ok() {}
        });
        measure(&format!("syslog:udp://{address}"), WhenFull::Wait)
    });
    row("outputs/syslog, tcp", &mut || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        std::thread::spawn(move || listener.accept().map(|(stream, _)| read_away(stream)));
        measure(&format!("syslog:tcp://{address}"), WhenFull::Wait)
    });
    row("outputs/syslog, tls", &mut || over_tls(folder.path()));
    row("outputs/the loop's share of a file line", &mut || {
        share(&mut open(&format!("file:{}", at("share.json")), WhenFull::Drop))
    });
    row("outputs/the loop's share of a syslog line", &mut || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        std::thread::spawn(move || listener.accept().map(|(stream, _)| read_away(stream)));
        let mut outputs = open(&format!("syslog:tcp://{address}"), WhenFull::Drop);
        share(&mut outputs)
    });
}

/// The time that the loop spends: lines come a few at a time, and the output's thread sends them in between.
fn share(outputs: &mut Outputs) -> String {
    let mut elapsed = Duration::ZERO;
    for _ in 0..LINES / LINES_PER_FLUSH {
        elapsed += write(outputs, LINES_PER_FLUSH);
        std::thread::sleep(Duration::from_micros(200));
    }
    outputs.close(Duration::from_mins(1));
    figures(elapsed)
}

fn measure(out: &str, when_full: WhenFull) -> String {
    let mut outputs = open(out, when_full);
    let started = Instant::now();
    write(&mut outputs, LINES);
    outputs.close(Duration::from_mins(1));
    let elapsed = started.elapsed();
    let dropped: u64 = outputs.tallies().map(|(_, tally, _)| tally.dropped).sum();
    let lost = if dropped > 0 { format!(", {dropped} dropped") } else { String::new() };
    figures(elapsed) + &lost
}

fn open(out: &str, when_full: WhenFull) -> Outputs {
    let never: Stopping = Arc::new(|| false);
    let target = out.parse().expect("an OUT");
    Outputs::open(vec![target], when_full, &never, Arc::new(Metrics::default())).expect("open")
}

fn write(outputs: &mut Outputs, lines: u32) -> Duration {
    let mut text = vec![b'x'; LENGTH];
    text[LENGTH - 1] = b'\n';
    let line =
        Line { bytes: &text, format: Format::Ecs, kind: Kind::Event, severity: None, time: 1_762_150_272_345_678_901 };
    let started = Instant::now();
    for number in 1..=lines {
        outputs.write(&line);
        if number % LINES_PER_FLUSH == 0 {
            outputs.flush();
        }
    }
    outputs.flush();
    started.elapsed()
}

fn figures(elapsed: Duration) -> String {
    let each = elapsed.as_secs_f64() * 1e9 / f64::from(LINES);
    format!("{each:>12.1} ns/line {:>12.0} lines/s", 1e9 / each)
}

/// A process has one stdout: this program runs itself with another.
fn as_child(stdout: Stdio) -> String {
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).arg(STDOUT).stdout(stdout).stderr(Stdio::piped()).spawn().expect("this program");
    let reader = child.stdout.take().map(|pipe| std::thread::spawn(move || read_away(pipe)));
    let output = child.wait_with_output().expect("the child");
    if let Some(reader) = reader {
        let _ = reader.join();
    }
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn read_away(mut stream: impl Read) {
    let mut room = vec![0; 256 << 10];
    while stream.read(&mut room).is_ok_and(|length| length > 0) {}
}

fn over_tls(folder: &Path) -> String {
    let openssl = Command::new("openssl")
        .current_dir(folder)
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=bench"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .output();
    if !openssl.is_ok_and(|output| output.status.success()) {
        return "not measured: needs the command openssl".into();
    }
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).expect("certificate");
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        let (tcp, _) = listener.accept().expect("a connection");
        let connection = rustls::ServerConnection::new(Arc::new(config)).expect("a connection");
        let mut stream = rustls::StreamOwned::new(connection, tcp);
        let _ = stream.flush();
        read_away(stream);
    });
    measure(&format!("syslog:tls://{address}?ca={}", folder.join("cert.pem").display()), WhenFull::Wait)
}
