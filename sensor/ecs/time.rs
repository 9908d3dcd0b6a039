//! Instants as RFC 3339 text with nanoseconds in UTC, which is what the ECS type `date` holds
//! here. The calendar is chrono's; the digits are written by hand, because a document holds up to
//! five instants and chrono's formatter would take half of its time.

use chrono::{DateTime, Datelike, Timelike};
use serde::{Serialize, Serializer};

use super::json::Piece;

/// Nanoseconds since the Unix epoch; `u64` ends in the year 2554, so the year has four digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instant(pub u64);

const NANOSECONDS: u64 = 1_000_000_000;

/// `"2026-11-21T03:10:30.123456789Z"`
const LENGTH: usize = 32;

impl Instant {
    fn write(self, json: &mut [u8; LENGTH]) -> Option<()> {
        let seconds = i64::try_from(self.0 / NANOSECONDS).ok()?;
        let time = DateTime::from_timestamp(seconds, 0)?;
        let date = time.date_naive();
        let parts = [
            (1, 4, date.year().unsigned_abs()),
            (6, 2, date.month()),
            (9, 2, date.day()),
            (12, 2, time.hour()),
            (15, 2, time.minute()),
            (18, 2, time.second()),
            (21, 9, u32::try_from(self.0 % NANOSECONDS).ok()?),
        ];
        for (start, width, number) in parts {
            digits(json.get_mut(start..start + width)?, number);
        }
        Some(())
    }
}

fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = *b"\"0000-00-00T00:00:00.000000000Z\"";
        self.write(&mut json).ok_or_else(|| serde::ser::Error::custom("not an instant"))?;
        Piece(&json).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use chrono::SecondsFormat;
    use proptest::prelude::*;

    use super::*;

    fn text(time: u64) -> String {
        crate::ecs::json::in_line(&Instant(time)).trim_matches('"').to_owned()
    }

    #[test]
    fn edges() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(text(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(text(u64::MAX), "2554-07-21T23:34:33.709551615Z");
    }

    proptest! {
        #[test]
        fn as_chrono_writes_it(time in 0..i64::MAX.unsigned_abs()) {
            let expected = DateTime::from_timestamp_nanos(i64::try_from(time).unwrap())
                .to_rfc3339_opts(SecondsFormat::Nanos, true);
            prop_assert_eq!(text(time), expected);
        }
    }
}
