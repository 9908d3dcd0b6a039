//! The fields and actions of DNS messages.

use crate::field::Holds::{Address, Form, Mnemonic, Name, Object, OneOf, Text, True};
use crate::field::{Action, Field, Fields, Holds, field, own};
use crate::schema::ecs::fields::{ACTOR, MESSAGE, NETWORK, OWN_ACTOR, THREAT};

const NAME: Field = field("dns.question.name", Name, "query", "query.hostname", "The name that is asked for").always();
const OWNER: Field = field("dns.answers.name", Name, "", "answers.rdata", "").always();
const DATA: Field = field("dns.answers.data", Text, "answer", "answers.rdata", "").always();
const RESOLVED: Field = field(
    "dns.resolved_ip",
    Address,
    "",
    "answers.rdata",
    "The addresses of the answers, hints of HTTPS and SVCB included",
)
.list();

pub static QUESTION_NAME: Field = NAME;
pub static ANSWER_NAME: Field = OWNER;
pub static ANSWER_DATA: Field = DATA;
pub static RESOLVED_IP: Field = RESOLVED;

pub const FIELDS: Fields = &[
    field("network.protocol", OneOf(&["dns"]), "", "", "").always(),
    field("dns.type", OneOf(&["query", "answer"]), "message_type", "activity_id", "").always(),
    field("dns.id", Form("^[0-9]{1,5}$"), "transaction_id", "query.packet_uid", "").always(),
    NAME,
    field("dns.question.type", Mnemonic, "record_type", "query.type", "").always(),
    field("dns.question.class", Mnemonic, "", "query.class", "").always(),
    field("dns.question.registered_domain", Name, "", "", "By the Public Suffix List"),
    field("dns.question.subdomain", Name, "", "", ""),
    field("dns.question.top_level_domain", Name, "", "", ""),
    field("dns.op_code", Mnemonic, "query_type", "query.opcode", "").always(),
    field("dns.response_code", Mnemonic, "reply_code", "rcode", ""),
    field("dns.header_flags", OneOf(&["AA", "TC", "RD", "RA", "AD", "CD", "DO"]), "", "answers.flag_ids", "").set(),
    RESOLVED,
    field("dns.answers", Object, "", "answers", "The records of the answer section").list(),
    OWNER,
    field("dns.answers.type", Mnemonic, "", "answers.type", "").always(),
    field("dns.answers.class", Mnemonic, "", "answers.class", "").always(),
    field("dns.answers.ttl", Holds::U32, "ttl", "answers.ttl", "CIM: of the first answer").always(),
    DATA,
    field(
        "dnstrail.dns.protocol",
        OneOf(&["dns", "mdns", "llmnr"]),
        "dnstrail.dns.protocol",
        "unmapped.dnstrail.dns.protocol",
        "The three share the format",
    )
    .always(),
    own("dnstrail.dns.late", True, "The answer came after the timeout"),
    own("dnstrail.dns.duplicate", True, "The query had been answered before"),
    own("dnstrail.dns.zero_copy", True, "The sender may have changed the message after it was seen (MSG_ZEROCOPY)"),
    own("dnstrail.dns.malformed", Text, "Why only a part could be read, or what is wrong with the message"),
    own(
        "dnstrail.dns.first_bytes",
        Form("^([0-9a-f]{2}){1,64}$"),
        "Up to 64 bytes of what is no DNS message, in hexadecimal; `network.bytes` is the length of all",
    ),
    own("dnstrail.dns.questions_count", Holds::U16, "As the header claims; left out where it is 1"),
    own("dnstrail.dns.answers_count", Holds::U16, "As the header claims; left out where it is 0"),
    own("dnstrail.dns.authorities_count", Holds::U16, "As the header claims; left out where it is 0"),
    own("dnstrail.dns.additionals_count", Holds::U16, "As the header claims; left out where it is 0"),
    own("dnstrail.dns.unicast_response", True, "RFC 6762 5.4"),
    own("dnstrail.dns.cache_flush", True, "RFC 6762 10.2, of any answer"),
    own("dnstrail.dns.edns.version", Holds::U8, "RFC 6891").always(),
    own("dnstrail.dns.edns.udp_size", Holds::U16, "").always(),
    own("dnstrail.dns.edns.client_subnet.ip", Address, "RFC 7871").always(),
    own("dnstrail.dns.edns.client_subnet.source_prefix", Holds::U8, "").always(),
    own("dnstrail.dns.edns.client_subnet.scope_prefix", Holds::U8, "").always(),
    own("dnstrail.dns.extended_errors", Object, "RFC 8914").list(),
    own("dnstrail.dns.extended_errors.info_code", Holds::U16, "").always(),
    own("dnstrail.dns.extended_errors.name", Text, ""),
    own("dnstrail.dns.extended_errors.text", Text, ""),
];

const TABLES: &[Fields] = &[FIELDS, MESSAGE, ACTOR, OWN_ACTOR, NETWORK, THREAT];

const ALWAYS: &[&str] = &[
    "client",
    "server",
    "source",
    "destination",
    "network",
    "related",
    "dnstrail.dns",
    "event.category",
    "event.outcome",
    "network.bytes",
];

const MESSAGE_OF_DNS: Action = Action {
    name: "",
    meaning: "",
    kinds: &["event", "alert"],
    dataset: "dnstrail.dns",
    tables: TABLES,
    always: &[ALWAYS, &["dns"]],
    never: &["dnstrail.dns.first_bytes"],
    values: &[],
    lists: &[("event.type", &[&["connection", "protocol"], &["connection", "protocol", "info"]])],
};

pub const ACTIONS: &[Action] = &[
    Action {
        name: "dns-query",
        meaning: "a query was seen",
        never: &[
            "event.duration",
            "event.start",
            "event.end",
            "event.reason",
            "dns.response_code",
            "dnstrail.dns.first_bytes",
        ],
        values: &[("event.outcome", &["unknown"]), ("dns.type", &["query"])],
        ..MESSAGE_OF_DNS
    },
    Action {
        name: "dns-answer",
        meaning: "an answer was seen; `event.duration` is the time from its query, where that was seen",
        always: &[ALWAYS, &["dns.response_code"]],
        never: &["event.reason", "dnstrail.dns.first_bytes"],
        values: &[("event.outcome", &["success", "failure"]), ("dns.type", &["answer"])],
        ..MESSAGE_OF_DNS
    },
    Action {
        name: "dns-timeout",
        meaning: "no answer was seen; `event.duration` is the time of waiting",
        always: &[ALWAYS, &["dns", "event.duration", "event.start", "event.end", "event.reason"]],
        never: &["dns.response_code", "dnstrail.dns.first_bytes"],
        values: &[("event.outcome", &["failure"]), ("dns.type", &["query"])],
        ..MESSAGE_OF_DNS
    },
    Action {
        name: "dns-malformed",
        meaning: "a payload on a port of DNS that is no DNS message: `dnstrail.dns.first_bytes`; what `dns` holds of it may be there by chance",
        always: &[ALWAYS, &["dnstrail.dns.malformed", "event.reason"]],
        never: &["event.duration", "event.start", "event.end"],
        values: &[("event.outcome", &["unknown"])],
        ..MESSAGE_OF_DNS
    },
];
