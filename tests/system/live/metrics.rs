//! `--metrics` as a scraper uses it, and as clients that mean ill do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::clients::Client;
use super::documents::Document;
use super::lab::{Lab, patience, until};
use super::sensor::Sensor;
use super::servers::local_resolver;

/// A port that is free now.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the metrics are served");
    stream.set_read_timeout(Some(patience())).expect("a timeout");
    stream
}

/// The whole answer to these bytes, which may break off by a reset when it was not wanted.
fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("text")
}

fn scrape(address: SocketAddr) -> String {
    let answer = ask(address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    body.to_owned()
}

fn value(text: &str, series: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse().expect("a number")
}

#[test]
fn live_metrics_follow_what_happens() {
    let lab = Lab::new();
    let (_resolver, resolv_conf) = local_resolver(&lab);
    let address = free_port();
    let sensor = Sensor::start(&lab, &["--metrics", &address.to_string()]);
    let before = value(&scrape(address), "dnstrail_messages_total");
    Client::new(&lab, "resolve", &[&lab.name("metrics")]).resolv_conf(&resolv_conf).run_to_any_end();
    let output = format!("output=\"file:{}\",position=\"1\"", lab.path("documents.json").display());
    until("the lookup is counted and published", || {
        let text = scrape(address);
        value(&text, "dnstrail_messages_total") >= before + 2
            && value(&text, &format!("dnstrail_output_lines_total{{{output}}}")) >= 3
            && value(&text, "dnstrail_ring_fill_peak_bytes") > 0
            && value(&text, "dnstrail_transactions{state=\"settled\"}") > 0
    });
    let text = scrape(address);
    assert_eq!(value(&text, "dnstrail_ring_size_bytes"), 16 << 20);
    assert_eq!(value(&text, &format!("dnstrail_output_failing{{{output}}}")), 0);
    assert!(value(&text, "dnstrail_processes{state=\"live\"}") > 1);
    assert!(value(&text, "process_resident_memory_bytes") > 1 << 20);
    assert_eq!(value(&text, "dnstrail_losses_total{place=\"kernel_packet_ring\"}"), 0);
    sensor.stop();
}

#[test]
fn live_metrics_endure_hostile_clients() {
    let lab = Lab::new();
    let address = free_port();
    let sensor = Sensor::start(&lab, &["--metrics", &address.to_string()]);

    let status = |request: &[u8]| ask(address, request).lines().next().unwrap_or_default().to_owned();
    assert_eq!(status(b"GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 Not Found");
    assert_eq!(status(b"POST /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status(b"\xff\0\r\n\r\n"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status(&[b'x'; 4096]), "HTTP/1.1 431 Request Header Fields Too Large");
    let head = ask(address, b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.ends_with("\r\n\r\n"), "{head}");

    // Far more than is read: the connection is closed on it.
    ask(address, &vec![b'x'; 16 << 20]);

    // Many clients that send nothing: a scraper is served all the same.
    let silent: Vec<TcpStream> = (0..300).map(|_| connect(address)).collect();
    scrape(address);
    drop(silent);

    // A client that is never done: it is let go after two seconds.
    let mut slow = connect(address);
    let started = Instant::now();
    while slow.write_all(b"x").is_ok() {
        assert!(started.elapsed() < patience(), "a slow client is still served");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(started.elapsed() >= Duration::from_secs(2), "a client gets its time");

    scrape(address);
    sensor.stop();
}

#[test]
fn live_heartbeat_says_that_the_sensor_is_alive() {
    let lab = Lab::new();
    let rules = lab.path("list.txt");
    std::fs::write(&rules, "evil.example\n").expect("a list");
    let sensor = Sensor::start(&lab, &["--heartbeat", "1", "--rules", &rules.to_string_lossy()]);
    let is_status = |document: &&Document| document.action() == "sensor-status";
    sensor.until_written("two heartbeats", |documents| documents.iter().filter(is_status).count() >= 2);
    let recording = sensor.stop();
    let beats: Vec<_> = recording.documents.iter().filter(is_status).collect();
    for (beat, second) in beats.iter().zip(1..) {
        assert!(beat.number("dnstrail.status.uptime") >= second, "{beat:?}");
        assert!(beat.number("dnstrail.status.resident") > 1 << 20);
        assert!(beat.number("dnstrail.memory.processes.bytes") > 0);
        assert_eq!(beat.number("dnstrail.memory.processes.bound"), 60 << 20);
        assert_eq!(beat.get("dnstrail.rules.lists").expect("lists")[0]["id"], "list");
        assert_eq!(beat.get("dnstrail.outputs").expect("outputs")[0]["failing"], false);
    }
}
