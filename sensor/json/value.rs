//! Values that are texts of their own making: instants, addresses, ends of a connection. Each is written
//! once into a small array and copied from there, without a heap allocation.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use chrono::{DateTime, Datelike};

use super::digits::pair;

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

/// Each octet with a dot behind it, and how many of these bytes are used.
static OCTETS: [([u8; 4], usize); 256] = octets();

const fn octets() -> [([u8; 4], usize); 256] {
    let mut all = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < all.len() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let unused = if octet >= 100 {
            0
        } else if octet >= 10 {
            1
        } else {
            2
        };
        let mut position = unused;
        while position < digits.len() {
            all[octet].0[position - unused] = b"0123456789"[digits[position]];
            position += 1;
        }
        all[octet].1 = 4 - unused;
        octet += 1;
    }
    all
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
            for octet in address.octets() {
                let (digits, used) = &OCTETS[usize::from(octet)];
                piece.push(digits);
                piece.length -= digits.len() - used;
            }
            // The last octet has no dot behind it.
            piece.length -= 1;
        }
        // Writing into a piece never fails.
        IpAddr::V6(address) => drop(write!(piece, "{address}")),
    }
    piece.push(b"\"");
}

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A day as text: a document holds up to five instants, and nearly all of them are of one day, which is
/// asked of the calendar once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    /// Days since the Unix epoch.
    number: u64,
    /// `"2026-11-21T`
    text: [u8; 12],
}

impl Default for Day {
    fn default() -> Self {
        Self { number: 0, text: *b"\"1970-01-01T" }
    }
}

impl Day {
    /// RFC 3339 in UTC with nanoseconds, in quotes and with a comma, of nanoseconds since the Unix epoch; `u64` ends in the
    /// year 2554, so a year has four digits.
    #[inline]
    pub(super) fn instant(&mut self, time: u64) -> [u8; 33] {
        let (seconds, nanoseconds) = (time / SECOND, time % SECOND);
        let (day, second) = (seconds / DAY, seconds % DAY);
        if day != self.number {
            self.turn(day);
        }
        let mut json = *b"\"0000-00-00T00:00:00.000000000Z\",";
        json[..12].copy_from_slice(&self.text);
        json[12..14].copy_from_slice(&pair(second / 3_600));
        json[15..17].copy_from_slice(&pair(second / 60 % 60));
        json[18..20].copy_from_slice(&pair(second % 60));
        json[21..23].copy_from_slice(&pair(nanoseconds / 10_000_000));
        json[23..25].copy_from_slice(&pair(nanoseconds / 100_000 % 100));
        json[25..27].copy_from_slice(&pair(nanoseconds / 1_000 % 100));
        json[27..29].copy_from_slice(&pair(nanoseconds / 10 % 100));
        json[29] = pair(nanoseconds % 10)[1];
        json
    }

    #[cold]
    fn turn(&mut self, day: u64) {
        // A day of `u64` nanoseconds is within the years that chrono has.
        let date = i64::try_from(day * DAY).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        debug_assert!(date.is_some(), "day {day}");
        let date = date.unwrap_or_default();
        let [year, month, day_of_month] = [date.year().unsigned_abs(), date.month(), date.day()].map(u64::from);
        self.number = day;
        self.text[1..3].copy_from_slice(&pair(year / 100));
        self.text[3..5].copy_from_slice(&pair(year % 100));
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
        let mut day = Day::default();
        times.iter().map(|time| String::from_utf8(day.instant(*time).to_vec()).unwrap()).collect()
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
                let end = End::new(SocketAddr::new(address, port));
                prop_assert_eq!(written(&end), format!("\"ip\":\"{address}\",\"port\":{port},"));
            }
        }
    }
}
