//! The lines that a worker holds: those to be sent, and those sent but not yet confirmed by the peer's
//! kernel. One memory serves both, so that a line in flight on a lost connection can be sent again.

use std::collections::VecDeque;

use super::super::delivery::Progress;
use super::super::line::{Kind, Line};
use super::link::{Doubt, Message};

/// The bytes in front of each line of a chunk: length, time, kind and severity.
const HEADER: usize = 4 + 8 + 1 + 1;
/// A value that no severity has: they end at 100.
const NO_SEVERITY: u8 = u8::MAX;
/// Settled lines are remembered in spans of about this many bytes.
const SPAN: u64 = 4 << 10;
/// The number of spans: 16 MiB in all, more than the 6 MiB that a Linux receiver's kernel holds by
/// default (`net.ipv4.tcp_rmem`).
const SPANS: usize = 4096;

/// Appends a line to a chunk.
pub(super) fn append(chunk: &mut Vec<u8>, line: &Line<'_>) {
    debug_assert!(u32::try_from(line.bytes.len()).is_ok(), "documents have a cap far below 4 GiB");
    let length = u32::try_from(line.bytes.len()).unwrap_or(u32::MAX);
    let bytes = line.bytes.get(..length as usize).unwrap_or(line.bytes);
    chunk.extend_from_slice(&length.to_ne_bytes());
    chunk.extend_from_slice(&line.time.to_ne_bytes());
    chunk.push(line.kind as u8);
    chunk.push(line.severity.unwrap_or(NO_SEVERITY));
    chunk.extend_from_slice(bytes);
}

/// The line that starts at `at`, and the place where the next one starts.
fn read(chunk: &[u8], at: usize) -> Option<(Message<'_>, usize)> {
    let (header, rest) = chunk.get(at..)?.split_first_chunk::<HEADER>()?;
    let [l0, l1, l2, l3, t0, t1, t2, t3, t4, t5, t6, t7, kind, severity] = *header;
    let line = rest.get(..u32::from_ne_bytes([l0, l1, l2, l3]) as usize)?;
    let message = Message {
        line,
        time: u64::from_ne_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
        kind: Kind::ALL.into_iter().find(|known| *known as u8 == kind).unwrap_or(Kind::Event),
        severity: Some(severity).filter(|&severity| severity != NO_SEVERITY),
    };
    Some((message, at + HEADER + line.len()))
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    chunks: VecDeque<Vec<u8>>,
    /// The place of the first unsettled line in the first chunk.
    settled: usize,
    /// Chunk and place of the next line to be framed.
    next: (usize, usize),
    /// For each framed, unsettled line the place in the bytes of this connection where it ends.
    flying: VecDeque<u64>,
    /// The lines settled last, in spans: the end of each span and its number of lines.
    spans: VecDeque<(u64, u64)>,
    /// Bytes framed on this connection.
    framed: u64,
    /// The end of the last settled line in the bytes of this connection.
    settled_end: u64,
}

impl Backlog {
    pub fn add(&mut self, chunk: Vec<u8>) {
        self.chunks.push_back(chunk);
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// True while framed lines wait to be confirmed.
    pub fn is_flying(&self) -> bool {
        !self.flying.is_empty()
    }

    /// Hands the next line to `frame`, which returns the length of its frame. False means that there is none.
    pub fn frame_next(&mut self, frame: impl FnOnce(&Message<'_>) -> usize) -> bool {
        while let Some(chunk) = self.chunks.get(self.next.0) {
            if let Some((message, end)) = read(chunk, self.next.1) {
                self.framed += frame(&message) as u64;
                self.flying.push_back(self.framed);
                self.next.1 = end;
                return true;
            }
            if self.next.0 + 1 >= self.chunks.len() {
                return false;
            }
            self.next = (self.next.0 + 1, 0);
        }
        false
    }

    /// The peer has confirmed this many bytes of this connection. Settled lines and emptied chunks are
    /// added to `progress`.
    pub fn settle(&mut self, confirmed: u64, progress: &mut Progress) {
        while let Some(&end) = self.flying.front().filter(|end| **end <= confirmed) {
            self.flying.pop_front();
            self.advance(progress);
            self.remember(end);
            self.settled_end = end;
        }
    }

    /// Gives up the line framed last, the only one in flight, because it cannot be sent at all.
    pub fn abandon(&mut self, length: usize, progress: &mut Progress) {
        if self.flying.pop_back().is_some() {
            self.framed -= length as u64;
            self.advance(progress);
        }
    }

    /// The connection is lost: lines in flight are to be framed again. Returns the number of those that had
    /// been handed over, at least in part, within the first `handed` bytes.
    pub fn rewind(&mut self, handed: u64) -> u64 {
        let last = self.flying.partition_point(|&end| end <= handed);
        let begun = self.flying.len().min(last + usize::from(self.start_of(last) < handed));
        self.flying.clear();
        self.spans.clear();
        self.framed = 0;
        self.settled_end = 0;
        self.next = (0, self.settled);
        begun as u64
    }

    /// The number of settled lines of this connection that lie within the doubt.
    pub fn doubted(&self, doubt: Doubt, confirmed: u64) -> u64 {
        let settled: u64 = self.spans.iter().map(|&(_, lines)| lines).sum();
        match doubt {
            Doubt::None | Doubt::Refused(_) => 0,
            Doubt::Lines(most) => settled.min(most),
            Doubt::Bytes(most) => {
                let sure = confirmed.saturating_sub(most);
                self.spans.iter().filter(|&&(end, _)| end > sure).map(|&(_, lines)| lines).sum()
            }
        }
    }

    fn start_of(&self, index: usize) -> u64 {
        index.checked_sub(1).and_then(|before| self.flying.get(before)).copied().unwrap_or(self.settled_end)
    }

    /// The first unsettled line has left.
    fn advance(&mut self, progress: &mut Progress) {
        progress.lines += 1;
        if let Some((_, end)) = self.chunks.front().and_then(|chunk| read(chunk, self.settled)) {
            self.settled = end;
        }
        if self.chunks.front().is_some_and(|chunk| self.settled >= chunk.len()) {
            progress.emptied.extend(self.chunks.pop_front());
            self.settled = 0;
            self.next = if self.next.0 == 0 { (0, 0) } else { (self.next.0 - 1, self.next.1) };
        }
    }

    fn remember(&mut self, end: u64) {
        let before = self.spans.len().checked_sub(2).and_then(|index| self.spans.get(index)).map_or(0, |span| span.0);
        match self.spans.back_mut() {
            Some(span) if end - before < SPAN => *span = (end, span.1 + 1),
            _ => {
                if self.spans.len() >= SPANS {
                    self.spans.pop_front();
                }
                self.spans.push_back((end, 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::line::Format;
    use super::*;

    fn chunk(lines: &[&str]) -> Vec<u8> {
        let mut chunk = Vec::new();
        for line in lines {
            let line =
                Line { bytes: line.as_bytes(), format: Format::Ecs, kind: Kind::Alert, severity: Some(7), time: 9 };
            append(&mut chunk, &line);
        }
        chunk
    }

    fn settle(backlog: &mut Backlog, confirmed: u64, progress: &mut Progress) -> u64 {
        backlog.settle(confirmed, progress);
        std::mem::take(&mut progress.lines)
    }

    fn frame_all(backlog: &mut Backlog) -> String {
        let mut frames = String::new();
        while backlog.frame_next(|message| {
            assert_eq!((message.kind, message.severity, message.time), (Kind::Alert, Some(7), 9));
            frames.push_str(std::str::from_utf8(message.line).unwrap());
            message.line.len()
        }) {}
        frames
    }

    #[test]
    fn lines_that_are_not_confirmed_are_framed_again() {
        let mut backlog = Backlog::default();
        let mut progress = Progress::default();
        backlog.add(chunk(&["aa\n", "bb\n"]));
        backlog.add(chunk(&["cc\n", "dd\n"]));
        assert_eq!(frame_all(&mut backlog), "aa\nbb\ncc\ndd\n");
        assert_eq!(settle(&mut backlog, 8, &mut progress), 2);
        assert_eq!(progress.emptied.len(), 1);
        // The peer has 8 of the 10 bytes that the kernel took: cc was begun, dd too (its first byte).
        assert_eq!(backlog.rewind(10), 2);
        backlog.add(chunk(&["ee\n"]));
        assert_eq!(frame_all(&mut backlog), "cc\ndd\nee\n");
        assert_eq!(settle(&mut backlog, 9, &mut progress), 3);
        assert!(backlog.is_empty() && !backlog.is_flying());
        backlog.add(chunk(&["ff\n"]));
        assert_eq!(frame_all(&mut backlog), "ff\n");
        assert_eq!(settle(&mut backlog, 12, &mut progress), 1);
        assert!(backlog.is_empty());
    }

    #[test]
    fn only_lines_that_were_begun_count_as_sent_twice() {
        for (handed, begun) in [(0, 0), (1, 1), (3, 1), (4, 2), (6, 2)] {
            let mut backlog = Backlog::default();
            backlog.add(chunk(&["aa\n", "bb\n"]));
            frame_all(&mut backlog);
            assert_eq!(backlog.rewind(handed), begun, "{handed}");
        }
    }

    #[test]
    fn a_line_that_waits_behind_a_settled_one_was_not_begun() {
        let mut backlog = Backlog::default();
        backlog.add(chunk(&["aa\n", "bb\n"]));
        frame_all(&mut backlog);
        backlog.settle(3, &mut Progress::default());
        assert_eq!(backlog.rewind(3), 0);
    }

    #[test]
    fn a_line_too_long_for_a_datagram_is_left_out() {
        let mut backlog = Backlog::default();
        let mut progress = Progress::default();
        backlog.add(chunk(&["aa\n", "bb\n"]));
        assert!(backlog.frame_next(|message| message.line.len()));
        backlog.abandon(3, &mut progress);
        assert_eq!(frame_all(&mut backlog), "bb\n");
        assert_eq!(settle(&mut backlog, 3, &mut progress), 2);
        assert!(backlog.is_empty());
    }

    #[test]
    fn doubt_reaches_back_by_bytes_or_lines() {
        let mut backlog = Backlog::default();
        let long = format!("{}\n", "x".repeat(4095));
        backlog.add(chunk(&vec![long.as_str(); 100]));
        frame_all(&mut backlog);
        backlog.settle(409_600, &mut Progress::default());
        assert_eq!(backlog.doubted(Doubt::Bytes(40_960), 409_600), 10);
        assert_eq!(backlog.doubted(Doubt::Bytes(u64::MAX), 409_600), 100);
        assert_eq!(backlog.doubted(Doubt::Lines(11), 409_600), 11);
        assert_eq!(backlog.doubted(Doubt::None, 409_600), 0);
    }
}
