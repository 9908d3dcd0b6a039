//! Events by hand through the whole chain, and the documents that come out.

mod alerts;
mod answers;
mod connections;
mod hostile;
mod memory;
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
use dnstrail::sighting::{Culprit, Document, Emit, Marks, Settings};

use crate::dns::{ANSWER, Builder, QUERY, name};

pub const SECOND: u64 = 1_000_000_000;
pub const START: u64 = 1_700_000_000 * SECOND;
pub const CLIENT: &str = "192.0.2.1:40000";
pub const SERVER: &str = "192.0.2.53:53";

/// The content of a document, kept beyond it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub time: u64,
    /// `query`, `answer`, `late`, `duplicate`, `late duplicate`, `timeout`, `malformed`, or the name of a loss.
    pub what: String,
    /// The name of the first question of the message, or of the query.
    pub name: String,
    pub pid: Option<u32>,
    pub tid: Option<u32>,
    pub query_time: Option<u64>,
    pub source: Option<SocketAddr>,
    pub client: Option<SocketAddr>,
    pub transport: Option<Transport>,
    pub marks: Marks,
    pub bytes: usize,
    pub alert: bool,
    /// The field and the entry of each match.
    pub matches: Vec<(String, String)>,
    /// The list of each match.
    pub lists: Vec<String>,
}

impl Shown {
    fn new(time: u64, body: Body<'_>) -> Self {
        let mut shown = Self {
            time,
            what: String::new(),
            name: String::new(),
            pid: None,
            tid: None,
            query_time: None,
            source: None,
            client: None,
            transport: None,
            marks: Marks::default(),
            bytes: 0,
            alert: false,
            matches: Vec::new(),
            lists: Vec::new(),
        };
        let dns = match body {
            Body::Dns(dns) => dns,
            Body::Connection(connection) => {
                shown.what = format!("{:?}", connection.event.stage).to_lowercase();
                connection.name.clone_into(&mut shown.name);
                shown.pid = connection.actor.process.as_ref().map(|process| process.key.pid);
                shown.tid = connection.actor.task.map(|task| task.tid);
                shown.query_time = Some(connection.resolved);
                shown.source = Some(connection.event.source);
                shown.matches = connection
                    .matches
                    .iter()
                    .map(|one| (format!("{} {}", one.field.ecs, one.atomic), one.hit.indicator.to_string()))
                    .collect();
                return shown;
            }
            Body::Report(Report::Loss { losses, culprits }) => {
                shown.what = losses
                    .iter()
                    .map(|(name, growth, total)| format!("{name}+{growth}={total}"))
                    .collect::<Vec<_>>()
                    .join(" ");
                shown.pid = culprits.first().map(|culprit| culprit.key.pid);
                return shown;
            }
            Body::Report(Report::Stop { reason, .. }) => {
                (*reason).clone_into(&mut shown.what);
                return shown;
            }
            Body::Report(Report::AlertSummary(summary)) => {
                shown.what = format!("{} more: {}", summary.repeats, summary.reason);
                shown.pid = summary.actor.process.as_ref().map(|process| process.key.pid);
                shown.tid = summary.actor.task.map(|task| task.tid);
                shown.query_time = Some(summary.first);
                shown.matches = vec![(summary.matched.field.ecs.to_owned(), summary.matched.hit.indicator.to_string())];
                shown.lists = vec![summary.matched.hit.list.id.clone()];
                assert!(summary.first <= summary.last && summary.last <= time);
                return shown;
            }
            Body::Report(other) => panic!("not expected: {other:?}"),
        };
        let what = match dns.occurrence {
            Occurrence::Query => "query",
            Occurrence::Answer { late: false, duplicate: false, .. } => "answer",
            Occurrence::Answer { late: true, duplicate: false, .. } => "late",
            Occurrence::Answer { late: false, duplicate: true, .. } => "duplicate",
            Occurrence::Answer { late: true, duplicate: true, .. } => "late duplicate",
            Occurrence::Timeout { .. } => "timeout",
            Occurrence::Malformed => "malformed",
        };
        what.clone_into(&mut shown.what);
        shown.query_time = match dns.occurrence {
            Occurrence::Query | Occurrence::Malformed => None,
            Occurrence::Answer { query_time, .. } => query_time,
            Occurrence::Timeout { query_time } => Some(query_time),
        };
        let asked = |message: &Message| message.questions().next().map(|question| question.name.to_owned());
        shown.name = asked(dns.message).or_else(|| asked(dns.query?)).unwrap_or_default();
        shown.pid = dns.actor.process.as_ref().map(|process| process.key.pid);
        shown.tid = dns.actor.task.map(|task| task.tid);
        shown.source = Some(dns.source);
        shown.client = Some(if dns.source_is_client { dns.source } else { dns.destination });
        shown.transport = Some(dns.transport);
        shown.marks = dns.marks;
        shown.bytes = dns.message_bytes;
        shown.alert = dns.alert;
        shown.matches =
            dns.matches.iter().map(|one| (one.field.ecs.to_owned(), one.hit.indicator.to_string())).collect();
        shown.lists = dns.matches.iter().map(|one| one.hit.list.id.clone()).collect();
        shown
    }
}

/// A pipeline, with the documents that it emitted since the last look.
pub struct Scene {
    pub pipeline: Pipeline,
    pub metrics: Arc<Metrics>,
    stream: Stream,
}

/// The documents since the last look.
struct Stream {
    shown: Vec<Shown>,
    losses: Losses,
    metrics: Arc<Metrics>,
}

impl Emit for Stream {
    fn emit(&mut self, time: u64, document: Document<'_>) {
        self.shown.push(Shown::new(time, document.into()));
    }

    fn tick(&mut self, now: u64, culprits: &[Culprit]) {
        if let Some(report) = self.losses.report(&self.metrics, culprits) {
            self.shown.push(Shown::new(now, Body::Report(report)));
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
        let stream = Stream { shown: Vec::new(), losses: Losses::default(), metrics: Arc::clone(&metrics) };
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
        self.stream.tick(now, &[]);
    }

    /// An exec of `/bin/<pid>`.
    pub fn exec(&mut self, process: TaskKey) {
        let executable = format!("{}\0bin\0", process.pid);
        self.push(&Event::Process(ProcessRecord { executable: executable.as_bytes(), ..record(process) }));
    }

    /// The documents since the last look.
    pub fn shown(&mut self) -> Vec<Shown> {
        std::mem::take(&mut self.stream.shown)
    }

    /// The document since the last look, where there is one alone.
    pub fn one(&mut self) -> Shown {
        let mut shown = self.shown();
        assert_eq!(shown.len(), 1, "{shown:#?}");
        shown.remove(0)
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

pub fn udp_lite(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    // The checksum covers the header alone.
    let mut bytes = [source.port(), destination.port(), 8, 0].map(u16::to_be_bytes).concat();
    bytes.extend(payload);
    ip(source.ip(), destination.ip(), 136, &bytes)
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
