//! Bytes in order into messages: the two-byte length (RFC 1035 4.2.2), and where to begin when the
//! start was not seen.

/// The length of a message, and its header (RFC 1035 4.1.1).
const PREFIX: usize = 2;
const HEADER: usize = 12;
const HEAD: usize = PREFIX + HEADER;
/// Doubt at which a flow is said not to be DNS.
const DOUBT_LIMIT: u32 = 64;
/// What a message whose header cannot be one of DNS adds to the doubt: four in a row suffice.
const DOUBT_MESSAGE: u32 = 16;
/// What a packet adds that was passed over in search of a message: less, because a long zone
/// transfer that was joined half-way gives many such.
const DOUBT_PACKET: u32 = 1;

#[derive(Debug, Default)]
pub(crate) struct Framing {
    state: State,
    /// The message that is not complete yet, with its length; while searching, up to [`HEAD`]
    /// bytes that may be the start of one.
    partial: Vec<u8>,
    /// Bytes to pass over: the rest of a message that has a gap.
    skip: u64,
    doubt: u32,
    doubt_told: bool,
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

impl Framing {
    /// Begins anew, at the first byte of a connection or somewhere in it.
    pub(crate) fn restart(&mut self, exact: bool) {
        self.state = if exact { State::Exact } else { State::Searching };
        self.partial.clear();
        (self.skip, self.doubt, self.doubt_told) = (0, 0, false);
    }

    /// The next bytes, from the start of a packet on where that matters. Gives how many of them,
    /// and of those before, were passed over.
    pub(crate) fn push(&mut self, mut bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
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

    /// Bytes that will never come. Gives how many bytes that costs so far, the gap included.
    pub(crate) fn gap(&mut self, gap: u64) -> u64 {
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

    /// Gives up the message that is not complete; gives its bytes so far.
    pub(crate) fn close(&mut self) -> u64 {
        let unread = self.unread();
        let inside = unread > 0 || self.skip > 0;
        self.partial.clear();
        self.skip = 0;
        if inside {
            self.state = State::Searching;
        }
        unread
    }

    pub(crate) fn unread(&self) -> u64 {
        self.partial.len() as u64
    }

    /// Memory in use.
    pub(crate) fn capacity(&self) -> usize {
        self.partial.capacity()
    }

    pub(crate) fn shrink(&mut self, capacity: usize) {
        self.partial.shrink_to(capacity);
    }

    /// `true` once, when the doubt is large enough.
    pub(crate) fn is_doubtful(&mut self) -> bool {
        let doubtful = self.doubt >= DOUBT_LIMIT && !self.doubt_told;
        self.doubt_told |= doubtful;
        doubtful
    }

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
        self.doubt = self.doubt.saturating_add(DOUBT_PACKET);
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
                if !judge(self.state, &mut self.doubt, whole) {
                    return self.lose(bytes);
                }
                message(whole.get(PREFIX..).unwrap_or_default());
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
            if at_head && !judge(self.state, &mut self.doubt, &self.partial) {
                return self.lose(bytes);
            }
            if have == PREFIX + length {
                message(self.partial.get(PREFIX..).unwrap_or_default());
                self.partial.clear();
            }
        }
        0
    }

    /// The frame was guessed wrongly: passes over everything at hand.
    fn lose(&mut self, bytes: &[u8]) -> u64 {
        let lost = self.unread() + bytes.len() as u64;
        self.partial.clear();
        self.state = State::Searching;
        lost
    }
}

/// `false`: this is no message, and the frame was only guessed.
fn judge(state: State, doubt: &mut u32, head: &[u8]) -> bool {
    if is_plausible(head) {
        *doubt = 0;
        return true;
    }
    *doubt = doubt.saturating_add(DOUBT_MESSAGE);
    state == State::Exact
}

/// A whole message with its length, and what follows.
fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(PREFIX + message_length(bytes)?)
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<PREFIX>().map(|prefix| usize::from(u16::from_be_bytes(*prefix)))
}

/// Whether a length and a header that DNS software writes stand here. Random bytes hardly ever
/// pass: the counts must fit the length.
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
    if codes & 0x40 != 0 || length < HEADER + questions * QUESTION + records * RECORD {
        return false;
    }
    match opcode {
        // QUERY, IQUERY, STATUS. A query asks one question (RFC 9619) and answers nothing; what
        // follows in a transfer need not repeat the question (RFC 5936 2.2.1), nor need errors.
        0..=2 if !response => questions == 1 && answers == 0 && rcode == 0,
        0..=2 => questions == 1 || (questions == 0 && (answers > 0 || rcode > 0)),
        // NOTIFY, UPDATE
        4 | 5 => questions == 1 || (questions == 0 && response),
        // Stateful operations (RFC 8490 5.4)
        6 => questions + records == 0,
        _ => false,
    }
}
