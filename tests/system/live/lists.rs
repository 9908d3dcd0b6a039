//! Blocklists while the sensor runs: loaded again under load, spoilt and mended, and the alerts that
//! come of it all the while.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::clients::Client;
use super::documents::Document;
use super::lab::{Lab, slowness, until};
use super::load::statistic;
use super::sensor::{Sensor, dnstrail, ended, hooks};
use super::servers::{ADDRESS_V4, misbehaving, unbound};

const QUERIES_A_SECOND: f64 = 20_000.0;
const RELOADS: u64 = 1_000;
/// A machine that is too slow for them all reloads as often as it can in this time.
const LONGEST: Duration = Duration::from_mins(1);
/// Names of the list besides the one that matters: enough that reading them takes a while, and that
/// sets which are kept would show.
const OTHERS: usize = 2_000;
/// More than the allocator leaves unused; the sets of half of the reloads take several times that.
const SLACK: u64 = 6 << 20;

/// Counts of the documents read so far.
#[derive(Default)]
struct Tally {
    queries: u64,
    alerts: u64,
    answers: u64,
    labelled: u64,
    loads: Vec<Document>,
    last: Vec<u8>,
}

fn tally(stream: impl Read, suffix: &str, loads: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    let mut line = String::new();
    while reader.read_line(&mut line).expect("lines are text") > 0 {
        let said = |text: &str| u64::from(line.contains(text));
        if line.contains(r#""action":"rules-loaded""#) {
            tally.loads.append(&mut Document::lines(line.as_bytes()));
            loads.fetch_add(1, Ordering::Relaxed);
        } else if line.contains(r#""action":"dns-query""#) && line.contains(suffix) {
            tally.queries += 1;
            tally.alerts += said(r#""kind":"alert""#) & said(r#""field":"dns.question.name""#);
        } else if line.contains(r#""action":"dns-answer""#) && line.contains(suffix) {
            tally.answers += 1;
            tally.labelled += said(r#""field":"dns.question.name""#);
        }
        tally.last.clear();
        tally.last.extend_from_slice(line.as_bytes());
        line.clear();
    }
    tally
}

/// As downloads and editors do it: a new file in the place of the old one.
fn replace(path: &Path, text: impl AsRef<[u8]>) {
    let beside = path.with_extension("tmp");
    fs::write(&beside, text).expect("a list");
    fs::rename(&beside, path).expect("a list");
}

/// A list with the name that is always there, a line that no format knows, and others.
fn list(always: &str, version: u64) -> String {
    let mut text = format!("# version {version}\n{always}\nevil..example\n");
    for number in 0..OTHERS {
        let _ = writeln!(text, "v{version}-{number}.other.example");
    }
    text
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the sensor runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a VmRSS line");
    line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).expect("a number") * 1024
}

#[test]
fn live_reloads_under_load_miss_nothing() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let names: Vec<String> = (0..1000).map(|number| format!("n{number}.{} A\n", lab.suffix)).collect();
    let file = lab.path("names");
    fs::write(&file, names.concat()).expect("names for dnsperf");
    let rules = lab.path("list.txt");
    replace(&rules, list(&lab.suffix, 0));

    let [hooks, way] = hooks();
    let mut sensor = dnstrail(&["run", &hooks, &way, "--rules", &rules.to_string_lossy(), "--ready-file"])
        .arg(lab.path("ready"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("dnstrail does not start");
    let process = Pid::from_raw(sensor.id().cast_signed());
    let stdout = sensor.stdout.take().expect("piped");
    let loads = Arc::new(AtomicU64::new(0));
    let reader = {
        let (suffix, loads) = (format!(".{}\"", lab.suffix), Arc::clone(&loads));
        std::thread::spawn(move || tally(stdout, &suffix, &loads))
    };
    until("dnstrail makes its ready file", || lab.path("ready").exists());

    let rate = (QUERIES_A_SECOND / slowness()).round().to_string();
    let load = ["-s", "127.0.0.1", "-d", &file.to_string_lossy(), "-Q", &rate, "-l", "600", "-c", "4", "-T", "1"];
    let load = Client::program(&lab.network, "dnsperf", &load).start();
    let start = Instant::now();
    // A new file in the place of the old one, and the signal that takes it up at once; each as soon as the
    // one before is in force. Memory is compared over the second half, when the tables of queries are full.
    let (mut reloads, mut half, mut half_at) = (0, 0, 0);
    while reloads < RELOADS && start.elapsed() < LONGEST {
        let before = loads.load(Ordering::Relaxed);
        reloads += 1;
        replace(&rules, list(&lab.suffix, reloads));
        kill(process, Signal::SIGHUP).expect("the sensor is gone");
        until("the lists are loaded again", || loads.load(Ordering::Relaxed) > before);
        if half == 0 && (reloads >= RELOADS / 2 || start.elapsed() > LONGEST / 2) {
            (half, half_at) = (resident(sensor.id()), reloads);
        }
    }
    let end = resident(sensor.id());
    let seconds = start.elapsed().as_secs_f64();
    kill(Pid::from_raw(load.pid().cast_signed()), Signal::SIGINT).expect("dnsperf is gone");
    let run = load.wait();
    kill(process, Signal::SIGTERM).expect("the sensor is gone");
    let tally = reader.join().expect("the reader panicked");
    assert!(ended(&mut sensor).success());

    let sent = statistic(&String::from_utf8_lossy(&run.output.stdout), "Queries sent:");
    let stop = &Document::lines(&tally.last)[0];
    let counted = stop.number("dnstrail.loss.kernel_packet_ring.total");
    println!(
        "{reloads} reloads in {seconds:.1} s under {sent} queries: {} told, {counted} counted as lost, {} alerts, {} of {} \
         answers labelled; {} KiB resident after {half_at}, {} KiB at the end",
        tally.queries,
        tally.alerts,
        tally.labelled,
        tally.answers,
        half / 1024,
        end / 1024
    );
    assert!(tally.queries >= 1_000, "{}", tally.queries);
    assert!(sent - tally.queries <= counted, "{sent} sent, {} told, {counted} counted as lost", tally.queries);
    assert_eq!((tally.alerts, tally.labelled), (tally.queries, tally.answers));
    assert!(reloads >= 50, "{reloads} reloads");
    let mut versions: Vec<&Document> = Vec::new();
    for load in &tally.loads {
        load.has(&[("event.outcome", "success")]);
        assert!(load.number("event.duration") > 0);
        assert_eq!(load.number("dnstrail.rules.names"), OTHERS as u64 + 1);
        assert_eq!(load.number("dnstrail.rules.skipped"), 1);
        let of = |load: &Document| load.get("dnstrail.rules.lists").expect("lists")[0]["version"].clone();
        assert!(of(load).as_str().is_some_and(|version| !version.is_empty()), "{load:?}");
        if versions.last().is_none_or(|last| of(last) != of(load)) {
            versions.push(load);
        }
    }
    // A change that was noticed by itself at the same moment may have taken two contents at once.
    assert!(versions.len() as u64 * 10 >= reloads * 9, "{} contents of {reloads} were in force", versions.len());
    assert!(end < half + SLACK, "{half} bytes resident, then {end}");
}

/// A way to spoil a list, and what the stream then says.
type Spoil = (&'static str, fn(&Path), &'static str);

const SPOILS: &[Spoil] = &[
    ("binary", |path| replace(path, b"\x7fELF\x02\x01\x01\0\0\0\0"), "binary"),
    ("empty", |path| replace(path, ""), "is empty"),
    ("gone", |path| fs::remove_file(path).expect("a list"), "cannot be read"),
    ("1 GB of one line", |path| File::create(path).and_then(|file| file.set_len(1 << 30)).expect("a list"), "binary"),
    ("an error page", |path| replace(path, "<html>\n<body>Not found</body>\n</html>\n"), "no known format"),
    ("a line without end", |path| replace(path, ["first.example\n", &"a".repeat(40 << 20)].concat()), "16 MiB"),
];

#[test]
fn live_spoilt_lists_are_reported_and_the_last_good_one_stays() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let rules = lab.path("list.txt");
    replace(&rules, format!("{}\n", lab.suffix));
    let sensor = Sensor::start(&lab, &["--rules", &rules.to_string_lossy()]);
    let mut asked = Vec::new();
    for (at, (what, spoil, reason)) in SPOILS.iter().enumerate() {
        spoil(&rules);
        let told = |documents: &[Document]| {
            let load = documents.iter().rfind(|document| document.action() == "rules-loaded");
            load.is_some_and(|load| {
                let list = &load.get("dnstrail.rules.lists").expect("lists")[0];
                list["error"].as_str().is_some_and(|error| error.contains(reason)) && list["names"] == 1
            })
        };
        sensor.until_written(&format!("{what}: it is told"), told);
        let name = lab.name(&format!("n{at}"));
        Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
        asked.push(name);
    }
    replace(&rules, format!("{}\nanother.example\n", lab.suffix));
    sensor.until_written("the mended list is in force", |documents| {
        let load = documents.iter().rfind(|document| document.action() == "rules-loaded");
        load.is_some_and(|load| load.number("dnstrail.rules.names") == 2)
    });
    let recording = sensor.stop();
    let loads: Vec<_> = recording.documents.iter().filter(|document| document.action() == "rules-loaded").collect();
    assert_eq!(loads.iter().filter(|load| load.text("event.outcome") == "success").count(), 2);
    for name in asked {
        let query = recording.below(&name).into_iter().find(|document| document.action() == "dns-query");
        query.unwrap_or_else(|| panic!("no query for {name}")).has(&[("event.kind", "alert"), ("rule.id", "list")]);
    }
}

#[test]
fn live_alert_window_counts_what_one_process_repeats() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let (names, rules) = (lab.path("names"), lab.path("list.txt"));
    fs::write(&names, format!("{} A\n", lab.name("www"))).expect("names for dnsperf");
    replace(&rules, format!("{}\n{ADDRESS_V4}\n", lab.suffix));
    let sensor = Sensor::start(&lab, &["--rules", &rules.to_string_lossy(), "--alert-window", "1.5"]);
    let load = ["-s", "127.0.0.1", "-d", &names.to_string_lossy(), "-Q", "40", "-l", "3", "-c", "1", "-T", "1"];
    let run = Client::program(&lab.network, "dnsperf", &load).run();
    let recording = sensor.stop();
    let told = recording.below(&lab.suffix);
    let summaries: Vec<_> =
        recording.documents.iter().filter(|document| document.action() == "alert-summary").collect();
    // The name by its queries, the address by the answers.
    for (action, field) in [("dns-query", "dns.question.name"), ("dns-answer", "dns.resolved_ip")] {
        let all: Vec<_> = told.iter().filter(|document| document.action() == action).collect();
        let alerts = all.iter().filter(|document| document.text("event.kind") == "alert").count();
        let of = |document: &&&Document| {
            document.get("threat.enrichments").expect("enrichments")[0]["matched"]["field"] == field
        };
        let repeats: u64 = summaries.iter().filter(of).map(|summary| summary.number("dnstrail.alert.repeats")).sum();
        assert!((2..=4).contains(&alerts), "{alerts} alerts of {} {action}", all.len());
        assert_eq!(alerts as u64 + repeats, all.len() as u64, "{action}");
        assert_eq!(all[0].text("event.kind"), "alert");
    }
    for summary in &summaries {
        summary.has(&[("event.kind", "alert"), ("process.name", "dnsperf"), ("rule.id", "list")]);
        assert_eq!(summary.number("process.pid"), u64::from(run.pid));
        assert!(summary.number("event.duration") < 1_500_000_000, "{summary:?}");
    }
    let stop = recording.documents.last().expect("a stop document");
    let total: u64 = summaries.iter().map(|summary| summary.number("dnstrail.alert.repeats")).sum();
    assert_eq!(stop.number("dnstrail.traffic.alert_repeats"), total);
}
