//! DNS messages in a stream of bytes: the two-byte length before each (RFC 1035 4.2.2, RFC 7766 8),
//! and where to begin when the start of the stream was not seen.
//!
//! A stream whose first byte was seen is framed exactly, so every message of it is handed out,
//! however odd. Where the first byte, or more than the rest of one message, was not seen, the start
//! of a packet is taken as the start of a message if what stands there looks like one.

use crate::invariant::Invariant;
use crate::net::Framing;

/// The length of a message, and its header (RFC 1035 4.1.1).
const PREFIX: usize = 2;
const HEADER: usize = 12;
const HEAD: usize = PREFIX + HEADER;
/// Packets passed over in search of a first message, at which a stream counts as foreign. A long zone
/// transfer that was joined half-way gives many such packets.
const DOUBT_LIMIT: u32 = 64;

/// The state of one stream.
#[derive(Debug, Default, Clone)]
pub struct LengthPrefix {
    state: State,
    /// The message that is not complete yet, with its length. While searching: up to [`HEAD`] bytes that
    /// may be the start of one.
    partial: Vec<u8>,
    /// Bytes to pass over: the rest of a message that has a gap.
    skip: u64,
    /// Packets that were passed over in search of a message.
    doubt: u32,
    /// The stream is DNS beyond doubt: framed from its first byte, or a message was found in it. Such a
    /// stream is never foreign, because its writer could otherwise hide the rest of it behind a few
    /// odd messages that servers answer all the same.
    trusted: bool,
    /// The stream was called foreign.
    reported: bool,
    /// See [`Framing::trial`].
    trial: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Framed from the first byte of the connection on.
    Exact,
    /// Framed from the start of a packet that looked right.
    Guessed,
    /// The next packet may start with a message.
    #[default]
    Searching,
}

impl Framing for LengthPrefix {
    fn restart(&mut self, exact: bool) {
        self.state = if exact { State::Exact } else { State::Searching };
        self.partial.clear();
        (self.skip, self.doubt, self.trusted, self.reported) = (0, 0, exact, false);
    }

    fn push(&mut self, mut bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        if self.skip > 0 {
            let count = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= count as u64;
            lost += count as u64;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        if self.state == State::Searching {
            let (found, passed) = self.search(bytes);
            lost += passed;
            bytes = found;
        }
        lost + self.frame(bytes, message)
    }

    fn gap(&mut self, gap: u64) -> u64 {
        let rest = match (self.state, message_length(&self.partial)) {
            (State::Exact | State::Guessed, Some(length)) => (PREFIX + length - self.partial.len()) as u64,
            _ => self.skip,
        };
        let lost = gap + self.unread();
        self.partial.clear();
        // Inside a message whose length is known the next start is known too.
        if let Some(skip) = rest.checked_sub(gap).filter(|_| rest > 0) {
            self.skip = skip;
        } else {
            (self.state, self.skip) = (State::Searching, 0);
        }
        lost
    }

    fn close(&mut self) -> u64 {
        let unread = self.unread();
        let inside = unread > 0 || self.skip > 0;
        self.partial.clear();
        self.skip = 0;
        if inside {
            self.state = State::Searching;
        }
        unread
    }

    fn unread(&self) -> u64 {
        self.partial.len() as u64
    }

    fn capacity(&self) -> usize {
        self.partial.capacity()
    }

    fn shrink(&mut self, capacity: usize) {
        self.partial.shrink_to(capacity);
    }

    fn begin_trial(&mut self) {
        self.trial = 0;
    }

    fn trial(&self) -> u32 {
        self.trial
    }

    fn is_foreign(&mut self) -> bool {
        let foreign = !self.trusted && self.doubt >= DOUBT_LIMIT && !self.reported;
        self.reported |= foreign;
        foreign
    }
}

impl LengthPrefix {
    /// Looks for the start of a message at the start of this packet, or of the short ones before
    /// it. Gives the bytes that are to be framed now, and how many were passed over.
    fn search<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], u64) {
        let mut head = [0; HEAD];
        let earlier = self.partial.len() as u64;
        let known = self.partial.iter().chain(bytes).zip(&mut head).map(|(from, to)| *to = *from).count();
        if known < HEAD {
            self.partial.extend_from_slice(bytes);
            return (&[], 0);
        }
        if is_plausible(&head) {
            self.state = State::Guessed;
            return (bytes, 0);
        }
        self.partial.clear();
        self.doubt = self.doubt.saturating_add(1);
        if earlier == 0 {
            return (&[], bytes.len() as u64);
        }
        let (found, passed) = self.search(bytes);
        (found, earlier + passed)
    }

    fn frame(&mut self, mut bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
        while !bytes.is_empty() {
            let whole = if self.partial.is_empty() { split_message(bytes) } else { None };
            if let Some((whole, rest)) = whole {
                if !self.accepts(is_plausible(whole)) {
                    return self.lose(bytes);
                }
                self.trusted = true;
                message(whole.get(PREFIX..).holds());
                bytes = rest;
                continue;
            }
            // Byte counts at which something can be said: the length, the header, all of it.
            let have = self.partial.len();
            let goal = match message_length(&self.partial) {
                None => PREFIX,
                Some(length) if have < HEAD => HEAD.min(PREFIX + length),
                Some(length) => PREFIX + length,
            };
            let (now, rest) = bytes.split_at(bytes.len().min(goal - have));
            self.partial.extend_from_slice(now);
            bytes = rest;
            let have = self.partial.len();
            let Some(length) = message_length(&self.partial) else {
                continue;
            };
            let at_head = have == HEAD.min(PREFIX + length) && !now.is_empty();
            if at_head && !self.accepts(is_plausible(&self.partial)) {
                return self.lose(bytes);
            }
            if have == PREFIX + length {
                self.trusted = true;
                message(self.partial.get(PREFIX..).holds());
                self.partial.clear();
            }
        }
        0
    }

    /// Whether a message begins here: with any bytes, where the frame is known.
    fn accepts(&mut self, plausible: bool) -> bool {
        self.trial = self.trial.saturating_add(u32::from(!plausible));
        plausible || self.state == State::Exact
    }

    /// The frame was guessed wrongly: passes over everything at hand.
    fn lose(&mut self, bytes: &[u8]) -> u64 {
        let lost = self.unread() + bytes.len() as u64;
        self.partial.clear();
        self.state = State::Searching;
        self.doubt = self.doubt.saturating_add(1);
        lost
    }
}

/// A whole message with its length, and what follows.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(PREFIX + message_length(bytes)?)
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<PREFIX>().map(|prefix| usize::from(u16::from_be_bytes(*prefix)))
}

/// Whether a length and a header that a DNS server answers stand here. Servers answer queries with
/// reserved bits, unknown opcodes and a response code, so that only the counts decide: those of random
/// bytes hardly ever fit the length.
fn is_plausible(head: &[u8]) -> bool {
    /// A name takes a byte, type and class four, the rest of a record six (RFC 1035 4.1.2, 4.1.3).
    const QUESTION: usize = 5;
    const RECORD: usize = 11;

    let Some(&[high, low, _, _, flags, codes, q0, q1, a0, a1, n0, n1, r0, r1]) = head.first_chunk::<HEAD>() else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let [questions, answers, authorities, additionals] =
        [[q0, q1], [a0, a1], [n0, n1], [r0, r1]].map(|count| usize::from(u16::from_be_bytes(count)));
    let (response, opcode, rcode) = (flags & 0x80 != 0, (flags >> 3) & 0x0f, codes & 0x0f);
    let records = answers + authorities + additionals;
    if length < HEADER + questions * QUESTION + records * RECORD {
        return false;
    }
    match opcode {
        // NOTIFY, UPDATE
        4 | 5 => questions == 1 || (questions == 0 && response),
        // Stateful operations (RFC 8490 5.4)
        6 => questions + records == 0,
        // A query asks one question (RFC 9619) and answers nothing. The later
        // messages of a transfer need not repeat the question (RFC 5936 2.2.1), nor need errors.
        _ if !response => questions == 1 && answers == 0,
        _ => questions == 1 || (questions == 0 && (answers > 0 || rcode > 0)),
    }
}
