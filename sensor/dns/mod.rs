//! DNS messages as text (RFC 8499 terms): decoded by the `domain` crate into one reused buffer.
//! What a message means for a transaction or a rule is left to others.
use std::net::IpAddr;

/// A decoded message; decode into the same one again and again, it allocates only to grow.
#[derive(Debug, Default)]
pub struct Message {
    pub id: u16,
    /// QR: this is an answer.
    pub response: bool,
    pub opcode: u8,
    /// With the EDNS extended bits.
    pub rcode: u16,
    /// The second 16 bits of the header as they are (QR, opcode, AA, TC, RD, RA, AD, CD, rcode).
    pub flags: u16,
    /// QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT as the header claims.
    pub counts: [u16; 4],
    pub edns: Option<Edns>,
    /// Why only a part was readable.
    pub malformed: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
pub struct Edns {
    pub udp_size: u16,
    pub version: u8,
    pub dnssec_ok: bool,
}

/// Names are lower case without the trailing dot ("." is the root); bytes outside 0x20–0x7e are
/// `\DDD`; a dot, a quote or a backslash inside a label is escaped by a backslash.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub name: &'a str,
    pub qtype: u16,
    pub class: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub section: Section,
    pub name: &'a str,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    /// Presentation form (RFC 1035 5.1; RFC 3597 for types not known). A name alone (CNAME, NS, PTR, DNAME) is written like `name`.
    pub data: &'a str,
    /// Of A and AAAA.
    pub address: Option<IpAddr>,
    /// The name in the data of CNAME, DNAME, NS, PTR, MX, SRV, HTTPS, SVCB.
    pub target: Option<&'a str>,
}

impl Message {
    /// Less than 12 bytes are no message. Everything else gives what was readable.
    pub fn decode(&mut self, _bytes: &[u8]) -> Result<(), TooShort> {
        todo!()
    }
    pub fn questions(&self) -> impl Iterator<Item = Question<'_>> {
        std::iter::empty()
    }
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        std::iter::empty()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct TooShort;
