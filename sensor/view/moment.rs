//! Points in time, as people type them and as documents have them.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(DateTime<Utc>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give a day or a time in UTC or with its offset, for example 2026-11-21 or 2026-11-21T03:10:30Z")]
pub struct MomentError;

impl FromStr for Moment {
    type Err = MomentError;

    /// RFC 3339, also with a space for the `T`, or without an offset for UTC; a day is its first moment.
    fn from_str(text: &str) -> Result<Self, MomentError> {
        let text = text.replacen(' ', "T", 1);
        let with_offset = || DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc());
        let in_utc = || NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc());
        let day = || Some(NaiveDate::from_str(&text).ok()?.and_time(NaiveTime::MIN).and_utc());
        with_offset().or_else(in_utc).or_else(day).map(Self).ok_or(MomentError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_every_form() {
        let moment = |text: &str| text.parse::<Moment>();
        let day = moment("2026-11-21").unwrap();
        for text in
            ["2026-11-21T00:00:00Z", "2026-11-21 00:00:00", "2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00.0"]
        {
            assert_eq!(moment(text), Ok(day), "{text}");
        }
        assert!(day < moment("2026-11-21T00:00:00.000000001Z").unwrap());
        for text in ["", "yesterday", "2026-11-31", "2026-11-21T25:00:00Z", "21.11.2026"] {
            assert_eq!(moment(text), Err(MomentError), "{text}");
        }
    }
}
