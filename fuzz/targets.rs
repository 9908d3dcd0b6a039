//! The readers of foreign bytes, each as a function that must return for any bytes.

use std::cell::RefCell;
use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dnstrail::cli::{RunArgs, config};
use dnstrail::dns::{Kind, Message};
use dnstrail::event::{self, Clock};
use dnstrail::metrics::Metrics;
use dnstrail::net::{FlowKey, Payload, Reassembler, Streams, Tcp};
use dnstrail::replay::Capture;
use dnstrail::rules;
use dnstrail::sighting::dns::LengthPrefix;
use dnstrail::view::{Lines, Trail};

pub type Target = fn(&[u8]);

/// Every target by its name, which is also the folder of its corpus.
pub const TARGETS: [(&str, Target); 18] = [
    ("packet", packet),
    ("stream", stream),
    ("dns", dns),
    ("record", record),
    ("pcap", capture),
    ("pcapng", capture),
    ("hosts", |bytes| list("hosts", bytes)),
    ("plain", |bytes| list("plain", bytes)),
    ("adblock", |bytes| list("adblock", bytes)),
    ("dnsmasq", |bytes| list("dnsmasq", bytes)),
    ("unbound", |bytes| list("unbound", bytes)),
    ("rpz", |bytes| list("rpz", bytes)),
    ("bind", |bytes| list("bind", bytes)),
    ("json", |bytes| list("json", bytes)),
    ("csv", |bytes| list("csv", bytes)),
    ("manifest", manifest),
    ("config", configuration),
    ("trail", trail),
];

/// A sequence of pieces, each behind its length in two bytes.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (piece, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        bytes = rest;
        Some(piece)
    })
}

/// Packets one after the other, so that fragments meet.
fn packet(bytes: &[u8]) {
    let mut reassembler = Reassembler::new(Arc::new(Metrics::default()));
    for (time, piece) in (0..).zip(pieces(bytes)) {
        if let Ok(Some(segment)) = reassembler.parse(time * 1_000_000_000, piece)
            && let Payload::Udp(payload) = segment.payload
        {
            assert!(payload.len() <= 65_535);
        }
    }
    reassembler.finish();
}

/// Segments of two directions of one connection: flags, an offset near the start, and bytes.
fn stream(bytes: &[u8]) {
    let mut streams = Streams::<LengthPrefix>::new(Arc::new(Metrics::default()));
    let sockets = ["192.0.2.1:4000", "192.0.2.2:53"].map(|socket| socket.parse::<SocketAddr>().expect("a socket"));
    let mut time = 0;
    for piece in pieces(bytes) {
        let Some(([flags, low, high], bytes)) = piece.split_first_chunk::<3>() else { continue };
        let is = |bit: u8| flags & (1 << bit) != 0;
        let [source, destination] = if is(3) { sockets } else { [sockets[1], sockets[0]] };
        let key = FlowKey { source, destination, network_namespace: 0, ingress: is(4) };
        let sequence = u32::from(u16::from_le_bytes([*low, *high])).wrapping_sub(256);
        time += 1_000_000 << (flags >> 5 << 1);
        let urgent = (flags & 0b110_0000 == 0b110_0000).then(|| sequence.wrapping_add(u32::from(*low)));
        let segment = Tcp { sequence, syn: is(0), fin: is(1), rst: is(2), urgent, bytes };
        streams.push(&key, time, (&segment, ()), |message, ()| message_of_stream(message));
        streams.expire(time, |_, message| message_of_stream(message));
    }
    streams.finish(|_, message| message_of_stream(message));
}

fn message_of_stream(message: &[u8]) {
    assert!(message.len() <= 65_535);
}

/// The first byte chooses the protocol.
fn dns(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut message = Message::default();
    if message.decode(bytes, Kind::of_port([53, 5353, 5355][usize::from(first % 3)])).is_ok() {
        message.questions().for_each(|question| assert!(question.name.len() < 4096));
        message.records().for_each(drop);
        message.addresses().for_each(drop);
        message.extended_errors().for_each(drop);
    }
}

/// A record of the ring.
fn record(bytes: &[u8]) {
    let _ = event::process_record_length(bytes);
    let _ = event::decode(bytes, Clock { epoch: 1 });
}

thread_local! {
    /// A file in memory for readers that want a path. It is written anew for each input.
    static FILE: RefCell<Option<(File, PathBuf)>> = const { RefCell::new(None) };
}

/// Runs a reader on a file in memory with these bytes; its name has the given ending.
fn with_file(ending: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    FILE.with_borrow_mut(|file| {
        let (file, path) = file.get_or_insert_with(|| {
            let path = PathBuf::from(format!("/dev/shm/dnstrail-fuzz-{}{ending}", std::process::id()));
            (File::create(&path).expect("a file in memory"), path)
        });
        file.set_len(0).and_then(|()| file.write_all_at(bytes, 0)).expect("room in memory");
        read(path);
    });
}

fn capture(bytes: &[u8]) {
    with_file("", bytes, |path| {
        if let Ok(mut capture) = Capture::open(path, Arc::new(Metrics::default())) {
            let _ = capture.for_each(|event| {
                std::hint::black_box(format!("{event:?}"));
            });
        }
    });
}

/// A list whose format is forced, as a rules.toml can.
fn list(format: &str, bytes: &[u8]) {
    with_file("", bytes, |path| {
        let manifest = path.with_extension("toml");
        if !manifest.exists() {
            let text = format!("[[list]]\nid = \"fuzz\"\npath = \"{}\"\nformat = \"{format}\"\n", path.display());
            std::fs::write(&manifest, text).expect("room in memory");
        }
        let load = rules::load(&[manifest], None);
        drop(load.rules.matches_of_name("www.evil.example"));
    });
}

fn manifest(bytes: &[u8]) {
    with_file(".toml", bytes, |path| drop(rules::load(&[path.to_owned()], None)));
}

fn configuration(bytes: &[u8]) {
    with_file(".toml", bytes, |path| {
        let args = RunArgs { config: Some(path.to_owned()), ..RunArgs::default() };
        drop(config::Run::new(args).map_err(|error| error.to_string()));
    });
}

fn trail(bytes: &[u8]) {
    let indicators = ["www.evil.example", "192.0.2.0/24"].map(|text| text.parse().expect("an indicator"));
    with_file(".json", bytes, |path| {
        let mut lines = Lines::open(path).expect("it is there");
        let mut trail = Trail::new(indicators.into());
        let _ = trail.read(&mut lines, false, &mut std::io::sink());
    });
}
