//! The cost of bringing a packet to its document (headers, message, query and answer matched,
//! process found, rules asked), and then to its line.

use std::hint::black_box;
use std::sync::Arc;

use dnstrail::event::{Direction, Event, Packet, ProcessRecord, Task, TaskKey};
use dnstrail::host::Host;
use dnstrail::journal;
use dnstrail::pipeline::Pipeline;
use dnstrail::schema::{Agent, Schema, Writer};
use dnstrail::sighting::{Document, Settings};

use super::Bench;

/// Nanoseconds between two lookups: 50,000 a second.
const PACE: u64 = 20_000;

const PROCESS: TaskKey = TaskKey { pid: 7, exec_id: 1, start: 1 };

pub fn bench(bench: &mut Bench) {
    let question = b"\x03www\x07example\x03com\0\0\x01\0\x01";
    let query = [&b"\0\0\x01\0\0\x01\0\0\0\0\0\0"[..], question].concat();
    let mut answer = [&b"\0\0\x81\x80\0\x01\0\x05\0\0\0\0"[..], question].concat();
    answer.extend(b"\xc0\x0c\0\x05\0\x01\0\0\x01\x2c\0\x06\x03cdn\xc0\x10");
    for last in 1..=4 {
        answer.extend(b"\xc0\x2d\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02");
        answer.push(last);
    }

    let mut lookups = Lookups::new();
    let (mut sent, mut returned) = (udp(40_000, 53, &query), udp(53, 40_000, &answer));
    bench.measure("pipeline/query and its answer (2 packets)", || {
        lookups.next(&mut sent, 20, Direction::Egress);
        lookups.next(&mut returned, 22, Direction::Ingress);
        lookups.number += 1;
    });

    let mut lookups = Lookups::writing(100_000);
    bench.measure("pipeline/the same, matched and written", || {
        lookups.next(&mut sent, 20, Direction::Egress);
        lookups.next(&mut returned, 22, Direction::Ingress);
        lookups.number += 1;
    });

    let mut lookups = Lookups::new();
    bench.measure("pipeline/query without answer", || {
        lookups.next(&mut sent, 20, Direction::Egress);
        lookups.number += 1;
    });

    let mut lookups = Lookups::new();
    let mut other = udp(40_000, 443, &query);
    bench.measure("pipeline/packet on another port", || lookups.next(&mut other, 20, Direction::Egress));
}

struct Lookups {
    pipeline: Pipeline,
    number: u64,
    writer: Option<Writer>,
    line: Vec<u8>,
}

impl Lookups {
    fn new() -> Self {
        let mut pipeline = Pipeline::new(&Settings::default(), Host::default(), Arc::default(), Arc::default());
        pipeline.push(&Event::Process(record()), &mut |_, _: Document<'_>| ());
        Self { pipeline, number: 0, writer: None, line: Vec::new() }
    }

    /// With as many listed names in force, none of which is asked for, and every line written.
    fn writing(listed: u32) -> Self {
        let list = tempfile::NamedTempFile::new().expect("a temporary file");
        let names = (0..listed).map(|number| format!("host{number}.listed.test\n")).collect::<Vec<_>>().concat();
        std::fs::write(list.path(), names).expect("a list");
        let rules = dnstrail::rules::load(&[list.path().to_owned()], None).rules;
        let host = Host::read("/".as_ref());
        let mut lookups = Self::new();
        lookups.pipeline.set_rules(rules);
        Self { writer: Some(Writer::new(Schema::Ecs, &host, &Agent::new(&host, "bench"))), ..lookups }
    }

    /// Pushes the packet with the client's port and the id of the next lookup. `port`: where the
    /// client's port stands.
    fn next(&mut self, bytes: &mut [u8], port: usize, direction: Direction) {
        let number = self.number.to_be_bytes();
        bytes[port..port + 2].copy_from_slice(&[0x80 | number[5], number[6]]);
        bytes[28..30].copy_from_slice(&number[6..]);
        let task = Task { process: PROCESS, tid: 7, uid: 0, gid: 0, name: [0; 16] };
        let packet = Packet {
            time: 1_700_000_000_000_000_000 + self.number * PACE,
            direction: Some(direction),
            task: Some(task),
            socket: 1,
            network_namespace: 1,
            length: 0,
            bytes,
            ..Packet::default()
        };
        let Self { pipeline, writer, line, .. } = self;
        pipeline.push(&Event::Packet(packet), &mut |time, document: Document<'_>| {
            line.clear();
            let document = journal::Document { time, sequence: 1, body: document.into() };
            if let Some(writer) = writer {
                document.write(writer, line);
            }
            black_box((document, &line));
        });
    }
}

fn record() -> ProcessRecord<'static> {
    ProcessRecord {
        time: 1,
        process: PROCESS,
        parent: None,
        at_exec: true,
        deleted: false,
        path_cut: false,
        has_arguments: true,
        kernel_thread: false,
        uid: 0,
        gid: 0,
        namespace_pid: 7,
        pid_namespace: 1,
        mount_namespace: 1,
        network_namespace: 1,
        name: [0; 16],
        parent_name: [0; 16],
        executable: b"curl\0bin\0usr\0",
        working_directory: b"",
        cgroup: b"",
        arguments: b"curl\0",
        arguments_total: 5,
        ..ProcessRecord::default()
    }
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 28).expect("a short message");
    let mut bytes = [&[0x45, 0][..], &length.to_be_bytes(), &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
    let (client, server) = ([192, 0, 2, 1], [192, 0, 2, 53]);
    bytes.extend(if destination == 53 || source != 53 { [client, server] } else { [server, client] }.concat());
    bytes.extend([source, destination, length - 20, 0].map(u16::to_be_bytes).concat());
    bytes.extend(payload);
    bytes
}
