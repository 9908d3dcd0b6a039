//! Receivers that are absent, stuck or slow, and the counts that follow.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::outputs::{Bench, count_lines, free_port, line, number_of, wait_until};
use dnstrail::sink::WhenFull;

const SECOND: Duration = Duration::from_secs(1);

/// Reads octet-counted messages (RFC 6587 section 3.4.1) to the end, and gives back the lines.
fn read_messages(stream: impl Read) -> Vec<String> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut length = Vec::new();
        if reader.read_until(b' ', &mut length).unwrap_or(0) == 0 {
            return lines;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().trim_end().parse().unwrap();
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() {
            return lines;
        }
        lines.push(text_of(&message));
    }
}

/// MSG of an RFC 5424 message without structured data.
fn text_of(message: &[u8]) -> String {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let mut parts = text.splitn(8, ' ');
    assert!(parts.next().unwrap().ends_with(">1"), "{text}");
    format!("{}\n", parts.last().unwrap())
}

#[test]
fn a_stuck_receiver_holds_up_no_other_output_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = format!("syslog:tcp://{}?buffer=1MiB", listener.local_addr().unwrap());
    let file = folder.path().join("eve.json");
    let mut bench = Bench::open(&[&out, &format!("file:{}?buffer=256MiB", file.display())]);
    let (stuck, _) = listener.accept().unwrap();
    let started = Instant::now();
    let sent = 200_000;
    for number in 0..sent {
        bench.write(&line(number));
    }
    bench.flush();
    assert!(started.elapsed() < SECOND * 15, "{:?}", started.elapsed());
    wait_until("the file has every line", || count_lines(&file) == sent);
    bench.tick_until("the full buffer is reported", Bench::is_failing);
    let failing: Vec<_> = bench.outputs.take_changes();
    assert!(
        failing.iter().any(|change| change.failing && change.message.contains("buffer of 1024 KiB is full")),
        "{failing:?}"
    );
    // The end does not wait for the stuck receiver either.
    let closing = Instant::now();
    bench.outputs.close(SECOND);
    assert!(closing.elapsed() < SECOND * 2, "{:?}", closing.elapsed());
    // The receiver now reads the bytes that lie in its socket.
    let received = read_messages(stuck);
    let numbers: Vec<u64> = received.iter().map(|text| number_of(text).expect("a whole line")).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next));
    assert!(numbers.iter().zip(&received).all(|(&number, text)| *text == line(number)));
    let arrived = received.len() as u64;
    assert!(arrived + bench.dropped() >= sent, "{arrived} arrived, {} dropped", bench.dropped());
    // A line that the peer's kernel had not confirmed at the end is counted, though it may still arrive.
    assert!(arrived + bench.dropped() - sent < 60_000, "{arrived} arrived, {} dropped", bench.dropped());
}

#[test]
fn a_replay_waits_for_a_slow_receiver() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = format!("syslog:tcp://{}?buffer=256KiB", listener.local_addr().unwrap());
    let reader = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        std::thread::sleep(SECOND);
        read_messages(stream).len() as u64
    });
    let mut bench = Bench::try_open(&[&out], WhenFull::Wait).unwrap();
    let sent = 100_000;
    for number in 0..sent {
        bench.write(&line(number));
    }
    bench.outputs.close(SECOND * 20);
    assert_eq!((bench.dropped(), reader.join().unwrap()), (0, sent));
}

#[test]
fn an_absent_receiver_gets_everything_when_it_comes() {
    let port = free_port();
    let mut bench = Bench::open(&[&format!("syslog:tcp://127.0.0.1:{port}")]);
    let sent = 5000;
    for number in 0..sent {
        bench.write(&line(number));
    }
    bench.tick_until("the absence is reported", Bench::is_failing);
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let reader = std::thread::spawn(move || read_messages(listener.accept().unwrap().0).len() as u64);
    bench.tick_until("it is found", |bench| !bench.is_failing());
    bench.outputs.close(SECOND * 10);
    assert_eq!((reader.join().unwrap(), bench.dropped(), bench.uncertain()), (sent, 0, 0));
}

#[test]
fn refused_datagrams_are_kept_for_the_receiver_that_comes() {
    let port = free_port();
    let mut bench = Bench::open(&[&format!("syslog:udp://127.0.0.1:{port}")]);
    for number in 0..50 {
        bench.write(&line(number));
        bench.flush();
    }
    bench.tick_until("the refusal is reported", Bench::is_failing);
    let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(SECOND * 20)).unwrap();
    let mut room = vec![0; 70_000];
    for number in 0..50 {
        let length = socket.recv(&mut room).unwrap();
        assert_eq!(text_of(&room[..length]), line(number));
    }
    bench.tick_until("it works again", |bench| !bench.is_failing());
    // A line longer than a datagram may be is left out, counted and reported; the next one comes.
    bench.write(&format!("{}\n", "x".repeat(70_000)));
    bench.write(&line(51));
    bench.flush();
    let length = socket.recv(&mut room).unwrap();
    assert_eq!(text_of(&room[..length]), line(51));
    bench.outputs.close(SECOND);
    assert_eq!(bench.dropped(), 1);
    let changes = bench.outputs.take_changes();
    assert!(changes.iter().any(|change| change.message.contains("longer than a datagram")), "{changes:?}");
}

#[test]
fn a_fifo_without_a_reader_holds_up_no_other_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let mut bench = Bench::open(&[&format!("file:{}", path.display())]);
    for number in 0..100 {
        bench.write(&line(number));
    }
    bench.tick_until("the absence is reported", Bench::is_failing);
    let reader = open_fifo(&path);
    bench.tick_until("it is found", |bench| !bench.is_failing());
    bench.outputs.close(SECOND * 5);
    let lines: Vec<_> = BufReader::new(reader).lines().map(|text| text.unwrap() + "\n").collect();
    assert_eq!(lines, (0..100).map(line).collect::<Vec<_>>());
    assert_eq!(bench.dropped(), 0);
}

fn open_fifo(path: &Path) -> File {
    let reader = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).unwrap();
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).unwrap();
    reader
}
