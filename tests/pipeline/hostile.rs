//! Any input at all: nothing panics, tables keep their bounds, and the counts add up.

use super::*;
use dnstrail::event::{Command, Exit, Fork, MuteReason};
use dnstrail::process;
use dnstrail::sighting::dns::{PENDING, SETTLED};
use proptest::prelude::*;

/// Each packet is a document, or a counted loss, or of no interest.
fn adds_up(scene: &mut Scene) {
    let shown = scene.shown();
    let count = |what: &[&str]| shown.iter().filter(|one| what.contains(&&*one.what)).count() as u64;
    let timeouts = count(&["timeout"]);
    let messages = count(&["query", "answer", "late", "duplicate", "late duplicate"]);
    assert_eq!(messages, scene.metrics.traffic.messages.get());
    let unreadable = scene.metrics.traffic.messages_unreadable.get();
    assert_eq!(count(&["malformed"]) + scene.metrics.losses.message_invalid.get(), unreadable);
    let losses = &scene.metrics.losses;
    scene.pipeline.publish();
    let pending = scene.metrics.levels.transactions_waiting.get();
    assert!(timeouts + losses.transaction_evicted.get() + pending <= count(&["query"]));
    // The last report of each loss gives its total.
    for (name, _, total) in losses.each().filter(|(_, _, total)| *total > 0) {
        let last = shown.iter().rev().find_map(|one| {
            one.what.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('+')?.split_once('='))
        });
        assert_eq!(last.map(|(_, total)| total.parse()), Some(Ok(total)), "{name}");
    }
}

#[test]
fn every_byte_flipped_and_every_length() {
    let mut scene = Scene::new();
    scene.exec(key(7));
    let packets = [
        egress(CLIENT, SERVER, &query(1, "www.example.com")),
        ingress(
            SERVER,
            CLIENT,
            &answer(1, "www.example.com").answer(5, b"\x03cdn\xc0\x10").answer(1, &[192, 0, 2, 1]).0,
        ),
        egress("[2001:db8::1]:4000", "[2001:db8::53]:53", &query(2, "a.example")),
    ];
    let mut sent = 0;
    for packet in packets {
        for at in 0..packet.bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut bytes = packet.bytes.clone();
                bytes[at] ^= flip;
                Sent { bytes, ..packet.clone() }.by(7).at(START + sent).to(&mut scene);
                sent += 1;
            }
            Sent { bytes: packet.bytes[..at].to_vec(), ..packet.clone() }.by(7).at(START + sent).to(&mut scene);
            sent += 1;
        }
    }
    assert_eq!(scene.metrics.traffic.packets.get(), sent);
    scene.finish(START + 3600 * SECOND);
    adds_up(&mut scene);
}

#[test]
fn floods_stay_within_bounds() {
    let mut scene = Scene::new();
    scene.exec(key(1));
    let flood = u32::try_from(PENDING).unwrap() + 10_000;
    for number in 0..flood {
        scene.push(&Event::Fork(Fork {
            time: START,
            child: key(number + 2),
            parent: key(1),
            namespace_pid: number + 2,
        }));
        let source = format!("10.{}.{}.{}:4000", number >> 16, number >> 8 & 255, number & 255);
        egress(&source, SERVER, &query(1, "a.example")).by(number + 2).to(&mut scene);
    }
    scene.pipeline.publish();
    let levels = &scene.metrics.levels;
    assert_eq!((levels.transactions_waiting.get(), levels.transactions_settled.get()), (PENDING as u64, 0));
    assert_eq!(scene.metrics.losses.transaction_evicted.get(), 10_000);
    assert_eq!(levels.processes_live.get(), process::LIVE as u64);
    for number in 0..flood {
        scene.push(&Event::Exit(Exit { time: START, process: key(number + 2), code: 0 }));
    }
    scene.pipeline.publish();
    assert!(scene.metrics.levels.processes_retired.get() <= process::RETIRED as u64);
    scene.finish(START + 60 * SECOND);
    scene.pipeline.publish();
    let levels = &scene.metrics.levels;
    assert_eq!((levels.transactions_waiting.get(), levels.transactions_settled.get()), (0, SETTLED as u64));
    adds_up(&mut scene);
}

/// 40,000 processes with large command lines, whose queries have 64 listed names each and get no answer.
#[test]
fn listed_queries_keep_a_bounded_number_of_bytes() {
    const QUERIES: u32 = 40_000;
    const NAMES: usize = 64;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("list.txt"), "evil.example\nexample\n").unwrap();
    let rules = dnstrail::rules::load(&[directory.path().to_owned()], None).complete().unwrap().rules;
    let settings = Settings { alert_window: 600 * SECOND, ..Settings::default() };
    let mut scene = Scene::with(&settings, rules);
    let arguments = [b'x'; 8_000];
    let mut message = Builder::new(1, QUERY);
    for number in 0..NAMES {
        message = message.question(&name(&format!("host-{number}.evil.example")), 1, 1);
    }
    for number in 0..QUERIES {
        let process = key(number + 2);
        scene.push(&Event::Process(ProcessRecord {
            executable: b"x\0bin\0",
            has_arguments: true,
            arguments: &arguments,
            arguments_total: 8_000,
            ..record(process)
        }));
        let source = format!("10.{}.{}.{}:4000", number >> 16, number >> 8 & 255, number & 255);
        egress(&source, SERVER, &message.0).by(number + 2).to(&mut scene);
        scene.shown();
    }
    scene.pipeline.publish();
    let levels = &scene.metrics.levels;
    assert_eq!(levels.transactions_waiting.get(), u64::from(QUERIES));
    let memory = &scene.metrics.memory;
    for table in [&memory.labels, &memory.query_images, &memory.windows, &memory.queries, &memory.processes] {
        let bytes = table.bytes();
        assert!(bytes > 1 << 20 && bytes <= table.bound() + (1 << 17), "{bytes} bytes of {}", table.bound());
    }
    // Nothing is lost but images, and that is counted; each query without an answer is still emitted.
    scene.tick(START + 60 * SECOND);
    assert_eq!(scene.shown().iter().filter(|one| one.what == "timeout").count(), QUERIES as usize);
    scene.pipeline.publish();
    scene.finish(START + 120 * SECOND);
    scene.pipeline.publish();
    assert_eq!(scene.metrics.memory.windows.bytes(), 0);
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let names = prop::sample::select(vec!["a.example", "b.example", "", "\u{e4}.example"]);
    prop_oneof![
        4 => (0..3u16, names.clone()).prop_map(|(id, name)| query(id, name)),
        4 => (0..3u16, names).prop_map(|(id, name)| answer(id, name).answer(1, &[192, 0, 2, 1]).0),
        1 => prop::collection::vec(any::<u8>(), 0..80),
    ]
}

fn sockets() -> impl Strategy<Value = SocketAddr> {
    let list =
        ["192.0.2.1:53", "192.0.2.1:5353", "192.0.2.2:4000", "224.0.0.251:5353", "192.0.2.3:53", "192.0.2.2:5355"];
    prop::sample::select(list.map(|text| text.parse().unwrap()).to_vec())
}

#[derive(Debug, Clone)]
enum Anything {
    Udp(SocketAddr, SocketAddr, Vec<u8>),
    Tcp(SocketAddr, SocketAddr, u32, u8, Vec<u8>),
    Bytes(Vec<u8>),
    Exec(TaskKey),
    Fork(TaskKey, TaskKey),
    Exit(TaskKey),
    Tick,
    Wind(i64),
}

fn keys() -> impl Strategy<Value = TaskKey> {
    (0..4u32, 0..3u32, 0..2u64).prop_map(|(pid, exec_id, start)| TaskKey { pid, exec_id, start })
}

fn anything() -> impl Strategy<Value = Anything> {
    prop_oneof![
        6 => (sockets(), sockets(), messages()).prop_map(|(one, other, bytes)| Anything::Udp(one, other, bytes)),
        4 => (sockets(), sockets(), 0..200u32, any::<u8>(), messages())
            .prop_map(|(one, other, sequence, flags, bytes)| Anything::Tcp(one, other, sequence, flags, bytes)),
        1 => prop::collection::vec(any::<u8>(), 0..100).prop_map(Anything::Bytes),
        1 => keys().prop_map(Anything::Exec),
        1 => (keys(), keys()).prop_map(|(one, other)| Anything::Fork(one, other)),
        1 => keys().prop_map(Anything::Exit),
        1 => Just(Anything::Tick),
        1 => any::<i64>().prop_map(Anything::Wind),
    ]
}

proptest! {
    #![proptest_config(crate::dns::property())]

    #[test]
    fn any_events_in_any_order(
        events in prop::collection::vec((anything(), 0..3u8, prop::option::of(keys())), 0..150)
    ) {
        let mut scene = Scene::new();
        let mut now = START;
        for (event, direction, process) in events {
            now = now.saturating_add(SECOND / 2);
            let direction = [None, Some(Direction::Egress), Some(Direction::Ingress)][usize::from(direction)];
            let task = process.map(|process| Task { process, ..task(1) });
            let send = |bytes| Sent { time: now, direction, task, network_namespace: 1, bytes };
            match event {
                Anything::Udp(one, other, bytes) => send(udp(one, other, &bytes)).to(&mut scene),
                Anything::Tcp(one, other, sequence, flags, bytes) => {
                    send(tcp(one, other, sequence, flags, &bytes)).to(&mut scene);
                }
                Anything::Bytes(bytes) => send(bytes).to(&mut scene),
                Anything::Exec(key) => scene.exec(key),
                Anything::Fork(child, parent) => {
                    scene.push(&Event::Fork(Fork { time: now, child, parent, namespace_pid: 1 }));
                }
                Anything::Exit(process) => scene.push(&Event::Exit(Exit { time: now, process, code: 0 })),
                Anything::Tick => scene.tick(now),
                Anything::Wind(by) => now = now.saturating_add_signed(by),
            }
        }
        scene.finish(now);
        adds_up(&mut scene);
    }
}

#[test]
fn a_connection_that_is_muted_names_its_process() {
    let mut scene = Scene::new();
    scene.exec(key(7));
    let (client, server) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let mut sequence = 500;
    for _ in 0..70 {
        let bytes = tcp(client, server, sequence, 0x18, &[0xee; 1000]);
        sequence += 1000;
        scene.push(&Event::Packet(Packet {
            time: START,
            direction: Some(Direction::Egress),
            task: Some(task(7)),
            socket: 9,
            network_namespace: 1,
            length: u32::try_from(bytes.len()).unwrap(),
            bytes: &bytes,
            ..Packet::default()
        }));
    }
    let muted = Command::Mute { socket: 9, reason: MuteReason::NotDns };
    assert_eq!(scene.pipeline.take_commands().collect::<Vec<_>>(), [muted]);
    scene.tick(START + 2 * SECOND);
    let shown = scene.one();
    assert!(shown.what.contains("kernel_packet_muted+0=0"), "{}", shown.what);
    assert_eq!(shown.pid, Some(7));
}
