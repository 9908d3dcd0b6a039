//! Values that are texts of their own making: instants, addresses, ends of a connection. Each is written
//! once into a small array and copied from there, without a heap allocation.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use chrono::{DateTime, Datelike};

use super::digits::pair;
use crate::invariant::Invariant;

/// A few bytes of JSON, at most `SIZE`.
#[derive(Debug, Clone, Copy)]
pub struct Piece<const SIZE: usize> {
    bytes: [u8; SIZE],
    length: usize,
}

impl<const SIZE: usize> Piece<SIZE> {
    const fn empty() -> Self {
        Self { bytes: [0; SIZE], length: 0 }
    }

    /// Appends `bytes`. Without effect where there is no space, which each user of a piece rules out by its `SIZE`.
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let space = self.bytes.get_mut(self.length..self.length + bytes.len());
        debug_assert!(space.is_some(), "{SIZE} bytes are too few");
        if let Some(space) = space {
            space.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn push_port(&mut self, port: u16) {
        let port = u64::from(port);
        let [[_, first], [second, third], [fourth, fifth]] = [pair(port / 10_000), pair(port / 100), pair(port)];
        match port {
            ..10 => self.push(&[fifth]),
            10..100 => self.push(&[fourth, fifth]),
            100..1_000 => self.push(&[third, fourth, fifth]),
            1_000..10_000 => self.push(&[second, third, fourth, fifth]),
            10_000.. => self.push(&[first, second, third, fourth, fifth]),
        }
    }

    /// Appends the piece to a line: all `SIZE` bytes are copied, and those that are not used are taken back. A copy
    /// of constant length is faster.
    #[inline]
    pub(super) fn push_to(&self, bytes: &mut Vec<u8>) {
        let end = bytes.len() + self.length;
        bytes.extend_from_slice(&self.bytes);
        bytes.truncate(end);
    }
}

impl<const SIZE: usize> Write for Piece<SIZE> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

/// An address in quotes with a comma; the longest is `"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",`.
pub type Address = Piece<48>;

/// `"ip":"…","port":65535,`
pub type End = Piece<72>;

/// The digits of each octet and a dot behind them, the first one in the lowest byte; and the number of these bits.
static OCTETS: [(u32, u32); 256] = octets();

const fn octets() -> [(u32, u32); 256] {
    let mut all = [(0, 0); 256];
    let mut octet = 0_u32;
    while octet < 256 {
        let mut text = b'.' as u32;
        let mut bits = 8;
        let mut left = octet;
        while left > 0 || bits == 8 {
            text = text << 8 | b"0123456789"[(left % 10) as usize] as u32;
            bits += 8;
            left /= 10;
        }
        all[octet as usize] = (text, bits);
        octet += 1;
    }
    all
}

/// An IPv4 address with a quote behind it, and the bytes that this takes. The text is put together in registers: a
/// processor waits for bytes that are written one by one and read at once.
#[inline]
fn ipv4(address: Ipv4Addr) -> ([u8; 16], usize) {
    let mut text = 0_u128;
    let mut bits = 0;
    for octet in address.octets() {
        let (digits, length) = OCTETS[usize::from(octet)];
        text |= u128::from(digits) << bits;
        bits += length;
    }
    // The last octet has a quote behind it, no dot.
    text ^= u128::from(b'.' ^ b'"') << (bits - 8);
    (text.to_le_bytes(), bits as usize / 8)
}

/// Appends an address in quotes with a comma.
#[inline]
pub(super) fn push_ip(bytes: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let (text, length) = ipv4(address);
            bytes.push(b'"');
            let end = bytes.len() + length;
            bytes.extend_from_slice(&text);
            bytes.truncate(end);
            bytes.push(b',');
        }
        IpAddr::V6(_) => Address::new(address).push_to(bytes),
    }
}

impl Address {
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        let mut piece = Self::empty();
        push_address(&mut piece, address);
        piece.push(b",");
        piece
    }
}

impl End {
    /// The fields `ip` and `port` of an object.
    #[must_use]
    pub fn new(end: SocketAddr) -> Self {
        let mut piece = Self::empty();
        piece.push(b"\"ip\":");
        push_address(&mut piece, end.ip());
        piece.push(b",\"port\":");
        piece.push_port(end.port());
        piece.push(b",");
        piece
    }
}

fn push_address<const SIZE: usize>(piece: &mut Piece<SIZE>, address: IpAddr) {
    piece.push(b"\"");
    match address {
        // The formatter of the standard library costs more than the rest of the field.
        IpAddr::V4(address) => {
            let (text, length) = ipv4(address);
            piece.push(&text);
            piece.length -= text.len() - length;
        }
        IpAddr::V6(address) => {
            // Writing into a piece never fails.
            let _ = write!(piece, "{address}\"");
        }
    }
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A second as text: a document holds up to five instants, and nearly all of them are of one second. The calendar
/// is asked once a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Second {
    /// Seconds since the Unix epoch.
    number: u64,
    /// Days since the Unix epoch.
    day: u64,
    /// The first instant of the second.
    text: [u8; 33],
}

impl Default for Second {
    fn default() -> Self {
        Self { number: 0, day: 0, text: *b"\"1970-01-01T00:00:00.000000000Z\"," }
    }
}

impl Second {
    /// RFC 3339 in UTC with nanoseconds, in quotes and with a comma, of nanoseconds since the Unix epoch; `u64` ends
    /// in the year 2554, so a year has four digits.
    #[inline]
    pub(super) fn instant(&mut self, time: u64) -> [u8; 33] {
        let (second, nanoseconds) = (time / SECOND, time % SECOND);
        if second != self.number {
            self.turn(second);
        }
        let mut json = self.text;
        json[21..23].copy_from_slice(&pair(nanoseconds / 10_000_000));
        json[23..25].copy_from_slice(&pair(nanoseconds / 100_000));
        json[25..27].copy_from_slice(&pair(nanoseconds / 1_000));
        json[27..29].copy_from_slice(&pair(nanoseconds / 10));
        json[29] = pair(nanoseconds % 10)[1];
        json
    }

    fn turn(&mut self, number: u64) {
        let (day, second) = (number / DAY, number % DAY);
        if day != self.day {
            self.turn_day(day);
        }
        self.number = number;
        self.text[12..14].copy_from_slice(&pair(second / 3_600));
        self.text[15..17].copy_from_slice(&pair(second / 60 % 60));
        self.text[18..20].copy_from_slice(&pair(second % 60));
    }

    #[cold]
    fn turn_day(&mut self, day: u64) {
        // A day of `u64` nanoseconds is within the years that chrono has.
        let date = i64::try_from(day * DAY).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let date = date.holds();
        let [year, month, day_of_month] = [date.year().unsigned_abs(), date.month(), date.day()].map(u64::from);
        self.day = day;
        self.text[1..3].copy_from_slice(&pair(year / 100));
        self.text[3..5].copy_from_slice(&pair(year));
        self.text[6..8].copy_from_slice(&pair(month));
        self.text[9..11].copy_from_slice(&pair(day_of_month));
    }
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    fn instants(times: &[u64]) -> Vec<String> {
        let mut second = Second::default();
        times.iter().map(|time| String::from_utf8(second.instant(*time).to_vec()).unwrap()).collect()
    }

    #[test]
    fn edges_of_the_calendar() {
        let edges = [
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
            (86_399_999_999_999, "1970-01-01T23:59:59.999999999Z"),
            (86_400_000_000_000, "1970-01-02T00:00:00.000000000Z"),
        ];
        let texts = instants(&edges.map(|(time, _)| time));
        assert_eq!(texts, edges.map(|(_, text)| format!("\"{text}\",")));
    }

    fn written<const SIZE: usize>(piece: &Piece<SIZE>) -> String {
        let mut bytes = Vec::new();
        piece.push_to(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn instants_are_written_as_chrono_does(times in proptest::collection::vec(0..i64::MAX.unsigned_abs(), 1..5)) {
            let expected = |time: &u64| {
                let time = DateTime::from_timestamp_nanos(i64::try_from(*time).unwrap());
                format!("\"{}\",", time.to_rfc3339_opts(SecondsFormat::Nanos, true))
            };
            prop_assert_eq!(instants(&times), times.iter().map(expected).collect::<Vec<_>>());
        }

        #[test]
        fn addresses_are_written_as_the_library_does(four: [u8; 4], six: [u8; 16], port: u16) {
            for address in [IpAddr::from(four), IpAddr::from(six), IpAddr::from([u16::MAX; 8])] {
                prop_assert_eq!(written(&Address::new(address)), format!("\"{address}\","));
                let mut bytes = Vec::new();
                push_ip(&mut bytes, address);
                prop_assert_eq!(String::from_utf8(bytes).unwrap(), format!("\"{address}\","));
                let end = End::new(SocketAddr::new(address, port));
                prop_assert_eq!(written(&end), format!("\"ip\":\"{address}\",\"port\":{port},"));
            }
        }
    }
}
