//! Captures of every kind: those of other projects (`tests/data`), and bytes built here.

mod commands;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dnstrail::event::Event;
use dnstrail::metrics::Metrics;
use dnstrail::net::{FlowKey, Payload, Reassembler, Streams};
use dnstrail::replay::{Capture, ReplayError};
use dnstrail::sighting::dns::LengthPrefix;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::bytes::{self, Order, UDP, query};

const NANOSECOND: u32 = 0xa1b2_3c4d;
const MICROSECOND: u32 = 0xa1b2_c3d4;

/// Everything that a capture gave.
#[derive(Debug, Default)]
struct Seen {
    frames: u64,
    packets: Vec<(u64, u32, Vec<u8>)>,
    /// Ids of the DNS messages, in order.
    udp: Vec<u16>,
    tcp: Vec<u16>,
    metrics: Arc<Metrics>,
    error: Option<ReplayError>,
}

fn id(message: &[u8]) -> u16 {
    message.first_chunk::<2>().map_or(0, |id| u16::from_be_bytes(*id))
}

fn read(path: &Path) -> Result<Seen, ReplayError> {
    let mut seen = Seen::default();
    let mut capture = Capture::open(path, Arc::clone(&seen.metrics))?;
    let mut packets = Reassembler::new(Arc::clone(&seen.metrics));
    let mut streams = Streams::<LengthPrefix>::new(Arc::clone(&seen.metrics));
    let result = capture.for_each(|event| {
        let Event::Packet(packet) = event else { panic!("{event:?}") };
        assert!(packet.direction.is_none() && packet.task.is_none() && packet.socket == 0);
        seen.packets.push((packet.time, packet.length, packet.bytes.to_vec()));
        let segment = match packets.parse(packet.time, packet.bytes) {
            Ok(Some(segment)) => segment,
            Ok(None) => return,
            Err(error) => {
                seen.metrics.losses.packet_malformed.add(u64::from(error.is_malformed()));
                return;
            }
        };
        if ![53, 5353, 5355].iter().any(|port| [segment.source.port(), segment.destination.port()].contains(port)) {
            return;
        }
        match segment.payload {
            Payload::Udp(message) | Payload::UdpLite(message) => seen.udp.push(id(message)),
            Payload::Tcp(tcp) => {
                let (source, destination) = (segment.source, segment.destination);
                let key = FlowKey { source, destination, network_namespace: 0, ingress: false };
                let _ = streams.push(&key, packet.time, (&tcp, ()), |message, ()| seen.tcp.push(id(message)));
            }
        }
    });
    packets.finish();
    streams.finish(|_, message| seen.tcp.push(id(message)));
    seen.error = result.err();
    seen.frames = capture.frames();
    assert!(matches!(capture.next_event(), Ok(None)), "an error is returned once");
    Ok(seen)
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// Writes `bytes` to a file and reads that as a capture.
fn read_bytes(bytes: &[u8]) -> Result<Seen, ReplayError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read(file.path())
}

fn complete(bytes: &[u8]) -> Seen {
    let seen = read_bytes(bytes).unwrap();
    assert!(seen.error.is_none(), "{:?}", seen.error);
    seen
}

fn ip() -> Vec<u8> {
    bytes::ipv4(UDP, &[], &bytes::udp(&query(7, "example.com")))
}

fn ethernet() -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0x08, 0x00]);
    frame.extend(ip());
    frame
}

/// Frames, messages over UDP and over TCP as tshark counts them (`tests/data/README.md` says how,
/// and of which captures tshark reads less); then bytes of TCP streams that are not there.
#[test]
fn captures_of_other_projects() {
    for (name, frames, udp, tcp, lost) in [
        ("dns6.pcap", 2, 2, 0, 0),
        ("dns6.pcapng", 2, 2, 0, 0),
        ("vlan11.pcap", 133, 82, 0, 0),
        ("frags.pcap", 495, 82, 0, 0),
        ("dnspad.pcap", 1, 1, 0, 0),
        ("dns-badcookie.pcap", 4, 4, 0, 0),
        ("dnssec.pcap", 6, 6, 0, 0),
        ("edns-opts.pcap", 42, 42, 0, 0),
        ("edns-opts.pcap.gz", 42, 42, 0, 0),
        ("truncated_dns.pcap", 1, 1, 0, 0),
        ("bgp-extended-shutdown-msg.pcapng", 1, 0, 0, 0),
        ("dns_tcp.pcap", 11, 0, 2, 0),
        ("dnso1tcp.pcap", 212, 0, 82, 0),
        ("1qtcpnosyn.pcap", 8, 0, 2, 0),
        ("1qtcppadd.pcap", 10, 0, 2, 0),
        ("dnsotcp-many1pkt.pcap", 10, 0, 4, 0),
        ("dnsotcp-manyopkts.pcap", 7, 0, 3, 0),
        ("dnso1tcp-midmiss.pcap", 19, 0, 6, 175),
        ("dnso1tcp-bighole.pcap", 200, 0, 76, 344),
        ("do1t-nosyn-1nolen.pcap", 9, 0, 3, 28),
    ] {
        let seen = read(&data(name)).unwrap();
        assert!(seen.error.is_none(), "{name}: {:?}", seen.error);
        assert_eq!(
            (seen.frames, seen.udp.len(), seen.tcp.len(), seen.metrics.losses.stream_bytes.get()),
            (frames, udp, tcp, lost),
            "{name}"
        );
        let losses: u64 = seen.metrics.losses.each().map(|(_, _, count)| count).sum();
        assert_eq!(losses, lost, "{name}: and no other loss");
    }
}

/// Answers of 4,289 bytes on a loopback with an MTU of 1,280, mDNS and LLMNR; the second capture
/// was stopped before the last of them.
#[test]
fn fragments_on_the_any_interface() {
    for (name, frames, udp) in [("fragments-sll2.pcap", 32, 14), ("fragments-sll.pcap", 25, 10)] {
        let seen = read(&data(name)).unwrap();
        let losses: u64 = seen.metrics.losses.each().map(|(_, _, count)| count).sum();
        assert_eq!((seen.frames, seen.udp.len(), losses), (frames, udp, 0), "{name}");
    }
    // The same without its second frame, the first fragment of an answer.
    let mut bytes = std::fs::read(data("fragments-sll.pcap")).unwrap();
    let length = |at: usize| usize::try_from(u32::from_le_bytes(bytes[at + 8..][..4].try_into().unwrap())).unwrap();
    let second = 24 + 16 + length(24);
    let third = second + 16 + length(second);
    bytes.drain(second..third);
    let seen = complete(&bytes);
    assert_eq!((seen.frames, seen.udp.len(), seen.metrics.losses.fragments_expired.get()), (24, 9, 1));
}

#[test]
fn ids_and_times_of_a_known_capture() {
    let seen = read(&data("dns6.pcap")).unwrap();
    assert_eq!(seen.udp, [0xc8dc, 0xc8dc]);
    let times: Vec<_> = seen.packets.iter().map(|(time, ..)| *time).collect();
    let again: Vec<_> = read(&data("dns6.pcapng")).unwrap().packets.iter().map(|(time, ..)| *time).collect();
    assert_eq!(times, [1_543_333_920_414_188_000, 1_543_333_920_428_453_000]);
    assert_eq!(times, again);
}

#[test]
fn pcap_in_both_byte_orders_and_resolutions() {
    for order in [Order::Little, Order::Big] {
        for (magic, fraction, nanoseconds) in
            [(MICROSECOND, 999_999, 999_999_000), (NANOSECOND, 999_999_999, 999_999_999)]
        {
            // With the length of the frame check sequence above the link type.
            for link in [1, 0x2400_0001] {
                let mut capture = bytes::pcap_header(order, magic, link);
                capture.extend(bytes::pcap_record(order, 1_700_000_000, fraction, 1000, &ethernet()));
                capture.extend(bytes::pcap_record(order, u32::MAX, 1, ethernet().len(), &ethernet()));
                let seen = complete(&capture);
                assert_eq!(seen.packets.len(), 2);
                assert_eq!(seen.packets[0], (1_700_000_000_000_000_000 + nanoseconds, 986, ip()));
                assert_eq!(seen.packets[1].1, u32::try_from(ip().len()).unwrap());
                assert_eq!(seen.udp, [7, 7]);
            }
        }
    }
}

#[test]
fn every_link_type() {
    let (ip4, ip6) = (ip(), bytes::ipv6(UDP, &bytes::udp(&query(7, "example.com"))));
    let before = |header: &[u8], ip: &[u8]| [header, ip].concat();
    let mut cooked = vec![0; 14];
    cooked.extend([0x86, 0xdd]);
    let mut cooked2 = vec![0x08, 0x00];
    cooked2.resize(20, 0);
    let mut tagged = vec![0; 12];
    tagged.extend([0x88, 0xa8, 0, 5, 0x81, 0, 0, 6, 0x86, 0xdd]);
    for (link, frame, expected) in [
        (0, before(&[2, 0, 0, 0], &ip4), &ip4),
        (0, before(&[0, 0, 0, 30], &ip6), &ip6),
        (108, before(&[0, 0, 0, 2], &ip4), &ip4),
        (1, before(&tagged, &ip6), &ip6),
        (12, ip4.clone(), &ip4),
        (14, ip6.clone(), &ip6),
        (101, ip6.clone(), &ip6),
        (228, ip4.clone(), &ip4),
        (229, ip6.clone(), &ip6),
        (113, before(&cooked, &ip6), &ip6),
        (276, before(&cooked2, &ip4), &ip4),
    ] {
        let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, link);
        capture.extend(bytes::pcap_record(Order::Little, 1, 0, frame.len(), &frame));
        let mut arp = vec![0; 12];
        arp.extend([8, 6, 0, 0]);
        if link == 1 {
            capture.extend(bytes::pcap_record(Order::Little, 1, 0, arp.len(), &arp));
        }
        let seen = complete(&capture);
        assert_eq!(seen.packets.len(), 1, "{link}");
        assert_eq!(&seen.packets[0].2, expected, "{link}");
        assert_eq!(seen.udp, [7]);
    }
}

#[test]
fn frames_that_end_in_the_link_layer_are_counted() {
    let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, 1);
    capture.extend(bytes::pcap_record(Order::Little, 1, 0, 60, &ethernet()[..13]));
    capture.extend(bytes::pcap_record(Order::Little, 1, 0, 0, &[]));
    let seen = complete(&capture);
    assert_eq!((seen.frames, seen.packets.len(), seen.metrics.losses.packet_malformed.get()), (2, 0, 2));
}

#[test]
fn a_link_type_that_is_not_known_is_an_error_at_the_end() {
    let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, 7);
    for _ in 0..3 {
        capture.extend(bytes::pcap_record(Order::Little, 1, 0, 60, &[0; 60]));
    }
    let seen = read_bytes(&capture).unwrap();
    assert!(matches!(seen.error, Some(ReplayError::LinkType { link_type: 7, frames: 3, .. })), "{:?}", seen.error);
    assert_eq!(seen.metrics.losses.frame_unread.get(), 3);
}

#[test]
fn pcapng_with_every_kind_of_block() {
    let (mut capture, mut expected) = (Vec::new(), Vec::new());
    for order in [Order::Little, Order::Big] {
        let power_of_two = 0x94; // 2^-20
        let offset = order.u64(1_700_000_000);
        capture.extend(bytes::section(order));
        capture.extend(bytes::interface(order, 1, 0, &[(2, b"eth0"), (1, b"a comment")]));
        capture.extend(bytes::interface(order, 101, 0, &[(9, &[9]), (0, &[])]));
        capture.extend(bytes::interface(order, 101, 0, &[(9, &[power_of_two]), (14, &offset)]));
        capture.extend(bytes::interface(order, 101, 0, &[(9, &[3])]));
        // Names, statistics, secrets, custom blocks, and one larger than the buffer.
        for (kind, size) in [(4, 20), (5, 40), (9, 8), (10, 16), (0xbad, 0), (0x4000_0bad, 4), (0x1234_5678, 3 << 20)] {
            capture.extend(bytes::block(order, kind, &vec![0x5a; size]));
        }
        capture.extend(bytes::enhanced_packet(order, 0, 1_700_000_000_123_456, &ethernet()));
        capture.extend(bytes::enhanced_packet(order, 1, 1_700_000_000_123_456_789, &ip()));
        capture.extend(bytes::enhanced_packet(order, 2, 3 << 19, &ip()));
        capture.extend(bytes::obsolete_packet(order, 3, 1_700_000_002_007, &ip()));
        capture.extend(bytes::simple_packet(order, ethernet().len(), &ethernet()));
        expected.extend([
            1_700_000_000_123_456_000u64,
            1_700_000_000_123_456_789,
            1_700_000_001_500_000_000,
            1_700_000_002_007_000_000,
            1_700_000_002_007_000_000,
        ]);
    }
    let seen = complete(&capture);
    assert_eq!(seen.packets.iter().map(|(time, ..)| *time).collect::<Vec<_>>(), expected);
    assert!(seen.packets.iter().all(|(.., bytes)| *bytes == ip()));
    assert_eq!(seen.udp, [7; 10]);
}

#[test]
fn interfaces_and_their_limits_belong_to_a_section() {
    let order = Order::Little;
    let mut capture = bytes::section(order);
    capture.extend(bytes::interface(order, 101, 30, &[]));
    // Cut to the limit of the interface, with padding.
    capture.extend(bytes::simple_packet(order, ip().len(), &ip()[..30]));
    let seen = complete(&capture);
    assert_eq!(seen.packets[0], (0, u32::try_from(ip().len()).unwrap(), ip()[..30].to_vec()));

    capture.extend(bytes::section(order));
    capture.extend(bytes::enhanced_packet(order, 0, 1, &ip()));
    let seen = read_bytes(&capture).unwrap();
    assert_eq!(seen.packets.len(), 1);
    assert!(matches!(seen.error, Some(ReplayError::Damaged { frames: 1, .. })), "{:?}", seen.error);
}

#[test]
fn gzip_of_several_members() {
    let mut capture = bytes::pcap_header(Order::Big, NANOSECOND, 101);
    capture.extend(bytes::pcap_record(Order::Big, 1, 0, ip().len(), &ip()));
    let mut file = Vec::new();
    for part in [&capture[..10], &capture[10..]] {
        let mut encoder = GzEncoder::new(&mut file, Compression::default());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap();
    }
    assert_eq!(complete(&file).udp, [7]);
    let seen = read_bytes(&file[..file.len() - 20]).unwrap();
    assert!(matches!(seen.error, Some(ReplayError::Cut { .. })), "{:?}", seen.error);
}

#[test]
fn a_file_that_is_no_capture_is_refused() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"this is a text").unwrap();
    for bytes in
        [&b""[..], b"\x0a", b"this is a text and long enough to be a header", &gzip.finish().unwrap(), &[0x1f, 0x8b]]
    {
        let error = read_bytes(bytes).unwrap_err();
        assert!(matches!(error, ReplayError::NotCapture { .. }), "{error:?}");
        assert!(error.to_string().contains("is no capture"), "{error}");
    }
    let missing = read(Path::new("/nonexistent/x.pcap")).unwrap_err();
    assert!(matches!(missing, ReplayError::Open { .. }));
    assert!(missing.to_string().starts_with("/nonexistent/x.pcap: cannot be opened: "), "{missing}");
    assert!(matches!(read(Path::new("/")).unwrap_err(), ReplayError::Open { .. }));
}

/// One capture of each format, and where its records begin.
fn samples() -> [(Vec<u8>, Vec<usize>); 2] {
    let order = Order::Little;
    let mut pcap = bytes::pcap_header(order, MICROSECOND, 1);
    let mut starts = vec![pcap.len()];
    for _ in 0..3 {
        pcap.extend(bytes::pcap_record(order, 1, 0, ethernet().len(), &ethernet()));
        starts.push(pcap.len());
    }
    let mut pcapng = bytes::section(order);
    let mut blocks = vec![pcapng.len()];
    pcapng.extend(bytes::interface(order, 1, 0, &[(9, &[6])]));
    blocks.push(pcapng.len());
    for _ in 0..3 {
        pcapng.extend(bytes::enhanced_packet(order, 0, 1, &ethernet()));
        blocks.push(pcapng.len());
    }
    [(pcap, starts), (pcapng, blocks)]
}

#[test]
fn captures_cut_at_each_length_name_the_place() {
    for (index, (capture, starts)) in samples().into_iter().enumerate() {
        for length in 24..capture.len() {
            let seen = read_bytes(&capture[..length]).unwrap();
            let start = starts.iter().rev().find(|start| **start <= length).copied().unwrap_or(0);
            let whole = starts.iter().filter(|start| **start <= length).count().saturating_sub(1 + index);
            assert_eq!(seen.packets.len(), whole, "{index} {length}");
            match seen.error {
                None => assert_eq!(length, start),
                Some(ReplayError::Cut { offset, frames, .. }) => {
                    assert_eq!((offset, frames), (start as u64, whole as u64));
                    assert_ne!(length, start);
                }
                other => panic!("{length}: {other:?}"),
            }
        }
    }
}

#[test]
fn any_byte_of_a_capture_flipped() {
    for (capture, _) in samples() {
        for place in 0..capture.len() {
            for value in [0x01, 0x10, 0x80, 0xff] {
                let mut flipped = capture.clone();
                flipped[place] ^= value;
                if let Ok(seen) = read_bytes(&flipped) {
                    assert!(seen.frames <= 3, "{place}");
                }
            }
        }
    }
}

#[test]
fn lengths_that_lie_cost_no_memory() {
    for length in [0x0010_0001, 0x7fff_ffff, u32::MAX] {
        let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, 1);
        capture.extend(bytes::pcap_record(Order::Little, 1, 0, ethernet().len(), &ethernet()));
        let mut lie = bytes::pcap_record(Order::Little, 1, 0, 60, &[0; 60]);
        lie[8..12].copy_from_slice(&length.to_le_bytes());
        capture.extend(lie);
        let seen = read_bytes(&capture).unwrap();
        assert_eq!(seen.packets.len(), 1);
        let error = seen.error.unwrap();
        assert!(matches!(error, ReplayError::Damaged { .. }), "{error}");
        let place = 24 + 16 + ethernet().len();
        assert!(error.to_string().contains(&format!("damaged at byte {place} ")), "{error}");
    }
}

#[test]
fn frames_of_the_largest_size() {
    let large = bytes::ipv4(bytes::TCP, &[], &bytes::tcp(&bytes::data(1, &vec![0; 500_000]), &[]));
    let mut capture = bytes::pcap_header(Order::Little, MICROSECOND, 101);
    for _ in 0..7 {
        capture.extend(bytes::pcap_record(Order::Little, 1, 0, large.len(), &large));
    }
    let seen = complete(&capture);
    assert_eq!(seen.packets.len(), 7);
    assert!(seen.packets.iter().all(|(.., bytes)| bytes.len() == large.len()));
}

#[test]
fn progress_is_counted_on_the_file_as_it_is() {
    let path = data("edns-opts.pcap.gz");
    let size = std::fs::metadata(&path).unwrap().len();
    let mut capture = Capture::open(&path, Arc::default()).unwrap();
    assert_eq!(capture.bytes_read().1, Some(size));
    capture.show_progress();
    capture.for_each(|_| ()).unwrap();
    assert_eq!(capture.bytes_read(), (size, Some(size)));
}

/// A pipe gives its bytes a few at a time and has no size. The child is this test binary, which
/// then runs [`standard_input_in_the_child`].
#[test]
fn standard_input() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "replay::standard_input_in_the_child", "--nocapture"])
        .env("CAPTURE_ON_STANDARD_INPUT", "42")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    for piece in std::fs::read(data("edns-opts.pcap")).unwrap().chunks(700) {
        pipe.write_all(piece).unwrap();
        pipe.flush().unwrap();
    }
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed") && text.contains("frames: 42"), "{text}");
}

#[test]
fn standard_input_in_the_child() {
    // Run as a test of its own it reads a capture that is there.
    let piped = std::env::var_os("CAPTURE_ON_STANDARD_INPUT").is_some();
    let path = if piped { PathBuf::from("-") } else { data("edns-opts.pcap") };
    let mut capture = Capture::open(&path, Arc::default()).unwrap();
    assert_eq!(capture.bytes_read().1.is_none(), piped);
    capture.for_each(|_| ()).unwrap();
    println!("frames: {}", capture.frames());
    assert_eq!(capture.frames(), 42);
}
