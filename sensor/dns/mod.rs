//! DNS messages as text (RFC 8499 terms): decoded by the `domain` crate into one reused buffer.
//! The meaning of a message for a transaction or a rule is left to others.

mod data;
mod decode;
mod edns;
mod names;
mod numbers;
mod text;

use std::net::IpAddr;
use std::ops::Range;

pub use edns::{ClientSubnet, Edns, ExtendedError};
pub use numbers::{Class, ErrorInfo, Opcode, Rcode, Type};

use text::Span;

use crate::invariant::Invariant;

/// A decoded message; decode into the same one again and again, it allocates only to grow.
#[derive(Debug, Default, Clone)]
pub struct Message {
    pub id: u16,
    /// QR: this is an answer.
    pub response: bool,
    pub opcode: u8,
    /// The response code, with the extended bits of EDNS.
    pub rcode: u16,
    /// The second 16 bits of the header as they are (QR, opcode, AA, TC, RD, RA, AD, CD, rcode).
    pub flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT as the header claims.
    pub counts: [u16; 4],
    pub edns: Option<Edns>,
    /// Why only a part was readable, or what is wrong with a message that was read whole.
    pub malformed: Option<&'static str>,
    /// The payload was meant as a DNS message. Otherwise `malformed` says why it is taken for none, and
    /// what else stands here is what could be read of it, possibly by chance.
    pub is_dns: bool,
    pub kind: Kind,
    text: String,
    questions: Vec<QuestionParts>,
    records: Vec<RecordParts>,
    hints: Vec<IpAddr>,
    errors: Vec<(u16, Span)>,
}

/// The same wire format serves three protocols, which use a few bits differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    #[default]
    Dns,
    /// The top bit of a class is a mark (RFC 6762 18.12, 18.13).
    Mdns,
    /// The places of AA and RD mean conflict and tentative (RFC 4795 2.1.1).
    Llmnr,
}

impl Kind {
    /// The protocol of the well-known port at either end.
    #[must_use]
    pub fn of_port(port: u16) -> Self {
        match port {
            5353 => Self::Mdns,
            5355 => Self::Llmnr,
            _ => Self::Dns,
        }
    }
}

/// Names are lower case without the trailing dot ("." is the root); bytes outside 0x20–0x7e are
/// `\DDD`; a dot, a quote or a backslash inside a label is escaped by a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    pub name: &'a str,
    pub qtype: u16,
    pub class: u16,
    /// mDNS: an answer to the asker alone is welcome.
    pub unicast_response: bool,
}

/// A part of a message. The sections of an UPDATE (RFC 2136 2) are prerequisites, updates and additional
/// data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    pub section: Section,
    pub name: &'a str,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    /// mDNS: what was cached under this name and type before is void.
    pub cache_flush: bool,
    /// Presentation form (RFC 1035 5.1; RFC 3597 for types not known, and for data that is not
    /// what its type says). A name alone (CNAME, NS, PTR, DNAME) is written like `name`.
    pub data: &'a str,
    /// The address of an A or AAAA record in class IN.
    pub address: Option<IpAddr>,
    /// The `ipv4hint` and `ipv6hint` of HTTPS and SVCB: the client may connect there.
    pub hints: &'a [IpAddr],
    /// The name in the data of CNAME, DNAME, NS, PTR, MX, SRV, HTTPS, SVCB and of others that
    /// lead to one host (NAPTR, KX, AFSDB, …).
    pub target: Option<&'a str>,
}

#[derive(Debug, Clone, Copy)]
struct QuestionParts {
    name: Span,
    qtype: u16,
    class: u16,
    unicast_response: bool,
}

#[derive(Debug, Clone)]
struct RecordParts {
    section: Section,
    cache_flush: bool,
    rtype: u16,
    class: u16,
    ttl: u32,
    name: Span,
    data: Span,
    target: Option<Span>,
    address: Option<IpAddr>,
    hints: Range<usize>,
}

impl Message {
    /// Reads what is readable. Less than 12 bytes are no message; see also [`is_dns`](Self::is_dns).
    ///
    /// # Errors
    /// [`TooShort`]; the message is then empty.
    pub fn decode(&mut self, bytes: &[u8], kind: Kind) -> Result<(), TooShort> {
        decode::decode(self, bytes, kind)
    }

    #[must_use]
    pub fn questions(&self) -> impl ExactSizeIterator<Item = Question<'_>> {
        self.questions.iter().map(|parts| Question {
            name: parts.name.of(&self.text),
            qtype: parts.qtype,
            class: parts.class,
            unicast_response: parts.unicast_response,
        })
    }

    /// All sections in their order, without the OPT record (see `edns`).
    #[must_use]
    pub fn records(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().map(|parts| Record {
            section: parts.section,
            name: parts.name.of(&self.text),
            rtype: parts.rtype,
            class: parts.class,
            ttl: parts.ttl,
            cache_flush: parts.cache_flush,
            data: parts.data.of(&self.text),
            address: parts.address,
            hints: self.hints.get(parts.hints.clone()).holds(),
            target: parts.target.map(|target| target.of(&self.text)),
        })
    }

    /// Every address that the message gives, hints included, with the record that holds it.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, Record<'_>)> {
        self.records().flat_map(|record| {
            record.address.into_iter().chain(record.hints.iter().copied()).map(move |address| (address, record))
        })
    }

    /// The addresses of the first `most` records of the answer section, hints included.
    pub fn answered_addresses(&self, most: usize) -> impl Iterator<Item = IpAddr> + use<'_> {
        let answers = self.records.iter().filter(|parts| parts.section == Section::Answer).take(most);
        answers.flat_map(|parts| {
            let hints = self.hints.get(parts.hints.clone()).unwrap_or_default();
            parts.address.into_iter().chain(hints.iter().copied())
        })
    }

    /// Why the answer is what it is, as the server puts it (RFC 8914).
    #[must_use]
    pub fn extended_errors(&self) -> impl ExactSizeIterator<Item = ExtendedError<'_>> {
        self.errors.iter().map(|(code, text)| ExtendedError { code: ErrorInfo(*code), text: text.of(&self.text) })
    }

    /// The names of the header's set flags as `dns.header_flags` has them, and of DO from EDNS.
    pub fn header_flags(&self) -> impl Iterator<Item = &'static str> {
        let dnssec_ok = self.edns.is_some_and(|edns| edns.dnssec_ok);
        let meant = match self.kind {
            Kind::Llmnr => TRUNCATED,
            Kind::Dns | Kind::Mdns => u16::MAX,
        };
        let flags = self.flags & meant;
        FLAGS
            .into_iter()
            .filter(move |(bit, _)| flags & bit != 0)
            .map(|(_, name)| name)
            .chain(dnssec_ok.then_some("DO"))
    }
}

/// TC: more was to be said than fitted.
const TRUNCATED: u16 = 0x0200;

/// RFC 1035 4.1.1, RFC 4035 3.
const FLAGS: [(u16, &str); 6] =
    [(0x0400, "AA"), (TRUNCATED, "TC"), (0x0100, "RD"), (0x0080, "RA"), (0x0020, "AD"), (0x0010, "CD")];

/// The error of a payload without a whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("less than the 12 bytes of a DNS header")]
pub struct TooShort;
