//! Headers of every shape; `fragments` has datagrams in pieces.

mod fragments;

use std::net::SocketAddr;
use std::sync::Arc;

use dnstrail::metrics::Metrics;
use dnstrail::net::{PacketError, Payload, Reassembler, Tcp};
use proptest::prelude::*;

use self::fragments::fragments;
use crate::support::bytes::{self, CLIENT_PORT, CLIENT4, CLIENT6, SERVER4, SERVER6, TCP, UDP};

const SECOND: u64 = 1_000_000_000;

struct Reader {
    packets: Reassembler,
    metrics: Arc<Metrics>,
}

/// A segment, so that it can be kept.
#[derive(Debug, PartialEq)]
struct Got {
    source: SocketAddr,
    destination: SocketAddr,
    bytes: Vec<u8>,
}

impl Reader {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::default());
        Self { packets: Reassembler::new(Arc::clone(&metrics)), metrics }
    }

    fn read(&mut self, time: u64, packet: &[u8]) -> Result<Option<Got>, PacketError> {
        Ok(self.packets.parse(time, packet)?.map(|segment| Got {
            source: segment.source,
            destination: segment.destination,
            bytes: match segment.payload {
                Payload::Udp(bytes) | Payload::UdpLite(bytes) | Payload::Tcp(Tcp { bytes, .. }) => bytes.to_vec(),
            },
        }))
    }

    fn expired(&self) -> u64 {
        self.metrics.losses.fragments_expired.get()
    }
}

fn read(packet: &[u8]) -> Result<Option<Got>, PacketError> {
    Reader::new().read(0, packet)
}

fn payload(packet: &[u8]) -> Vec<u8> {
    read(packet).unwrap().expect("not a fragment").bytes
}

fn extension(next: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[..2].copy_from_slice(&[next, u8::try_from(length / 8 - 1).unwrap()]);
    bytes
}

#[test]
fn addresses_and_ports_of_both_versions() {
    let query = bytes::query(1, "example.com");
    let four = read(&bytes::ipv4(UDP, &[], &bytes::udp(&query))).unwrap().unwrap();
    assert_eq!(four.source, SocketAddr::from((CLIENT4, CLIENT_PORT)));
    assert_eq!(four.destination, SocketAddr::from((SERVER4, 53)));
    assert_eq!(four.bytes, query);
    let six = read(&bytes::ipv6(UDP, &bytes::udp(&query))).unwrap().unwrap();
    assert_eq!(six.source, SocketAddr::from((CLIENT6, CLIENT_PORT)));
    assert_eq!(six.destination, SocketAddr::from((SERVER6, 53)));
    assert_eq!(six.bytes, query);
}

#[test]
fn every_length_of_ipv4_options() {
    for words in 0..=10 {
        assert_eq!(payload(&bytes::ipv4(UDP, &vec![1; words * 4], &bytes::udp(b"dns"))), b"dns");
    }
}

#[test]
fn the_ip_length_decides_between_padding_and_payload() {
    let mut packet = bytes::ipv4(TCP, &[], &bytes::tcp(&bytes::data(7, b"dns"), &[]));
    packet.extend([0; 18]);
    assert_eq!(payload(&packet), b"dns");
    let mut packet = bytes::ipv6(TCP, &bytes::tcp(&bytes::data(7, b"dns"), &[]));
    packet.extend([0; 18]);
    assert_eq!(payload(&packet), b"dns");
}

#[test]
fn super_segments_have_no_length() {
    let large = vec![7; 180_000];
    let segment = bytes::tcp(&bytes::data(7, &large), &[1; 12]);
    assert_eq!(payload(&bytes::ipv4(TCP, &[], &segment)), large);
    assert_eq!(payload(&bytes::ipv6(TCP, &segment)), large);
    // The same with the jumbo option in a hop-by-hop header (RFC 2675).
    let mut jumbo = extension(TCP, 8);
    jumbo.extend(&segment);
    assert_eq!(payload(&bytes::ipv6(0, &jumbo)), large);
}

#[test]
fn lengths_that_contradict_the_header() {
    let mut packet = bytes::ipv4(UDP, &[], &bytes::udp(b"dns"));
    packet[2..4].copy_from_slice(&19u16.to_be_bytes());
    assert_eq!(read(&packet), Err(PacketError::Length("IPv4")));
    let mut packet = bytes::ipv4(UDP, &[], &bytes::udp(b"dns"));
    packet[0] = 0x44;
    assert_eq!(read(&packet), Err(PacketError::Length("IPv4")));
    let mut packet = bytes::ipv4(UDP, &[], &bytes::udp(b"dns"));
    packet[0] = 0x4f;
    assert!(read(&packet).is_err());
    assert_eq!(read(&[]), Err(PacketError::Version));
    assert_eq!(read(&[0x50; 60]), Err(PacketError::Version));
}

#[test]
fn the_udp_length_against_what_is_there() {
    for (length, expected) in [(8, &b""[..]), (9, b"d"), (11, b"dns"), (0, b"dns"), (999, b"dns")] {
        let mut packet = bytes::ipv4(UDP, &[], &bytes::udp(b"dns"));
        packet[24..26].copy_from_slice(&u16::to_be_bytes(length));
        assert_eq!(payload(&packet), expected, "{length}");
    }
    for length in 1..8u16 {
        let mut packet = bytes::ipv4(UDP, &[], &bytes::udp(b"dns"));
        packet[24..26].copy_from_slice(&length.to_be_bytes());
        assert_eq!(read(&packet), Err(PacketError::Length("UDP")));
    }
}

#[test]
fn tcp_options_and_flags() {
    for words in 0..=10 {
        let packet = bytes::ipv4(TCP, &[], &bytes::tcp(&bytes::data(7, b"dns"), &vec![1; words * 4]));
        assert_eq!(payload(&packet), b"dns");
    }
    let mut packet = bytes::ipv4(TCP, &[], &bytes::tcp(&bytes::data(7, b"dns"), &[]));
    packet[32] = 0x40;
    assert_eq!(read(&packet), Err(PacketError::Length("TCP")));
    packet[32] = 0xf0;
    assert_eq!(read(&packet), Err(PacketError::Short("TCP")));

    for flags in 0..8u8 {
        let sent = Tcp {
            sequence: 0xfedc_ba98,
            fin: flags & 1 != 0,
            syn: flags & 2 != 0,
            rst: flags & 4 != 0,
            bytes: b"dns",
            ..Tcp::default()
        };
        let packet = bytes::ipv6(TCP, &bytes::tcp(&sent, &[]));
        let mut reader = Reader::new();
        assert_eq!(reader.packets.parse(0, &packet).unwrap().unwrap().payload, Payload::Tcp(sent));
    }
}

#[test]
fn extension_headers_in_any_number_up_to_the_bound() {
    let mut packet = bytes::udp(b"dns");
    let mut next = UDP;
    for (count, kind) in [60, 43, 51, 0, 135, 139, 140].into_iter().cycle().take(15).enumerate() {
        // The authentication header counts in fours, minus two.
        let mut header = extension(next, 8 * (1 + count % 3));
        if kind == 51 {
            header[1] = u8::try_from(header.len() / 4 - 2).unwrap();
        }
        header.extend(packet);
        (packet, next) = (header, kind);
        assert_eq!(payload(&bytes::ipv6(next, &packet)), b"dns", "{count}");
    }
    for _ in 0..2 {
        let mut header = extension(next, 8);
        header.extend(packet);
        (packet, next) = (header, 60);
    }
    assert_eq!(read(&bytes::ipv6(next, &packet)), Err(PacketError::ExtensionHeaders));
}

#[test]
fn an_authentication_header_in_ipv4() {
    let mut header = vec![UDP, 4];
    header.resize(24, 0);
    header.extend(bytes::udp(b"dns"));
    assert_eq!(payload(&bytes::ipv4(51, &[], &header)), b"dns");
}

/// One send can hold 64 queries (K6).
#[test]
fn several_datagrams_in_one_packet() {
    let bytes: Vec<u8> = (0..100).collect();
    let cut = |size| Payload::Udp(&bytes).datagrams(size).collect::<Vec<_>>();
    assert_eq!(cut(0), [Payload::Udp(&bytes)]);
    assert_eq!(cut(100), [Payload::Udp(&bytes)]);
    assert_eq!(cut(1000), [Payload::Udp(&bytes)]);
    assert_eq!(cut(40), [0..40, 40..80, 80..100].map(|part| Payload::Udp(&bytes[part])));
    assert_eq!(cut(1).len(), 100);
    // An empty datagram is one all the same; a super-segment of TCP stays whole.
    assert_eq!(Payload::Udp(&[]).datagrams(0).count(), 1);
    let tcp = Payload::Tcp(bytes::data(7, &bytes));
    assert_eq!(tcp.datagrams(40).collect::<Vec<_>>(), [tcp]);
}

#[test]
fn other_protocols_are_no_loss() {
    for protocol in [1, 2, 4, 41, 47, 50, 58, 59, 89, 132, 255] {
        let inner = bytes::ipv4(UDP, &[], &bytes::udp(b"dns"));
        for packet in [bytes::ipv4(protocol, &[], &inner), bytes::ipv6(protocol, &inner)] {
            let error = read(&packet).unwrap_err();
            assert_eq!(error, PacketError::Protocol(protocol));
            assert!(!error.is_malformed());
        }
    }
    assert!(PacketError::Short("UDP").is_malformed());
}

/// Packets of every shape that is read.
pub fn shapes() -> Vec<Vec<u8>> {
    let query = bytes::query(7, "www.example.com");
    let segment = bytes::tcp(&bytes::data(7, &bytes::framed(&query)), &[1; 12]);
    let mut chain = extension(43, 8);
    chain.extend(extension(60, 16));
    chain.extend(extension(UDP, 8));
    chain.extend(bytes::udp(&query));
    let mut authenticated = vec![UDP, 4];
    authenticated.resize(24, 0);
    authenticated.extend(bytes::udp(&query));
    let mut all = vec![
        bytes::ipv4(UDP, &[], &bytes::udp(&query)),
        bytes::ipv4(UDP, &[1; 8], &bytes::udp(&query)),
        bytes::ipv4(TCP, &[], &segment),
        bytes::ipv4(51, &[], &authenticated),
        bytes::ipv4(4, &[], &bytes::ipv4(UDP, &[], &bytes::udp(&query))),
        bytes::ipv4(47, &[], &segment),
        bytes::ipv6(UDP, &bytes::udp(&query)),
        bytes::ipv6(TCP, &segment),
        bytes::ipv6(0, &chain),
        bytes::ipv6(51, &authenticated),
    ];
    all.extend(fragments(false, 1, &bytes::udp(&query), 24));
    all.extend(fragments(true, 1, &bytes::udp(&query), 24));
    all
}

#[test]
fn any_byte_flipped_and_any_length_cut() {
    let mut reader = Reader::new();
    let (mut read, mut waiting, mut refused) = (0u32, 0u32, 0u32);
    let mut time = 0;
    let mut look = |packet: &[u8]| {
        time += SECOND / 1000;
        match reader.read(time, packet) {
            Ok(Some(_)) => read += 1,
            Ok(None) => waiting += 1,
            Err(_) => refused += 1,
        }
    };
    let mut sent = 0;
    for packet in shapes() {
        for length in 0..packet.len() {
            look(&packet[..length]);
            sent += 1;
        }
        for place in 0..packet.len() {
            for value in [0x01, 0x10, 0x80, 0xff, packet[place], !packet[place] ^ 0x55] {
                let mut flipped = packet.clone();
                flipped[place] ^= value;
                look(&flipped);
                sent += 1;
            }
        }
    }
    assert_eq!(read + waiting + refused, sent);
    assert!(read > 0 && waiting > 0 && refused > 0, "{read} {waiting} {refused}");
    reader.packets.finish();
    assert!(reader.expired() <= u64::from(waiting));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..120), version in prop::sample::select(vec![0x45u8, 0x46, 0x60])) {
        let mut packet = vec![version];
        packet.extend(noise);
        let mut reader = Reader::new();
        let _ = reader.read(0, &packet);
    }
}
