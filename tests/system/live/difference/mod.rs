//! Evasion by difference: every query that a server has in its own log must be in the documents, with the process
//! that asked. Messages and sockets have every shape that a seed gives them, so that the test needs
//! no imagination.
//!
//! `DNSTRAIL_SHAPES=N` asks for N shapes instead of [`SHAPES`], `DNSTRAIL_SHAPE_SECONDS=S` ends after so many seconds
//! at the latest, `DNSTRAIL_SHAPE_SEED=S` asks for the shapes of another seed. A shape that fails is printed with its seed and index: `DNSTRAIL_SHAPE=INDEX` performs it alone.

mod message;
mod random;
mod resolvers;
mod shape;

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::clients::{Client, Run};
use super::lab::{Lab, Network, slowness};
use super::sensor::Sensor;
use resolvers::{Asked, Resolver, SERVERS};
use shape::{Server, Shape};

/// Shapes of an ordinary run.
const SHAPES: u64 = 20_000;

/// Shapes under one run of the sensor: what it writes of them is read at once.
const BLOCK: u64 = 10_000;

/// Clients that perform shapes at a time.
const CLIENTS: usize = 3;

/// The beginnings of the addresses that shapes have.
const CLIENTS_ADDRESSES: [&str; 2] = ["10.54.", "fd54::"];

/// Shapes that a client performs in its life: it must end in time.
const SHARE: usize = 1000;

/// Failing shapes that are printed.
const PRINTED: usize = 20;

/// A class of shapes: its name, and whether a shape belongs to it.
type Class = (&'static str, fn(&Shape) -> bool);

/// Classes of shapes whose failures are counted and tolerated: the kernel side did not see them, or gave them to
/// another process, when they were last looked at. A change that mends one takes it out here.
const NOT_MENDED: [Class; 3] = [
    ("K1: TCP from a port of DNS", |shape| shape.is(&["tcp"]) && shape.is(&["from port 53", "from port 5353 or 5355"])),
    ("K4: TCP bytes that another task sends", |shape| shape.is(&["tcp"]) && shape.is(&HANDED_OVER)),
    ("K6: several datagrams in one send", |shape| shape.is(&["UDP_SEGMENT"])),
];

const HANDED_OVER: [&str; 5] = ["fork", "fork, fork", "fork, exec", "pass", "kill"];

/// The processes that wrote each shape, by its index, with the bytes that each wrote.
type Writers = HashMap<u64, Vec<(u64, Range<usize>)>>;

/// A document's process, names, and whether systemd-resolved asked.
struct Seen {
    pid: Option<u64>,
    names: Vec<String>,
    forwarded: bool,
}

#[test]
fn live_difference_what_servers_were_asked_is_in_the_documents() {
    let seed = number("DNSTRAIL_SHAPE_SEED").unwrap_or(1);
    let lab = Lab::new();
    let other = Network::new();
    lab.network.join(&other);
    routes(&lab, &other);
    let mut resolvers = resolvers::start(&lab, &other);
    let indices = match number("DNSTRAIL_SHAPE") {
        Some(index) => index..index + 1,
        None => 0..number("DNSTRAIL_SHAPES").unwrap_or(SHAPES),
    };
    let (mut failures, mut not_mended) = (Vec::new(), [0; NOT_MENDED.len()]);
    let mut checked = 0;
    let mut from = indices.start;
    let (begin, most) = (Instant::now(), number("DNSTRAIL_SHAPE_SECONDS").map(Duration::from_secs));
    while from < indices.end && most.is_none_or(|most| begin.elapsed() < most) {
        let block = from..indices.end.min(from + BLOCK);
        from = block.end;
        let shapes: HashMap<u64, Shape> = block.map(|index| (index, Shape::new(seed, index, &SERVERS))).collect();
        checked += check(&lab, &mut resolvers, &shapes, &mut failures, &mut not_mended);
    }
    // A server that logs nothing would let everything pass.
    let performed = from - indices.start;
    assert!(checked > performed / 2 || performed < 100, "{checked} log lines");
    println!("{performed} shapes performed, {checked} queries of the servers' logs compared");
    for ((class, _), count) in NOT_MENDED.iter().zip(not_mended) {
        println!("not mended, {class}: {count} queries");
    }
    report(&failures, seed);
    assert!(
        failures.is_empty(),
        "{} queries that servers were asked are not in the documents as asked",
        failures.len()
    );
}

/// Performs the shapes of one run of the sensor; returns how many lines of the servers' logs were compared.
fn check(
    lab: &Lab,
    resolvers: &mut [Resolver],
    shapes: &HashMap<u64, Shape>,
    failures: &mut Vec<String>,
    not_mended: &mut [u64; NOT_MENDED.len()],
) -> u64 {
    for resolver in &mut *resolvers {
        resolver.asked();
    }
    let ready = lab.path("ready");
    let _ = fs::remove_file(&ready);
    let sensor = Sensor::start(lab, &[]);
    let writers = perform(lab, shapes);
    // Servers may still read what the last clients left behind.
    std::thread::sleep(std::time::Duration::from_millis(500).mul_f64(slowness()));
    let recording = sensor.stop_by(nix::sys::signal::Signal::SIGTERM);
    let losses = recording.documents.last().and_then(|stop| stop.get("dnstrail.loss")).cloned().unwrap_or_default();
    println!("losses: {}", counted(&losses));
    let mut seen: HashMap<String, Vec<Seen>> = HashMap::new();
    // dnsmasq answers what calls itself an answer, too.
    let sent = ["dns-query", "dns-answer", "dns-malformed"];
    for document in recording.documents.iter().filter(|document| sent.contains(&document.action())) {
        note(&document.0, &mut seen);
    }
    let pids: HashMap<&str, u64> =
        resolvers.iter().map(|resolver| (resolver.name, u64::from(resolver.running.pid()))).collect();
    let mut checked = 0;
    for resolver in resolvers {
        for asked in resolver.asked() {
            let Some((token, index)) = token_of(&asked.name) else { continue };
            let Some(shape) = shapes.get(&index) else { continue };
            checked += 1;
            // systemd-resolved asks unbound in its turn.
            let forwarded = asked.line.contains(SERVERS[3].v4) || asked.line.contains(SERVERS[3].v6);
            let askers: Vec<u64> =
                if forwarded { vec![pids["systemd-resolved"]] } else { askers(shape, &token, &writers) };
            let documents = seen.get(&token).map_or(&[][..], Vec::as_slice);
            let documents: Vec<&Seen> = documents.iter().filter(|seen| seen.forwarded == forwarded).collect();
            if let Some(problem) = problem(&asked, &askers, &documents) {
                if let Some(class) = NOT_MENDED.iter().position(|(_, holds)| holds(shape)) {
                    not_mended[class] += 1;
                    continue;
                }
                failures.push(format!(
                    "{problem}: {} [{}] {}",
                    asked.server,
                    shape.features.join(", "),
                    describe(shape, &asked)
                ));
            }
        }
    }
    let _ = fs::remove_file(lab.path("documents.json"));
    checked
}

/// The fault of the documents about one line of a server's log.
fn problem(asked: &Asked, askers: &[u64], documents: &[&Seen]) -> Option<String> {
    if documents.is_empty() {
        return Some("no document".into());
    }
    let plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if plain(&asked.name) && !documents.iter().any(|seen| seen.names.contains(&asked.name)) {
        return Some(format!("another name, {:?}", documents[0].names));
    }
    if documents.iter().any(|seen| seen.pid.is_some_and(|pid| askers.contains(&pid))) {
        return None;
    }
    match documents[0].pid {
        Some(pid) => Some(format!("process {pid} instead of {askers:?}")),
        None => Some("no process".into()),
    }
}

/// The processes that wrote the query with this token, or a part of it.
fn askers(shape: &Shape, token: &str, writers: &Writers) -> Vec<u64> {
    let Some((_, query)) = shape.queries.iter().find(|(known, _)| known == token) else { return Vec::new() };
    let parts = writers.get(&shape.index).map_or(&[][..], Vec::as_slice);
    parts.iter().filter(|(_, part)| part.start < query.end && query.start < part.end).map(|(pid, _)| *pid).collect()
}

/// Keeps the names and the process of a document under each token that its names hold.
fn note(document: &Value, seen: &mut HashMap<String, Vec<Seen>>) {
    let text = |path: &[&str]| path.iter().try_fold(document, |value, key| value.get(key));
    let mut names: Vec<String> =
        text(&["dns", "question", "name"]).and_then(Value::as_str).map(str::to_owned).into_iter().collect();
    let hosts = text(&["related", "hosts"]).and_then(Value::as_array).into_iter().flatten();
    names.extend(hosts.filter_map(Value::as_str).map(str::to_owned));
    let pid = text(&["process", "pid"]).and_then(Value::as_u64);
    let mut tokens: Vec<String> = names.iter().filter_map(|name| token_of(name)).map(|(token, _)| token).collect();
    tokens.sort_unstable();
    tokens.dedup();
    let source = text(&["source", "ip"]).and_then(Value::as_str).unwrap_or_default();
    let forwarded = [SERVERS[3].v4, SERVERS[3].v6].contains(&source) && destination_is(document, SERVERS[0]);
    if !forwarded && !CLIENTS_ADDRESSES.iter().any(|start| source.starts_with(start)) {
        return;
    }
    for token in tokens {
        seen.entry(token).or_default().push(Seen { pid, names: names.clone(), forwarded });
    }
}

fn destination_is(document: &Value, server: Server) -> bool {
    let address = document.get("destination").and_then(|end| end.get("ip")).and_then(Value::as_str);
    address.is_some_and(|address| [server.v4, server.v6].contains(&address))
}

/// The token at the start of a name, and the index of its shape.
fn token_of(name: &str) -> Option<(String, u64)> {
    let label = name.split('.').next()?;
    let (index, rest) = label.strip_prefix('x')?.split_once('k')?;
    rest.strip_suffix('z')?;
    Some((label.to_owned(), u64::from_str_radix(index, 16).ok()?))
}

/// Runs the clients, each with its share of some shapes at a time.
fn perform(lab: &Lab, shapes: &HashMap<u64, Shape>) -> Writers {
    let mut indices: Vec<u64> = shapes.keys().copied().collect();
    indices.sort_unstable();
    let mut writers = Writers::new();
    for indices in indices.chunks(CLIENTS * SHARE) {
        let running: Vec<_> = indices
            .chunks(indices.len().div_ceil(CLIENTS))
            .enumerate()
            .map(|(number, indices)| {
                let lines: String = indices.iter().map(|index| shapes[index].line.clone() + "\n").collect();
                let file = lab.path(&format!("shapes-{number}"));
                fs::write(&file, lines).expect("a scratch file");
                Client::new(lab, "shape", &[&file.to_string_lossy()]).start()
            })
            .collect();
        // A full pipe would hold a client up.
        let waiting: Vec<_> = running.into_iter().map(|client| std::thread::spawn(move || client.wait())).collect();
        for client in waiting {
            read_writers(&client.join().expect("a client ends"), &mut writers);
        }
    }
    writers
}

fn read_writers(run: &Run, writers: &mut Writers) {
    assert!(run.output.status.success(), "shape: {}", String::from_utf8_lossy(&run.output.stderr));
    for line in String::from_utf8_lossy(&run.output.stdout).lines() {
        let mut words = line.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).expect("a number");
        let (index, pid) = (number(), number());
        let parts = words.filter_map(|part| {
            let (from, to) = part.split_once('-')?;
            Some((pid, from.parse().ok()?..to.parse().ok()?))
        });
        writers.entry(index).or_default().extend(parts);
    }
}

/// Every address of 10.54.0.0/16 and of fd54::/64 is one of the clients' network, so that each shape has its own;
/// the servers' network has an address for each server.
fn routes(lab: &Lab, other: &Network) {
    lab.network.ip(&["route", "add", "local", "10.54.0.0/16", "dev", "lo"]);
    lab.network.ip(&["-6", "route", "add", "local", "fd54::/64", "dev", "lo"]);
    other.ip(&["route", "add", "10.54.0.0/16", "via", "10.53.0.1"]);
    other.ip(&["-6", "route", "add", "fd54::/64", "via", "fd53::1"]);
    for server in &SERVERS[1..] {
        other.ip(&["address", "add", &format!("{}/24", server.v4), "dev", "veth"]);
        other.ip(&["address", "add", &format!("{}/64", server.v6), "dev", "veth", "nodad"]);
    }
}

fn describe(shape: &Shape, asked: &Asked) -> String {
    let line = if shape.line.len() > 1000 { "(a long line)" } else { &shape.line };
    format!("{}: shape {}: {line}", asked.line, shape.index)
}

fn report(failures: &[String], seed: u64) {
    for failure in failures.iter().take(PRINTED) {
        println!("{failure}");
    }
    if !failures.is_empty() {
        println!(
            "perform one alone: DNSTRAIL_SHAPE_SEED={seed} DNSTRAIL_SHAPE=INDEX cargo test --test system live_difference"
        );
    }
    if let Some(file) = std::env::var_os("DNSTRAIL_SHAPE_FAILURES") {
        fs::write(&file, failures.join("\n") + "\n").expect("the file of failures");
    }
}

/// The losses of a stop document that are not zero.
fn counted(losses: &Value) -> String {
    let each = losses.as_object().into_iter().flatten();
    let counted =
        each.filter_map(|(name, count)| Some((name, count.get("total")?.as_u64().filter(|total| *total > 0)?)));
    counted.map(|(name, total)| format!("{name} {total}")).collect::<Vec<_>>().join(", ")
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} wants a number, not {text:?}")))
}
