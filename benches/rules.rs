//! The cost of a rule set of 2,200,000 names: the time to load it, the memory that it keeps and that it needs
//! while it is loaded, a lookup of a name that is not listed (miss) and of one that is (match); and the same
//! for a `HashSet<String>` that is asked for every suffix. A match knows list, line and entry; the copy of
//! them for a document has a figure of its own.

#![allow(clippy::cast_precision_loss)] // times and sizes for people

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use dnstrail::rules::{self, Rules};

#[path = "listed_names.rs"]
mod listed_names;

const NAMES: u32 = 2_200_000;
const LOOKUPS: u32 = 1_000_000;
/// Lookups between two looks at the clock.
const ROUND: usize = 1_000;
/// Loads, and passes over all names: the best counts, for others disturb but never help.
const PASSES: usize = 5;
/// Set for a process that measures one of the two: each has a process of its own, and its own memory.
const CHILD: &str = "DNSTRAIL_BENCH_RULES";

/// Measures in this process, if it was started for that; to be called before anything else.
pub fn child() -> bool {
    let Ok(what) = std::env::var(CHILD) else { return false };
    let (subject, directory) = what.split_once(':').expect("subject:directory");
    let directory = Path::new(directory);
    if subject == "rules" {
        measure(&load_rules(directory));
    } else {
        measure(&load_hash_set(directory));
    }
    true
}

/// Prints the table.
pub fn run() {
    let directory = tempfile::tempdir().expect("a directory for the lists");
    let bytes = write_lists(directory.path());
    println!(
        "{NAMES} names in lists of eight formats ({} MB), one core, warm cache, processor time",
        bytes / 1_000_000
    );
    println!(
        "{:18} {:>8} {:>10} {:>8} {:>9} {:>9} {:>9}",
        "", "load s", "memory MB", "peak MB", "miss ns", "match ns", "entry ns"
    );
    for (subject, title) in [("rules", "rules"), ("set", "HashSet<String>")] {
        let output = Command::new(std::env::current_exe().expect("this program"))
            .env(CHILD, format!("{subject}:{}", directory.path().display()))
            .output()
            .expect("the measuring process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("{title:18} {}", String::from_utf8_lossy(&output.stdout).trim_end());
    }
}

/// Writes the set as lists of all formats; returns their size.
fn write_lists(directory: &Path) -> u64 {
    // Each list, and its share of a hundred names.
    let lists: [(&str, u32); 8] = [
        ("plain.txt", 45),
        ("adblock.txt", 20),
        ("hosts.txt", 20),
        ("dnsmasq.conf", 5),
        ("unbound.conf", 4),
        ("policy.rpz", 4),
        ("indicators.jsonl", 1),
        ("indicators.csv", 1),
    ];
    let mut number = 0;
    let mut bytes = 0;
    for (file, share) in lists {
        let mut text = match file {
            "policy.rpz" => "$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 300\n".to_owned(),
            "indicators.csv" => "host,threat\n".to_owned(),
            _ => "# made up\n".to_owned(),
        };
        let end = number + NAMES / 100 * share;
        while number < end {
            let name = listed_names::name(number);
            let _ = match file {
                "plain.txt" => writeln!(text, "{name}"),
                "adblock.txt" => writeln!(text, "||{name}^"),
                "hosts.txt" => writeln!(text, "0.0.0.0 {name}"),
                "dnsmasq.conf" => writeln!(text, "address=/{name}/#"),
                "unbound.conf" => writeln!(text, "local-zone: \"{name}.\" always_nxdomain"),
                "policy.rpz" => writeln!(text, "{name} CNAME ."),
                "indicators.csv" => writeln!(text, "{name},phishing"),
                _ => writeln!(
                    text,
                    r#"{{"uuid":"{number:08x}-5717-4562-b3fc-2c963f66afa6","source":"feed","value":"{name}","severity":8}}"#
                ),
            };
            number += 1;
        }
        bytes += text.len() as u64;
        fs::write(directory.join(file), text).expect("room for the lists");
    }
    assert_eq!(number, NAMES);
    bytes
}

trait Subject {
    fn hits(&mut self, name: &str) -> usize;

    /// The matches of a name, each with a copy of its entry, as documents need them.
    fn entries(&mut self, name: &str) -> usize {
        self.hits(name)
    }
}

impl Subject for (Rules, Vec<rules::EntryRef>) {
    fn hits(&mut self, name: &str) -> usize {
        self.1.clear();
        self.0.match_name(name, &mut self.1);
        self.1.len()
    }

    fn entries(&mut self, name: &str) -> usize {
        self.hits(name);
        self.1.iter().filter_map(|found| black_box(self.0.entry_of_name(name, *found))).count()
    }
}

impl Subject for HashSet<String> {
    fn hits(&mut self, name: &str) -> usize {
        let mut suffix = Some(name);
        while let Some(name) = suffix {
            if self.contains(name) {
                return 1;
            }
            suffix = name.split_once('.').map(|(_, parent)| parent);
        }
        0
    }
}

fn load_rules(directory: &Path) -> impl Fn() -> (Rules, Vec<rules::EntryRef>) {
    let paths: Vec<PathBuf> = vec![directory.to_owned()];
    move || {
        let load = rules::load(&paths, None).complete().expect("lists that can be read");
        let rules = std::sync::Arc::into_inner(load.rules).expect("no other holder");
        assert_eq!(rules.names(), u64::from(NAMES));
        (rules, Vec::new())
    }
}

/// As simple as can be, and unfairly so: nothing is checked, and no line number is kept.
fn load_hash_set(directory: &Path) -> impl Fn() -> HashSet<String> {
    let directory = directory.to_owned();
    move || {
        let mut names = HashSet::new();
        for file in fs::read_dir(&directory).expect("the lists") {
            for line in BufReader::new(fs::File::open(file.expect("a list").path()).expect("a list")).lines() {
                let line = line.expect("text");
                let words = line.split(['|', '^', ' ', '/', '"', ',']);
                if let Some(name) =
                    words.map(|word| word.trim_end_matches('.')).find(|word| word.contains('.') && *word != "0.0.0.0")
                {
                    names.insert(name.to_owned());
                }
            }
        }
        names
    }
}

fn measure<S: Subject>(load: &impl Fn() -> S) {
    drop(black_box(load())); // warm cache
    let mut best = f64::INFINITY;
    for _ in 1..PASSES {
        let start = Clock::start();
        drop(black_box(load()));
        best = best.min(start.elapsed().as_secs_f64());
    }
    // After other loads: what a reload leaves behind counts.
    let empty = resident("VmRSS:");
    // proc_pid_clear_refs(5): the peak is counted from here.
    fs::write("/proc/self/clear_refs", "5").expect("procfs");
    let start = Clock::start();
    let mut subject = load();
    best = best.min(start.elapsed().as_secs_f64());
    let memory = resident("VmRSS:").saturating_sub(empty);
    let peak = resident("VmHWM:").saturating_sub(empty);

    let spread = |number: u32| number.wrapping_mul(0x9e37_79b1) % NAMES;
    // An exact list among them does not hit below its names, so the names themselves are asked for.
    let listed: Vec<String> = (0..LOOKUPS).map(|number| listed_names::name(spread(number))).collect();
    let unlisted: Vec<String> =
        (0..LOOKUPS).map(|number| format!("www.{}", listed_names::name(NAMES + 1 + number))).collect();
    let miss = nanoseconds(&unlisted, 0, |name| subject.hits(name));
    let hit = nanoseconds(&listed, 1, |name| subject.hits(name));
    let entries = nanoseconds(&listed, 1, |name| subject.entries(name));
    let [memory, peak] = [memory, peak].map(|bytes| bytes / 1_000_000);
    println!("{best:8.2} {memory:>10} {peak:>8} {miss:9.0} {hit:9.0} {entries:9.0}");
}

/// The best pass, by the median of its many short rounds: other programs empty the caches of some rounds.
fn nanoseconds(names: &[String], each: usize, mut look_up: impl FnMut(&str) -> usize) -> f64 {
    let mut pass = || {
        let mut rounds: Vec<f64> = Vec::new();
        for round in names.chunks(ROUND) {
            let start = Clock::start();
            let hits: usize = round.iter().map(|name| look_up(black_box(name))).sum();
            rounds.push(start.elapsed().as_secs_f64() * 1e9 / round.len() as f64);
            assert_eq!(hits, each * round.len());
        }
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    };
    (0..PASSES).map(|_| pass()).fold(f64::INFINITY, f64::min)
}

/// Time on the processor of this thread: others on the host do not count. Everything here runs on one.
struct Clock(Duration);

impl Clock {
    fn start() -> Self {
        Self(Self::now())
    }

    fn elapsed(&self) -> Duration {
        Self::now().saturating_sub(self.0)
    }

    fn now() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock for each thread").into()
    }
}

/// Bytes of memory that this process has (`VmRSS:`), or had at the most (`VmHWM:`).
fn resident(what: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find(|line| line.starts_with(what)).expect("a line");
    line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).expect("kB") * 1024
}
