//! The rate of a resolver when all processors are busy: without anything beside it, with the sensor, and with tcpdump
//! writing packets and printing text, in turn.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{PORT, Running, dnsperf};

const ROUNDS: usize = 3;
const SECONDS: &str = "10";
const METRICS: &str = "127.0.0.1:19153";

/// The programs that run beside the resolver.
const BESIDE: [&str; 4] = ["nothing", "dnstrail", "tcpdump -w", "tcpdump, text"];

pub(super) fn run(folder: &Path) {
    println!("\nlive/saturation: dnsperf as fast as it can for {SECONDS} s, in turn");
    let mut rates = [const { Vec::new() }; BESIDE.len()];
    for _ in 0..ROUNDS {
        for (number, beside) in BESIDE.iter().enumerate() {
            let running = start(folder, beside);
            let rate = dnsperf(folder, &["-l", SECONDS]).1;
            // The ring is emptied first, so that every loss is counted.
            std::thread::sleep(Duration::from_millis(500));
            let lost = if number == 1 { format!(", {:.0} records lost", lost_records()) } else { String::new() };
            drop(running);
            println!("  {beside:<14} {rate:>9.0} queries/s{lost}");
            rates[number].push(rate);
        }
    }
    for rate in &mut rates {
        rate.sort_by(f64::total_cmp);
    }
    for (beside, rate) in BESIDE.iter().zip(&rates) {
        let (median, without) = (rate[ROUNDS / 2], rates[0][ROUNDS / 2]);
        println!("  {beside:<14} {median:>9.0} queries/s, median: {:.2} of the rate without", median / without);
    }
}

fn start(folder: &Path, beside: &str) -> Option<Running> {
    let mut tcpdump = Command::new("tcpdump");
    tcpdump.args(["-n", "-i", "lo"]).stdout(Stdio::null()).stderr(Stdio::null());
    let port = PORT.to_string();
    let command = match beside {
        "dnstrail" => return Some(super::sensor(folder, "/dev/null", &["--metrics", METRICS]).0),
        "tcpdump -w" => tcpdump.args(["-w", "/dev/null", "port", &port]),
        "tcpdump, text" => tcpdump.args(["port", &port]),
        _ => return None,
    };
    let child = command.spawn().expect("tcpdump is installed (make bench installs it)");
    std::thread::sleep(Duration::from_secs(1));
    Some(Running(child))
}

/// Records of packets that found no space in the ring, by the sensor's own metrics.
fn lost_records() -> f64 {
    let mut text = String::new();
    let mut stream = TcpStream::connect(METRICS).expect("the metrics");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("asked");
    stream.read_to_string(&mut text).expect("answered");
    let lost =
        |line: &str| line.strip_prefix("dnstrail_losses_total{place=\"kernel_packet_ring\"} ")?.parse::<f64>().ok();
    text.lines().find_map(lost).expect("the metrics have the count")
}
