//! Dates as syslog headers and the names of rotated files write them.

use std::io::Write;

use chrono::{DateTime, Datelike, Local, Timelike};

const NANOS: u64 = 1_000_000_000;
/// RFC 3164 section 4.1.2.
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// RFC 5424 section 6.2.3: UTC with microseconds, the finest it allows.
pub(crate) fn rfc5424(time: u64, text: &mut Vec<u8>) {
    let utc = utc(time);
    let (date, clock) = (utc.date_naive(), utc.time());
    let _ = write!(
        text,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        date.year(),
        date.month(),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second(),
        clock.nanosecond() / 1_000
    );
}

/// RFC 3164 section 4.1.2: local time, the day padded with a space.
pub(crate) fn rfc3164(time: u64, text: &mut Vec<u8>) {
    let local = utc(time).with_timezone(&Local);
    let month = MONTHS.get(local.month0() as usize).copied().unwrap_or(MONTHS[0]);
    let _ = write!(text, "{month} {:>2} {:02}:{:02}:{:02}", local.day(), local.hour(), local.minute(), local.second());
}

/// `20261120T101112.345Z`: sorts by time, and is safe in a file name everywhere.
pub(crate) fn file_stamp(time: u64) -> String {
    utc(time).format("%Y%m%dT%H%M%S%.3fZ").to_string()
}

fn utc(time: u64) -> DateTime<chrono::Utc> {
    let (seconds, nanos) = (time / NANOS, time % NANOS);
    let seconds = i64::try_from(seconds).unwrap_or_default();
    DateTime::from_timestamp(seconds, u32::try_from(nanos).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: u64 = 1_762_150_272_345_678_901; // 2025-11-03T06:11:12.345678901Z

    #[test]
    fn stamps() {
        let mut text = Vec::new();
        rfc5424(TIME, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "2025-11-03T06:11:12.345678Z");
        assert_eq!(file_stamp(TIME), "20251103T061112.345Z");
        assert_eq!(file_stamp(0), "19700101T000000.000Z");
        assert_eq!(file_stamp(u64::MAX).len(), file_stamp(0).len());
    }

    #[test]
    fn a_single_digit_day_is_padded_with_a_space() {
        let mut text = Vec::new();
        rfc3164(TIME, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!((text.len(), &text[..6]), (15, "Nov  3"), "{text}");
    }
}
