//! All tables that other programs can fill, filled at once: each keeps its bound, and all of them the memory that
//! the user allows.

use std::fs;

use dnstrail::event::{Connection, ConnectionId, Stage};
use dnstrail::metrics::{MEMORY, Metrics};
use dnstrail::rules;

use super::*;
use crate::support::memory::{is_alone, peak, resident};

/// Listed names of one query.
const NAMES: u32 = 64;

struct Flood {
    pipeline: Pipeline,
    metrics: Arc<Metrics>,
}

impl Flood {
    fn new(memory: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // An entry for each name: matches of one entry are one match.
        let list: Vec<_> = (0..NAMES).map(|number| format!("host-{number}.evil.example\n")).collect();
        fs::write(directory.path().join("list.txt"), list.concat()).unwrap();
        let rules = rules::load(&[directory.path().to_owned()], None).complete().unwrap().rules;
        let metrics = Arc::new(Metrics::new(memory));
        let settings = Settings { alert_window: 600 * SECOND, ..Settings::default() };
        let pipeline = Pipeline::new(&settings, Host::default(), rules, Arc::clone(&metrics));
        Self { pipeline, metrics }
    }

    fn push(&mut self, event: &Event<'_>) {
        self.pipeline.push(event, &mut |_: u64, _: Document<'_>| {});
        self.pipeline.take_commands().for_each(drop);
    }

    fn send(&mut self, sent: &Sent) {
        self.push(&Event::Packet(Packet {
            time: sent.time,
            direction: sent.direction,
            task: sent.task,
            network_namespace: sent.network_namespace,
            length: u32::try_from(sent.bytes.len()).unwrap(),
            bytes: &sent.bytes,
            ..Packet::default()
        }));
    }

    /// A process with a command line of this many bytes.
    fn exec(&mut self, pid: u32, arguments: usize) {
        let arguments = vec![b'x'; arguments];
        let arguments_total = u32::try_from(arguments.len()).unwrap();
        self.push(&Event::Process(ProcessRecord {
            executable: b"x\0bin\0",
            arguments: &arguments,
            arguments_total,
            ..record(key(pid))
        }));
    }

    /// The tables that hold less than `part` of their bound, or more than it.
    fn check(&self, part: usize) {
        self.pipeline.publish();
        for (name, _, table) in self.metrics.memory.each() {
            let (bytes, bound) = (table.bytes(), table.bound());
            println!("{name}: {bytes} of {bound} bytes");
            assert!(bytes <= bound + (bound >> 5), "{name}: {bytes} bytes, and not {bound}");
            assert!(bytes >= bound / part, "{name}: {bytes} bytes of {bound} say nothing");
        }
    }
}

fn client(number: u32) -> String {
    format!("10.{}.{}.{}:4000", number >> 16, number >> 8 & 255, number & 255)
}

/// A query of names that are all listed.
fn listed() -> Vec<u8> {
    let names = (0..NAMES).map(|number| name(&format!("host-{number}.evil.example")));
    names.fold(Builder::new(1, QUERY), |message, name| message.question(&name, 1, 1)).0
}

/// 40,000 queries of 64 listed names each took 1.7 GB (U2).
#[test]
fn queries_of_listed_names_take_little() {
    if !is_alone("pipeline::memory::queries_of_listed_names_take_little") {
        return;
    }
    let mut flood = Flood::new(MEMORY);
    let message = listed();
    for number in 0..40_000 {
        flood.exec(number + 2, 100);
        flood.send(&egress(&client(number), SERVER, &message).by(number + 2));
    }
    flood.pipeline.publish();
    println!("{} bytes at the peak", peak());
    assert!(peak() <= 120_000_000, "{} bytes", peak());
    assert!(flood.metrics.losses.label_evicted.get() > 0);
}

/// Fills every table far beyond its bound.
fn fill(flood: &mut Flood) {
    let listed = listed();
    let mut padded = query(2, "padding.test");
    padded.resize(500, 0);
    for number in 0..100_000_u32 {
        let pid = number + 2;
        flood.exec(pid, 2_000);
        flood.send(&egress(&client(number), SERVER, &padded).by(pid));
        if number.is_multiple_of(4) {
            flood.send(&egress(&client(number), SERVER, &listed).by(pid));
            let address = number.to_be_bytes();
            let mut found = Builder(listed.clone()).answer(1, &[198, address[1], address[2], address[3]]).0;
            found[2] |= 0x80;
            flood.send(&egress(&client(number), "192.0.2.99:53", &listed).by(pid));
            flood.send(&ingress("192.0.2.99:53", &client(number), &found).by(pid));
            connect(flood, pid, IpAddr::from([198, address[1], address[2], address[3]]));
        }
        if number < 20_000 {
            stream(flood, number);
        }
        if number < 1_000 {
            fragment(flood, number);
        }
    }
}

fn connect(flood: &mut Flood, pid: u32, destination: IpAddr) {
    flood.push(&Event::Connection(Connection {
        time: START,
        id: ConnectionId { begin: pid.into(), socket: 1 },
        stage: Stage::Opened,
        task: Some(task(pid)),
        start: START,
        source: CLIENT.parse().unwrap(),
        destination: SocketAddr::new(destination, 443),
        network_namespace: 1,
        sent: 0,
        received: 0,
        error: 0,
    }));
}

/// A segment behind a gap.
fn stream(flood: &mut Flood, number: u32) {
    let (source, destination) = (client(number).parse().unwrap(), SERVER.parse().unwrap());
    for (sequence, flags, bytes) in [(100, 2, &[][..]), (20_000, 0x18, &[0; 8_000])] {
        flood.send(&Sent { bytes: tcp(source, destination, sequence, flags, bytes), ..egress(CLIENT, SERVER, &[]) });
    }
}

/// The second fragment of a datagram whose first never comes.
fn fragment(flood: &mut Flood, number: u32) {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0x20 | 0x1d, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 53];
    bytes[2..4].copy_from_slice(&1_020_u16.to_be_bytes());
    bytes[4..6].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
    bytes.resize(1_020, 0);
    flood.send(&Sent { bytes, ..egress(CLIENT, SERVER, &[]) });
}

fn fills_every_table_and_keeps(memory: usize) {
    let before = resident();
    let mut flood = Flood::new(memory);
    fill(&mut flood);
    flood.check(2);
    let taken = peak() - before;
    println!("{taken} bytes of {memory} at the peak");
    assert!(taken <= memory as u64, "{taken} bytes, and not {memory}");
    let losses = &flood.metrics.losses;
    for (name, count) in [
        ("process_evicted", &losses.process_evicted),
        ("transaction_evicted", &losses.transaction_evicted),
        ("label_evicted", &losses.label_evicted),
        ("query_image_evicted", &losses.query_image_evicted),
        ("window_evicted", &losses.window_evicted),
        ("watch_evicted", &losses.watch_evicted),
        ("connection_evicted", &losses.connection_evicted),
        ("stream_evicted", &losses.stream_evicted),
        ("fragments_expired", &losses.fragments_expired),
    ] {
        assert!(count.get() > 0, "{name}");
    }
}

#[test]
fn all_tables_at_once_keep_the_memory() {
    if is_alone("pipeline::memory::all_tables_at_once_keep_the_memory") {
        fills_every_table_and_keeps(MEMORY);
    }
}

#[test]
fn less_memory_is_kept_as_well() {
    if is_alone("pipeline::memory::less_memory_is_kept_as_well") {
        fills_every_table_and_keeps(96 << 20);
    }
}
