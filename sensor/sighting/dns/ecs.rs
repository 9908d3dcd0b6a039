//! A DNS message, or the absence of one, in ECS: `dns.*`, `dnstrail.dns.*`, and the order of all parts.

use std::fmt::{self, Display};
use std::ops::Range;

use super::answers::Answers;
use super::sentence::message;
use super::{Document, Occurrence};
use crate::dns::{Class, Edns, Kind, Message, Opcode, Question, Rcode, Record, Section, Type};
use crate::json::{Address, Json, Key, key};
use crate::name::Suffix;
use crate::schema::{Limits, Line, ecs};

pub(super) fn write(document: &Document<'_>, line: &mut Line<'_>) {
    let Document { actor, matches, source, destination, transport, .. } = *document;
    let (limits, question) = (line.limits, document.question());
    let answers = Answers::new(document.message, limits.answers);
    ecs::begin(line, &document.event(line.time));
    ecs::rule(&mut line.json, matches, limits);
    dns(&mut line.json, document, question, answers, limits);
    ecs::actor(line, actor);
    let json = &mut line.json;
    let ends = ecs::Ends::new(source, destination, document.source_is_client);
    ends.conversation(json);
    ends.packet(json, document.translated());
    json.object(key!("network"), |json| {
        json.literal(key!("protocol"), "dns");
        ecs::network(json, transport, source, destination, document.direction);
        json.count(key!("bytes"), document.message_bytes);
    });
    message(json, document, limits);
    ecs::threat(json, matches, limits);
    let translated = document.translated().into_iter().flatten().map(|end| end.ip());
    let addresses = [source.ip(), destination.ip()].into_iter().chain(translated).chain(answers.addresses());
    let answered = answers.records().flat_map(|record| [Some(record.name), record.target]).flatten();
    // A message may ask several questions, of which only the first has fields of its own.
    let others = document.message.questions().skip(1).map(|question| question.name);
    let names = question.map(|question| question.name).into_iter().chain(others).chain(answered);
    // The root is no host.
    let hosts = names.filter(|name| *name != ".");
    let user = ecs::User::of(actor).and_then(|user| user.name);
    ecs::related(json, addresses, hosts, user, limits);
    ecs::own(json, |json| own(json, document, limits));
}

/// `dns`: the question stands first and the answers, which may be long, last.
fn dns(
    json: &mut Json<'_>,
    document: &Document<'_>,
    question: Option<Question<'_>>,
    answers: Answers<'_>,
    limits: Limits,
) {
    let message = document.message;
    if !document.has_header() {
        return;
    }
    json.object(key!("dns"), |json| {
        json.literal(key!("type"), if message.response { "answer" } else { "query" });
        json.keyword(key!("id"), message.id.into());
        if let Some(question) = question {
            json.object(key!("question"), |json| self::question(json, question, limits));
        }
        header(json, message);
        json.list(key!("resolved_ip"), |list| answers.addresses().for_each(|address| list.ip(address)));
        if answers.are_cut() {
            json.cuts().add("dns.answers");
        }
        json.list(key!("answers"), |list| {
            let mut before: Option<(Record<'_>, Range<usize>)> = None;
            for (record, data) in answers.shown() {
                list.object(|json| {
                    let start = json.position();
                    match before.take() {
                        Some((other, fields)) if is_of_set(&other, &record) => json.again(fields),
                        _ => {
                            json.text(key!("name"), record.name);
                            type_and_class(json, record.rtype, record.class);
                            json.number(key!("ttl"), record.ttl);
                        }
                    }
                    before = Some((record, start..json.position()));
                    json.text(key!("data"), data);
                });
            }
        });
    });
}

/// Whether two records are of one set (RFC 2181 5) and differ in their data alone.
fn is_of_set(one: &Record<'_>, other: &Record<'_>) -> bool {
    (one.rtype, one.class, one.ttl) == (other.rtype, other.class, other.ttl) && one.name == other.name
}

/// `dns.op_code`, `.response_code` and `.header_flags`
fn header(json: &mut Json<'_>, message: &Message) {
    const HEADER: u64 = 1;
    let dnssec_ok = message.edns.is_some_and(|edns| edns.dnssec_ok);
    let numbers = [message.flags, message.rcode, message.opcode.into()].map(u64::from);
    let facts = [message.response, dnssec_ok, message.kind == Kind::Llmnr].map(u64::from);
    let [[flags, rcode, opcode], [response, dnssec_ok, llmnr]] = [numbers, facts];
    json.repeated([HEADER, flags << 32 | rcode << 16 | opcode, response << 2 | dnssec_ok << 1 | llmnr, 0], |json| {
        mnemonic!(json, "op_code", Opcode(message.opcode.into()));
        // In a query the field means nothing.
        if message.response {
            mnemonic!(json, "response_code", Rcode(message.rcode));
        }
        json.list(key!("header_flags"), |list| message.header_flags().for_each(|flag| list.literal(flag)));
    });
}

/// `type` and `class` of a question or a record.
fn type_and_class(json: &mut Json<'_>, rtype: u16, class: u16) {
    const TYPE_AND_CLASS: u64 = 2;
    json.repeated([TYPE_AND_CLASS, rtype.into(), class.into(), 0], |json| {
        mnemonic!(json, "type", Type(rtype));
        mnemonic!(json, "class", Class(class));
    });
}

fn question(json: &mut Json<'_>, question: Question<'_>, limits: Limits) {
    let suffix = Suffix::of(question.name);
    json.cut(key!("name"), question.name, limits.text, "dns.question.name");
    type_and_class(json, question.qtype, question.class);
    json.cut(key!("registered_domain"), suffix.registered_domain, limits.text, "dns.question.registered_domain");
    json.cut(key!("subdomain"), suffix.subdomain, limits.text, "dns.question.subdomain");
    json.cut(key!("top_level_domain"), suffix.top_level_domain, limits.text, "dns.question.top_level_domain");
}

/// `dnstrail`: facts about a message that ECS has no field for.
pub(super) fn own(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    json.object(key!("dns"), |json| own_dns(json, document, limits));
    ecs::own_process(json, document.actor, document.marks.several_writers);
    if document.network_namespace != 0 {
        json.number(key!("network_namespace"), document.network_namespace);
    }
    ecs::matches(json, document.matches, limits);
}

fn own_dns(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    let message = document.message;
    let ports = [document.source.port(), document.destination.port()].map(Kind::of_port);
    json.literal(
        key!("protocol"),
        match ports {
            [Kind::Mdns, _] | [_, Kind::Mdns] => "mdns",
            [Kind::Llmnr, _] | [_, Kind::Llmnr] => "llmnr",
            [Kind::Dns, Kind::Dns] => "dns",
        },
    );
    if let Occurrence::Answer { late, duplicate, .. } = document.occurrence {
        flag(json, key!("late"), late);
        flag(json, key!("duplicate"), duplicate);
    }
    flag(json, key!("zero_copy"), document.marks.is_zero_copy);
    json.text(key!("malformed"), message.malformed);
    if document.occurrence == Occurrence::Malformed {
        first_bytes(json, document.first_bytes);
    }
    if !document.has_header() {
        return;
    }
    // The counts are those that the header claims; less may have been readable.
    let [questions, answers, authorities, additionals] = message.counts;
    count(json, key!("questions_count"), questions, 1);
    count(json, key!("answers_count"), answers, 0);
    count(json, key!("authorities_count"), authorities, 0);
    count(json, key!("additionals_count"), additionals, 0);
    flag(json, key!("unicast_response"), message.questions().next().is_some_and(|question| question.unicast_response));
    let is_flushing = message.kind == Kind::Mdns
        && message.records().any(|record| record.section == Section::Answer && record.cache_flush);
    flag(json, key!("cache_flush"), is_flushing);
    if let Some(edns) = message.edns {
        json.object(key!("edns"), |json| self::edns(json, edns));
    }
    extended_errors(json, document, limits);
}

fn first_bytes(json: &mut Json<'_>, bytes: &[u8]) {
    if !bytes.is_empty() {
        json.shown(key!("first_bytes"), Hexadecimal(bytes));
    }
}

struct Hexadecimal<'a>(&'a [u8]);

impl Display for Hexadecimal<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A count that is left out where it is what most messages have.
#[expect(clippy::inline_always, reason = "a name is a constant of the caller: copied in place, its length is known")]
#[inline(always)]
fn count(json: &mut Json<'_>, name: Key, count: u16, usual: u16) {
    if count != usual {
        json.number(name, count);
    }
}

/// A flag that is left out where it is false.
#[expect(clippy::inline_always, reason = "a name is a constant of the caller: copied in place, its length is known")]
#[inline(always)]
fn flag(json: &mut Json<'_>, name: Key, flag: bool) {
    if flag {
        json.flag(name, true);
    }
}

/// RFC 6891. The DO bit is in `dns.header_flags`.
fn edns(json: &mut Json<'_>, edns: Edns) {
    json.number(key!("version"), edns.version);
    json.number(key!("udp_size"), edns.udp_size);
    // RFC 7871
    if let Some(subnet) = edns.client_subnet {
        json.object(key!("client_subnet"), |json| {
            json.address(key!("ip"), &Address::new(subnet.address));
            json.number(key!("source_prefix"), subnet.source_prefix);
            json.number(key!("scope_prefix"), subnet.scope_prefix);
        });
    }
}

/// RFC 8914
fn extended_errors(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    let field = "dnstrail.dns.extended_errors";
    let errors = document.message.extended_errors();
    if errors.len() > limits.elements {
        json.cuts().add(field);
    }
    json.list(key!("extended_errors"), |list| {
        for error in errors.take(limits.elements) {
            list.object(|json| {
                json.number(key!("info_code"), error.code.0);
                json.text(key!("name"), error.code.mnemonic());
                json.cut(key!("text"), Some(error.text).filter(|text| !text.is_empty()), limits.text, field);
            });
        }
    });
}
