//! A DNS message as the model Network Resolution has it.

use serde::{Serialize, Serializer};

use super::{Ancestry, Asker, Header, Indication, Seconds, Severity, Signature, Unmodelled};
use crate::dns::{Opcode, Rcode, Type};
use crate::ecs::dns::Answers;
use crate::ecs::lookup::{self, Lookup};
use crate::ecs::own::Own;
use crate::ecs::process::Process;
use crate::ecs::text::{Address, Keyword, Mnemonic};
use crate::sighting::dns::{Document, Occurrence};

/// A DNS message, or the absence of one.
#[derive(Debug, Serialize)]
pub(in crate::ecs) struct Resolution<'a>(
    Header,
    Signature<'a>,
    Severity,
    Exchange<'a>,
    Asker<'a>,
    Ancestry<'a>,
    Told<'a>,
    Indication<'a>,
    Unmodelled<&'a Own<'a>>,
);

#[derive(Debug, Serialize)]
struct Exchange<'a> {
    message_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    /// Of `query`, which is one name.
    query_count: u8,
    query_type: OperationName,
    #[serde(skip_serializing_if = "Option::is_none")]
    record_type: Option<RecordType>,
    transaction_id: u16,
    src: Address,
    src_port: u16,
    dest: Address,
    dest_port: u16,
    transport: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_code: Option<ReplyCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_code_id: Option<u16>,
    /// From the query to its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_time: Option<Seconds>,
    /// The same, and of a timeout how long was waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Seconds>,
    /// Of `answer`.
    answer_count: usize,
    authority_answer_count: u16,
    additional_answer_count: u16,
    /// Of the first answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Data::is_empty")]
    answer: Data<'a>,
}

/// For a person to read.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Keyword<lookup::Sentence<'a>>>,
}

impl<'a> Resolution<'a> {
    pub(in crate::ecs) fn new(fields: &'a Lookup<'a>, lookup: &'a Document<'a>) -> Self {
        let Lookup { event, dns, process, network, client, server, .. } = fields;
        let message = lookup.message;
        let [_, _, authorities, additionals] = message.counts;
        let duration = event.duration.map(Seconds);
        let image = process.as_ref().map(Process::image);
        let parent = process.as_ref().and_then(Process::parent);
        let exchange = Exchange {
            message_type: if message.response { "Response" } else { "Query" },
            query: dns.question.as_ref().map(|question| question.name),
            query_count: dns.question.is_some().into(),
            query_type: OperationName(Opcode(message.opcode.into())),
            record_type: dns.question.as_ref().map(|question| RecordType(question.r#type.0)),
            transaction_id: message.id,
            src: client.ip,
            src_port: client.port,
            dest: server.ip,
            dest_port: server.port,
            transport: network.transport,
            reply_code: message.response.then_some(ReplyCode(Rcode(message.rcode))),
            reply_code_id: message.response.then_some(message.rcode),
            response_time: duration.filter(|_| matches!(lookup.occurrence, Occurrence::Answer { .. })),
            duration,
            answer_count: dns.answers.records().count(),
            authority_answer_count: authorities,
            additional_answer_count: additionals,
            ttl: dns.answers.records().next().map(|record| record.ttl),
            answer: Data(dns.answers),
        };
        Self(
            Header::new(fields.time, event),
            fields.rule.as_ref().map(Signature::new).unwrap_or_default(),
            Severity::of(event),
            exchange,
            Asker::new(image.as_ref(), fields.user, fields.container.as_ref()),
            Ancestry::new(image.as_ref(), parent.as_ref()),
            Told { message: fields.message.as_ref() },
            Indication::new(fields.threat.as_ref()),
            Unmodelled { dnstrail: &fields.dnstrail },
        )
    }
}

#[derive(Debug)]
struct Data<'a>(Answers<'a>);

impl Data<'_> {
    fn is_empty(&self) -> bool {
        self.0.records().next().is_none()
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.shown().map(|(_, data)| data))
    }
}

/// `query_type`
#[derive(Debug)]
struct OperationName(Opcode);

impl Serialize for OperationName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.0 {
            0 => serializer.serialize_str("Query"),
            1 => serializer.serialize_str("IQuery"),
            2 => serializer.serialize_str("Status"),
            4 => serializer.serialize_str("Notify"),
            5 => serializer.serialize_str("Update"),
            _ => Mnemonic(self.0).serialize(serializer),
        }
    }
}

/// `record_type`: the mnemonics of IANA, which writes 255 as a star.
#[derive(Debug)]
struct RecordType(Type);

impl Serialize for RecordType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.0 {
            255 => serializer.serialize_str("*"),
            _ => Mnemonic(self.0).serialize(serializer),
        }
    }
}

/// `reply_code`, in the mixed spelling that CIM expects.
#[derive(Debug)]
struct ReplyCode(Rcode);

impl Serialize for ReplyCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = match self.0.0 {
            0 => "No Error",
            1 => "Format Error",
            2 => "Server Failure",
            3 => "Non-Existent Domain",
            4 => "NotImp",
            5 => "Refused",
            6 => "YXDomain",
            7 => "YXRRSet",
            8 => "NXRRSet",
            9 => "NotAuth",
            10 => "NotZone",
            _ => return Mnemonic(self.0).serialize(serializer),
        };
        serializer.serialize_str(name)
    }
}
