//! Events by hand through the whole chain, and the documents that come out.

mod alerts;
mod answers;
mod connections;
mod hostile;
mod processes;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dnstrail::dns::Message;
use dnstrail::event::{Direction, Event, Packet, ProcessRecord, Task, TaskKey};
use dnstrail::host::Host;
use dnstrail::journal::{Body, Losses, Report};
use dnstrail::metrics::Metrics;
use dnstrail::net::Transport;
use dnstrail::pipeline::Pipeline;
use dnstrail::rules::Rules;
use dnstrail::sighting::dns::Occurrence;
use dnstrail::sighting::{Document, Emit, Settings};

use crate::dns::{ANSWER, Builder, QUERY, name};

pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1_700_000_000 * SECOND;
pub const CLIENT: &str = "192.0.2.1:40000";
pub const SERVER: &str = "192.0.2.53:53";

/// What a document said, kept beyond it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub time: u64,
    /// `query`, `answer`, `late`, `duplicate`, `late duplicate`, `timeout`, or the name of a loss.
    pub what: String,
    /// Of the first question, or of the query's.
    pub name: String,
    pub pid: Option<u32>,
    pub tid: Option<u32>,
    pub query_time: Option<u64>,
    pub source: Option<SocketAddr>,
    pub client: Option<SocketAddr>,
    pub transport: Option<Transport>,
    pub bytes: usize,
    pub alert: bool,
    /// Field and entry.
    pub matches: Vec<(String, String)>,
    /// The list of each.
    pub lists: Vec<String>,
}

impl Told {
    fn new(time: u64, body: Body<'_>) -> Self {
        let mut told = Self {
            time,
            what: String::new(),
            name: String::new(),
            pid: None,
            tid: None,
            query_time: None,
            source: None,
            client: None,
            transport: None,
            bytes: 0,
            alert: false,
            matches: Vec::new(),
            lists: Vec::new(),
        };
        let dns = match body {
            Body::Dns(dns) => dns,
            Body::Connection(connection) => {
                told.what = format!("{:?}", connection.event.stage).to_lowercase();
                connection.name.clone_into(&mut told.name);
                told.pid = connection.actor.process.as_ref().map(|process| process.key.pid);
                told.tid = connection.actor.task.map(|task| task.tid);
                told.query_time = Some(connection.resolved);
                told.source = Some(connection.event.source);
                told.matches = connection
                    .matches
                    .iter()
                    .map(|one| (format!("{} {}", one.field.ecs, one.atomic), one.hit.indicator.to_string()))
                    .collect();
                return told;
            }
            Body::Report(Report::Loss { losses }) => {
                told.what = losses
                    .iter()
                    .map(|(name, growth, total)| format!("{name}+{growth}={total}"))
                    .collect::<Vec<_>>()
                    .join(" ");
                return told;
            }
            Body::Report(Report::Stop { reason, .. }) => {
                (*reason).clone_into(&mut told.what);
                return told;
            }
            Body::Report(Report::AlertSummary(summary)) => {
                told.what = format!("{} more: {}", summary.repeats, summary.reason);
                told.pid = summary.actor.process.as_ref().map(|process| process.key.pid);
                told.tid = summary.actor.task.map(|task| task.tid);
                told.query_time = Some(summary.first);
                told.matches = vec![(summary.matched.field.ecs.to_owned(), summary.matched.hit.indicator.to_string())];
                told.lists = vec![summary.matched.hit.list.id.clone()];
                assert!(summary.first <= summary.last && summary.last <= time);
                return told;
            }
            Body::Report(report) => panic!("not expected: {report:?}"),
        };
        let what = match dns.occurrence {
            Occurrence::Query => "query",
            Occurrence::Answer { late: false, duplicate: false, .. } => "answer",
            Occurrence::Answer { late: true, duplicate: false, .. } => "late",
            Occurrence::Answer { late: false, duplicate: true, .. } => "duplicate",
            Occurrence::Answer { late: true, duplicate: true, .. } => "late duplicate",
            Occurrence::Timeout { .. } => "timeout",
        };
        what.clone_into(&mut told.what);
        told.query_time = match dns.occurrence {
            Occurrence::Query => None,
            Occurrence::Answer { query_time, .. } => query_time,
            Occurrence::Timeout { query_time } => Some(query_time),
        };
        let asked = |message: &Message| message.questions().next().map(|question| question.name.to_owned());
        told.name = asked(dns.message).or_else(|| asked(dns.query?)).unwrap_or_default();
        told.pid = dns.actor.process.as_ref().map(|process| process.key.pid);
        told.tid = dns.actor.task.map(|task| task.tid);
        told.source = Some(dns.source);
        told.client = Some(if dns.source_is_client { dns.source } else { dns.destination });
        told.transport = Some(dns.transport);
        told.bytes = dns.message_bytes;
        told.alert = dns.alert;
        told.matches =
            dns.matches.iter().map(|one| (one.field.ecs.to_owned(), one.hit.indicator.to_string())).collect();
        told.lists = dns.matches.iter().map(|one| one.hit.list.id.clone()).collect();
        told
    }
}

/// A pipeline, with what it said since the last look.
pub struct Scene {
    pub pipeline: Pipeline,
    pub metrics: Arc<Metrics>,
    stream: Stream,
}

/// The documents since the last look.
struct Stream {
    told: Vec<Told>,
    losses: Losses,
    metrics: Arc<Metrics>,
}

impl Emit for Stream {
    fn emit(&mut self, time: u64, document: Document<'_>) {
        self.told.push(Told::new(time, document.into()));
    }

    fn tick(&mut self, now: u64) {
        if let Some(report) = self.losses.report(&self.metrics) {
            self.told.push(Told::new(now, Body::Report(report)));
        }
    }
}

impl Scene {
    pub fn new() -> Self {
        Self::with(&Settings::default(), Arc::default())
    }

    pub fn with(settings: &Settings, rules: Arc<Rules>) -> Self {
        let metrics = Arc::new(Metrics::default());
        let pipeline = Pipeline::new(settings, Host::default(), rules, Arc::clone(&metrics));
        let stream = Stream { told: Vec::new(), losses: Losses::default(), metrics: Arc::clone(&metrics) };
        Self { pipeline, metrics, stream }
    }

    pub fn push(&mut self, event: &Event<'_>) {
        self.pipeline.push(event, &mut self.stream);
    }

    pub fn tick(&mut self, now: u64) {
        self.pipeline.tick(now, &mut self.stream);
    }

    pub fn finish(&mut self, now: u64) {
        self.pipeline.finish(now, &mut self.stream);
        self.stream.tick(now);
    }

    /// An exec of `/bin/<pid>`.
    pub fn exec(&mut self, process: TaskKey) {
        let executable = format!("{}\0bin\0", process.pid);
        self.push(&Event::Process(ProcessRecord { executable: executable.as_bytes(), ..record(process) }));
    }

    /// The documents since the last look.
    pub fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.stream.told)
    }

    /// The same, as far as there is one document.
    pub fn one(&mut self) -> Told {
        let mut told = self.told();
        assert_eq!(told.len(), 1, "{told:#?}");
        told.remove(0)
    }
}

/// A packet to be varied and pushed.
#[derive(Clone)]
pub struct Sent {
    pub time: u64,
    pub direction: Option<Direction>,
    pub task: Option<Task>,
    pub network_namespace: u32,
    pub bytes: Vec<u8>,
}

impl Sent {
    pub fn to(self, scene: &mut Scene) {
        scene.push(&Event::Packet(Packet {
            time: self.time,
            direction: self.direction,
            task: self.task,
            socket: 0,
            network_namespace: self.network_namespace,
            length: u32::try_from(self.bytes.len()).unwrap(),
            bytes: &self.bytes,
            ..Packet::default()
        }));
    }

    pub fn at(self, time: u64) -> Self {
        Self { time, ..self }
    }

    pub fn by(self, pid: u32) -> Self {
        Self { task: Some(task(pid)), ..self }
    }

    pub fn direction(self, direction: Option<Direction>) -> Self {
        Self { direction, ..self }
    }
}

/// From the client.
pub fn egress(source: &str, destination: &str, message: &[u8]) -> Sent {
    let bytes = udp(source.parse().unwrap(), destination.parse().unwrap(), message);
    Sent { time: START, direction: Some(Direction::Egress), task: None, network_namespace: 1, bytes }
}

/// To the client.
pub fn ingress(source: &str, destination: &str, message: &[u8]) -> Sent {
    egress(source, destination, message).direction(Some(Direction::Ingress))
}

pub fn query(id: u16, text: &str) -> Vec<u8> {
    Builder::new(id, QUERY).question(&name(text), 1, 1).0
}

pub fn answer(id: u16, text: &str) -> Builder {
    Builder::new(id, ANSWER).question(&name(text), 1, 1)
}

pub fn key(pid: u32) -> TaskKey {
    TaskKey { pid, exec_id: 1, start: 1 }
}

pub fn task(pid: u32) -> Task {
    Task { process: key(pid), tid: pid + 1000, uid: 0, gid: 0, name: *b"resolver\0\0\0\0\0\0\0\0" }
}

pub fn record(process: TaskKey) -> ProcessRecord<'static> {
    ProcessRecord {
        time: START,
        process,
        parent: None,
        at_exec: true,
        deleted: false,
        path_cut: false,
        has_arguments: true,
        kernel_thread: false,
        uid: 0,
        gid: 0,
        namespace_pid: process.pid,
        pid_namespace: 1,
        mount_namespace: 1,
        network_namespace: 1,
        name: [0; 16],
        parent_name: [0; 16],
        executable: b"curl\0bin\0",
        working_directory: b"",
        cgroup: b"",
        arguments: b"curl\0",
        arguments_total: 5,
        ..ProcessRecord::default()
    }
}

pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap();
    let mut bytes = [source.port(), destination.port(), length, 0].map(u16::to_be_bytes).concat();
    bytes.extend(payload);
    ip(source.ip(), destination.ip(), 17, &bytes)
}

pub fn tcp(source: SocketAddr, destination: SocketAddr, sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [source.port(), destination.port()].map(u16::to_be_bytes).concat();
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
    bytes.extend(payload);
    ip(source.ip(), destination.ip(), 6, &bytes)
}

fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap();
    let mut bytes = Vec::new();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((length + 20).to_be_bytes());
            bytes.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend(length.to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(source.octets());
            bytes.extend(destination.octets());
        }
        _ => panic!("two families"),
    }
    bytes.extend(payload);
    bytes
}
