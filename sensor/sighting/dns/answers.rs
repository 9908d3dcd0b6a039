//! The records of the answer section that a line has space for.

use std::net::IpAddr;

use crate::dns::{Message, Record, Section};
use crate::json::{beginning, escaped_length, longest_escaped};

/// The first answers. The data of the last one may be shown in part: the beginning of a long text says more
/// than nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answers<'a> {
    message: &'a Message,
    /// Records that are shown.
    shown: usize,
    /// Escaped bytes of the data of the last one.
    last: usize,
}

/// `{"name":"","type":"TYPE65535","class":"CLASS65535","ttl":4294967295,"data":""},`
const ANSWER: usize = 79;

/// A shorter part of an answer's data is not worth its line.
const SHORTEST_DATA: usize = 64;

impl<'a> Answers<'a> {
    /// As many as `limit` bytes of JSON hold.
    pub(super) fn new(message: &'a Message, limit: usize) -> Self {
        let all = Self { message, shown: usize::MAX, last: usize::MAX };
        let longest = |record: Record| ANSWER + longest_escaped(record.name.len() + record.data.len());
        // Most answers are short: their lengths alone say that all of them fit.
        if all.records().map(longest).sum::<usize>() <= limit {
            return all;
        }
        let mut left = limit;
        for (position, record) in all.records().enumerate() {
            let rest = escaped_length(record.name, left).and_then(|name| left.checked_sub(ANSWER + name));
            let whole = rest.and_then(|rest| rest.checked_sub(escaped_length(record.data, rest)?));
            let Some(whole) = whole else {
                let last = rest.filter(|rest| *rest >= SHORTEST_DATA);
                let shown = position + usize::from(last.is_some());
                return Self { message, shown, last: last.unwrap_or(usize::MAX) };
            };
            left = whole;
        }
        all
    }

    /// Whether less is shown than the message has.
    pub(super) fn are_cut(&self) -> bool {
        self.shown != usize::MAX
    }

    pub(super) fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        self.message.records().filter(|record| record.section == Section::Answer).take(self.shown)
    }

    /// The records, each with the data that is shown of it.
    pub(super) fn shown(&self) -> impl Iterator<Item = (Record<'a>, &'a str)> + use<'a> {
        let (shown, last) = (self.shown, self.last);
        self.records().enumerate().map(move |(position, record)| {
            let data = if position + 1 == shown { beginning(record.data, last) } else { record.data };
            (record, data)
        })
    }

    /// The addresses of the records, hints of HTTPS and SVCB included.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.message.answered_addresses(self.shown)
    }
}
