//! Bytes into a message: header, questions and records in their order, within bounds. A fault leaves
//! everything that was read before it. The data of a record is left to `data`.

use domain::base::Message as Wire;
use domain::base::iana::{Class, Opcode, Rtype};
use domain::dep::octseq::Parser;

use super::data;
use super::names::{Names, Unreadable};
use super::text::Text;
use super::{Kind, Message, QuestionParts, RecordParts, Section, TRUNCATED, TooShort, edns};

/// mDNS asks for all types of a dozen services at once; elsewhere there is one question.
const MAX_QUESTIONS: usize = 256;

/// The longest message (65,535 bytes) holds as many A records under a compressed name.
const MAX_RECORDS: usize = 4096;

/// Twice the longest message: whole, unless escapes or compression pointers blow it up. Looked at
/// before each record, so that the data of one (at most 4 × 65,535) may still pass it.
const MAX_TEXT: usize = 131_072;

const HEADER: usize = 12;

/// A question is at least the root, a type and a class; a record has a TTL and a length as well.
const SHORTEST_QUESTION: usize = 5;
const SHORTEST_RECORD: usize = 11;

/// The top bit of a class in mDNS.
const MARK: u16 = 0x8000;

/// Questions that a message may have, its other counts aside: with more, a payload that is no DNS message
/// could pass for one.
const CREDIBLE_QUESTIONS: usize = 4;

const SHORT: &str = "there are less than the 12 bytes of a DNS header";
const NOT_DNS: &str = "the header is not one of a DNS message";
const UNCOUNTED: &str = "a question that is not counted";
const CUT: &str = "the message is cut off";
const BAD_NAME: &str = "a name is not valid";
const BAD_DATA: &str = "the data of a record is not what its type says";
const BAD_OPTIONS: &str = "the EDNS options are not valid";
const FEWER: &str = "fewer records than counted";
const SECOND_OPT: &str = "more than one OPT record";
const TRAILING: &str = "bytes follow the last record";
const TOO_MANY_QUESTIONS: &str = "more questions than are kept";
const TOO_MANY_RECORDS: &str = "more records than are kept";
const TOO_MUCH_TEXT: &str = "more text than is kept";
const TOO_MANY_NAMES: &str = "more labels and compression pointers than are followed";

pub(super) fn decode(message: &mut Message, bytes: &[u8], kind: Kind) -> Result<(), TooShort> {
    message.questions.clear();
    message.records.clear();
    message.hints.clear();
    message.errors.clear();
    message.text.clear();
    message.edns = None;
    (message.id, message.response, message.opcode) = (0, false, 0);
    (message.rcode, message.flags, message.counts) = (0, 0, [0; 4]);
    message.malformed = Some(SHORT);
    message.is_dns = false;
    message.kind = kind;
    let wire = Wire::from_slice(bytes).map_err(|_| TooShort)?;
    message.malformed = None;
    let (header, counts) = (wire.header(), wire.header_counts());
    message.id = header.id();
    message.response = header.qr();
    message.opcode = header.opcode().to_int();
    message.rcode = header.rcode().to_int().into();
    message.flags = bytes.get(2..4).and_then(|flags| flags.try_into().ok()).map_or(0, u16::from_be_bytes);
    message.counts = [counts.qdcount(), counts.ancount(), counts.nscount(), counts.arcount()];

    let mut parser = Parser::from_ref(bytes);
    parser.advance(HEADER).map_err(|_| TooShort)?;
    let mut decoder = Decoder { text: Text::reuse(&mut message.text), names: Names::default(), message, parser };
    if let Err(Stop(reason)) = decoder.sections() {
        decoder.note(reason);
    }
    decoder.message.text = decoder.text.finish();
    message.is_dns = is_dns(message, bytes.len() - HEADER);
    if !message.is_dns {
        message.malformed = message.malformed.or(Some(NOT_DNS));
    }
    Ok(())
}

/// Whether a payload with a header and `room` bytes behind it was meant as a DNS message. Servers answer
/// any opcode, and counts that lie, so that a question which can be read decides. Without one the counts
/// must fit.
fn is_dns(message: &Message, room: usize) -> bool {
    let [questions, records @ ..] = message.counts.map(usize::from);
    let records = records.iter().sum::<usize>();
    // A truncated answer may count what it leaves out.
    let truncated = message.flags & TRUNCATED != 0;
    let counts_fit = truncated || questions * SHORTEST_QUESTION + records * SHORTEST_RECORD <= room;
    if !message.questions.is_empty() {
        return counts_fit || questions <= CREDIBLE_QUESTIONS;
    }
    let something = records > 0 || message.response || message.opcode == Opcode::DSO.to_int();
    questions == 0 && counts_fit && something
}

/// The reason why nothing more is read.
struct Stop(&'static str);

struct Decoder<'m, 'a> {
    message: &'m mut Message,
    names: Names,
    text: Text,
    parser: Parser<'a, [u8]>,
}

impl<'a> Decoder<'_, 'a> {
    /// Keeps the first reason. A truncated message is short by intention.
    fn note(&mut self, reason: &'static str) {
        let intended = self.message.flags & TRUNCATED != 0 && matches!(reason, CUT | FEWER);
        if !intended && self.message.malformed.is_none() {
            self.message.malformed = Some(reason);
        }
    }

    fn sections(&mut self) -> Result<(), Stop> {
        let [questions, answers, authorities, additionals] = self.message.counts;
        for _ in 0..questions {
            self.question()?;
        }
        if self.message.counts == [0; 4] {
            self.uncounted_question();
        }
        let sections =
            [(Section::Answer, answers), (Section::Authority, authorities), (Section::Additional, additionals)];
        for (section, count) in sections {
            for _ in 0..count {
                self.record(section)?;
            }
        }
        // A stateful operation has no counts, but TLVs after the header (RFC 8490 5.4).
        let stateful = self.message.opcode == Opcode::DSO.to_int() && self.message.counts == [0; 4];
        if self.parser.remaining() > 0 && !stateful { Err(Stop(TRAILING)) } else { Ok(()) }
    }

    fn question(&mut self) -> Result<(), Stop> {
        self.more(self.message.questions.len() < MAX_QUESTIONS, TOO_MANY_QUESTIONS)?;
        let name = self.names.read(&mut self.parser, &mut self.text).map_err(stop)?;
        let qtype = self.number()?;
        let (class, unicast_response) = self.class()?;
        self.message.questions.push(QuestionParts { name, qtype, class, unicast_response });
        Ok(())
    }

    /// Reads the question. The header may count none although one follows, and nothing else: the name that is asked
    /// for can be read all the same.
    fn uncounted_question(&mut self) {
        let (parser, length) = (self.parser, self.text.len());
        let asks = self.parser.peek_all().first().is_some_and(|label| *label > 0);
        if asks && self.question().is_ok() && self.parser.remaining() == 0 {
            self.note(UNCOUNTED);
            return;
        }
        self.message.questions.clear();
        self.names.take_back(&mut self.text, length);
        self.parser = parser;
    }

    fn record(&mut self, section: Section) -> Result<(), Stop> {
        self.more(self.message.records.len() < MAX_RECORDS, TOO_MANY_RECORDS)?;
        let start = self.text.len();
        let name = self.names.read(&mut self.parser, &mut self.text).map_err(stop)?;
        let rtype = self.number()?;
        if section == Section::Additional && rtype == Rtype::OPT.to_int() {
            self.names.take_back(&mut self.text, start);
            return self.opt();
        }
        let (class, cache_flush) = self.class()?;
        let ttl = self.parser.parse_u32_be().map_err(|_| Stop(CUT))?;
        let mut parser = self.data()?;
        let whole = parser;

        let start = self.text.len();
        let hints = self.message.hints.len();
        let written = if parser.remaining() == 0 && (class == Class::ANY.to_int() || class == Class::NONE.to_int()) {
            // UPDATE names what must (not) be there, or what is deleted (RFC 2136 2.4, 2.5).
            Ok(data::Data::default())
        } else {
            data::write(rtype, class, &mut parser, &mut self.names, &mut self.text, &mut self.message.hints)
        };
        let data = match written {
            Ok(data) => data,
            Err(Unreadable::Exhausted) => return Err(Stop(TOO_MANY_NAMES)),
            Err(Unreadable::Cut | Unreadable::Invalid) => {
                self.note(BAD_DATA);
                self.names.take_back(&mut self.text, start);
                self.message.hints.truncate(hints);
                self.text.unknown(whole.peek_all());
                data::Data { text: self.text.since(start), ..data::Data::default() }
            }
        };
        let hints = hints..self.message.hints.len();
        let address = data.address.filter(|_| class == Class::IN.to_int());
        let (data, target) = (data.text, data.target);
        self.message.records.push(RecordParts {
            section,
            cache_flush,
            rtype,
            class,
            ttl,
            name,
            data,
            target,
            address,
            hints,
        });
        Ok(())
    }

    /// RFC 6891 6.1.
    fn opt(&mut self) -> Result<(), Stop> {
        let udp_size = self.number()?;
        let ttl = self.parser.parse_u32_be().map_err(|_| Stop(CUT))?;
        let mut options = self.data()?;
        if self.message.edns.is_some() {
            self.note(SECOND_OPT);
            return Ok(());
        }
        let [rcode, version, flags, _] = ttl.to_be_bytes();
        self.message.rcode |= u16::from(rcode) << 4;
        let mut edns = edns::Edns { udp_size, version, dnssec_ok: flags & 0x80 != 0, client_subnet: None };
        if edns::options(&mut options, &mut edns, &mut self.message.errors, &mut self.text).is_err() {
            self.note(BAD_OPTIONS);
        }
        self.message.edns = Some(edns);
        Ok(())
    }

    /// An error where no bytes are left, or no space for the item that they hold.
    fn more(&self, kept: bool, too_many: &'static str) -> Result<(), Stop> {
        if self.parser.remaining() == 0 {
            Err(Stop(FEWER))
        } else if !kept {
            Err(Stop(too_many))
        } else if self.text.len() > MAX_TEXT {
            Err(Stop(TOO_MUCH_TEXT))
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<u16, Stop> {
        self.parser.parse_u16_be().map_err(|_| Stop(CUT))
    }

    fn class(&mut self) -> Result<(u16, bool), Stop> {
        let class = self.number()?;
        Ok(match self.message.kind {
            Kind::Mdns => (class & !MARK, class & MARK != 0),
            Kind::Dns | Kind::Llmnr => (class, false),
        })
    }

    /// Length and data of a record, for a parser of their own.
    fn data(&mut self) -> Result<Parser<'a, [u8]>, Stop> {
        let length = self.number()?;
        self.parser.parse_parser(length.into()).map_err(|_| Stop(CUT))
    }
}

fn stop(unreadable: Unreadable) -> Stop {
    Stop(match unreadable {
        Unreadable::Cut => CUT,
        Unreadable::Invalid => BAD_NAME,
        Unreadable::Exhausted => TOO_MANY_NAMES,
    })
}
