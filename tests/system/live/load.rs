//! A load of 50,000 queries a second: nothing is lost, or every loss is counted.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clients::Client;
use super::documents::Document;
use super::lab::{Lab, slowness, until};
use super::sensor::{dnstrail, ended, hooks};
use super::servers::unbound;

const QUERIES_A_SECOND: f64 = 50_000.0;
const SECONDS: &str = "10";
const NAMES: usize = 1000;

/// Counts from a stream of documents that is too long to be kept.
#[derive(Default)]
struct Tally {
    queries: u64,
    answers: u64,
    lines: u64,
    last: Vec<u8>,
}

/// Counts lines by what stands in them: parsing a million documents would be the load.
fn tally(stream: impl std::io::Read, suffix: &str) -> Tally {
    let mut tally = Tally::default();
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut line = String::new();
    while reader.read_line(&mut line).expect("lines are text") > 0 {
        tally.lines += 1;
        if line.contains(suffix) {
            tally.queries += u64::from(line.contains(r#""action":"dns-query""#));
            tally.answers += u64::from(line.contains(r#""action":"dns-answer""#));
        }
        tally.last.clear();
        tally.last.extend_from_slice(line.as_bytes());
        line.clear();
    }
    tally
}

/// The number after a heading of dnsperf's closing statistics.
pub fn statistic(text: &str, heading: &str) -> u64 {
    let value = text.split_once(heading).and_then(|(_, rest)| rest.split_whitespace().next());
    value.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {heading} in {text}"))
}

#[test]
fn live_load_loses_nothing_or_counts_it() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let names: Vec<String> = (0..NAMES).map(|number| format!("n{number}.{} A\n", lab.suffix)).collect();
    let file = lab.path("names");
    std::fs::write(&file, names.concat()).expect("names for dnsperf");

    let [hooks, way] = hooks();
    let mut sensor = dnstrail(&["run", &hooks, &way, "--ready-file"])
        .arg(lab.path("ready"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("dnstrail does not start");
    let stdout = sensor.stdout.take().expect("piped");
    let suffix = format!(".{}\"", lab.suffix);
    let reader = std::thread::spawn(move || tally(stdout, &suffix));
    until("dnstrail makes its ready file", || lab.path("ready").exists());

    let rate = (QUERIES_A_SECOND / slowness()).round().to_string();
    let load = ["-s", "127.0.0.1", "-d", &file.to_string_lossy(), "-Q", &rate, "-l", SECONDS, "-c", "4", "-T", "1"];
    let run = Client::program(&lab.network, "dnsperf", &load).run();
    kill(Pid::from_raw(sensor.id().cast_signed()), Signal::SIGTERM).expect("the sensor is gone");
    let tally = reader.join().expect("the reader panicked");
    assert!(ended(&mut sensor).success());

    let text = String::from_utf8_lossy(&run.output.stdout);
    let (sent, completed) = (statistic(&text, "Queries sent:"), statistic(&text, "Queries completed:"));
    let unanswered = statistic(&text, "Queries lost:");
    let stop = &Document::lines(&tally.last)[0];
    assert_eq!(stop.action(), "sensor-stop");
    assert_eq!(stop.number("event.sequence"), tally.lines);
    // A slow build or reader may leave more in the ring than the end has time for.
    let [overflow, abandoned] =
        ["kernel_packet_ring", "packet_abandoned"].map(|place| stop.number(&format!("dnstrail.loss.{place}.total")));
    let counted = overflow + abandoned;
    println!(
        "{sent} queries sent, {completed} answered: {} and {} documents, {overflow} packets found no room in the ring, \
         {abandoned} were left there",
        tally.queries, tally.answers
    );
    assert!(tally.queries <= sent, "a query was told twice");
    // dnsperf may miss an answer that reached its socket.
    assert!(tally.answers <= completed + unanswered, "an answer was told twice");
    let missing = (sent - tally.queries) + completed.saturating_sub(tally.answers);
    if unanswered == 0 {
        assert_eq!(missing, counted, "sent = documents + counted");
    } else {
        assert!(missing <= counted, "{missing} are missing, {counted} were counted");
        assert!(counted <= missing + unanswered, "{missing} are missing, {counted} were counted");
    }
}
