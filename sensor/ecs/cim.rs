//! A document as the model Network Resolution of Splunk's Common Information Model has it (CIM 5 and
//! 6; `splunk/pytest-splunk-addon` holds the values that it expects). Names are flat and CIM's own;
//! the process has those of the model Endpoint.Processes, an alert those of Intrusion Detection.
//! What CIM has no field for stands under `dnstrail`, as in ECS. A report on the sensor itself has
//! no model: its own fields, and the same `dnstrail`.

mod traffic;

use std::time::Duration;

use serde::{Serialize, Serializer};
pub(super) use traffic::Traffic;

use super::dns::Answers;
use super::event::{self, Kind};
use super::host::{Agent, Host};
use super::lookup::{self, Lookup};
use super::own::Own;
use super::report::{self, Statement};
use super::text::{Address, Id, Keyword, Mnemonic};
use super::threat::Enrichments;
use super::time::Instant;
use super::{Dns, Occurrence};
use crate::dns::{Opcode, Rcode, Type};

const VENDOR_PRODUCT: &str = "dnstrail";

#[derive(Debug, Serialize)]
pub(super) struct Resolution<'a> {
    timestamp: Instant,
    sequence: u64,
    event_kind: Kind,
    event_action: &'static str,
    vendor_product: &'static str,
    /// Of the list that matched first.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_id: Option<u8>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_guid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_current_directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_guid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Keyword<lookup::Sentence<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_indicators: Option<Indicators<'a>>,
    dnstrail: &'a Own<'a>,
}

impl<'a> Resolution<'a> {
    pub(super) fn new(fields: &'a Lookup<'a>, lookup: &'a Dns<'a>) -> Self {
        let Lookup { event, rule, dns, process, user, network, client, server, .. } = fields;
        let message = lookup.message;
        let [_, _, authorities, additionals] = message.counts;
        let duration = event.duration.map(Seconds);
        let parent = process.as_ref().and_then(|process| process.parent.as_ref());
        let first = fields.threat.as_ref().and_then(|threat| threat.enrichments.first());
        Self {
            timestamp: fields.time,
            sequence: event.sequence,
            event_kind: event.kind,
            event_action: event.action,
            vendor_product: VENDOR_PRODUCT,
            signature: rule.as_ref().map(|rule| rule.name),
            signature_id: rule.as_ref().map(|rule| rule.id),
            category: rule.as_ref().and_then(|rule| rule.category),
            severity: event.severity.map(severity_name),
            severity_id: event.severity,
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
            process_id: process.as_ref().map(|process| process.pid),
            process_name: process.as_ref().and_then(|process| process.name),
            process_path: process.as_ref().and_then(|process| process.executable),
            process_guid: process.as_ref().and_then(|process| process.entity_id),
            process_current_directory: process.as_ref().and_then(|process| process.working_directory),
            user: user.and_then(|user| user.name),
            user_id: user.map(|user| user.id),
            container_id: fields.container.as_ref().map(|container| container.id),
            parent_process_id: parent.map(|parent| parent.pid),
            parent_process_name: parent.and_then(|parent| parent.name),
            parent_process_path: parent.and_then(|parent| parent.executable),
            parent_process_guid: parent.and_then(|parent| parent.entity_id),
            process: process.as_ref().and_then(|process| process.command_line),
            parent_process: parent.and_then(|parent| parent.command_line),
            message: fields.message.as_ref(),
            threat_match_field: first.as_ref().map(|first| first.matched.field),
            threat_match_value: first.map(|first| first.matched.atomic),
            threat_indicators: fields.threat.as_ref().map(|threat| Indicators(&threat.enrichments)),
            dnstrail: &fields.dnstrail,
        }
    }
}

/// The sensor on itself.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a> {
    timestamp: Instant,
    sequence: u64,
    event_kind: Kind,
    event_action: &'static str,
    vendor_product: &'static str,
    severity: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    alert: Option<Repeated<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    message: &'a Keyword<report::Sentence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Seconds>,
    dnstrail: &'a report::Own<'a>,
}

/// A summary of repeats, in the words of the alert itself.
#[derive(Debug, Serialize)]
struct Repeated<'a> {
    signature: &'a str,
    signature_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_guid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_indicators: Option<Indicators<'a>>,
}

impl<'a> Repeated<'a> {
    fn new(alert: &'a report::Alert<'a>, severity_id: Option<u8>) -> Self {
        let report::Alert { rule, process, user, container, threat } = alert;
        let first = threat.as_ref().and_then(|threat| threat.enrichments.first());
        Self {
            signature: rule.name,
            signature_id: rule.id,
            category: rule.category,
            severity_id,
            process_id: process.as_ref().map(|process| process.pid),
            process_name: process.as_ref().and_then(|process| process.name),
            process_path: process.as_ref().and_then(|process| process.executable),
            process_guid: process.as_ref().and_then(|process| process.entity_id),
            user: user.and_then(|user| user.name),
            user_id: user.map(|user| user.id),
            container_id: container.as_ref().map(|container| container.id),
            threat_match_field: first.as_ref().map(|first| first.matched.field),
            threat_match_value: first.map(|first| first.matched.atomic),
            threat_indicators: threat.as_ref().map(|threat| Indicators(&threat.enrichments)),
        }
    }
}

impl<'a> Status<'a> {
    pub(super) fn new(statement: &'a Statement<'a>) -> Self {
        let Statement { time, event, alert, message, error, dnstrail } = statement;
        let failed = matches!(event.r#type, [event::Type::Error]) || event.outcome == Some(event::Outcome::Failure);
        Self {
            timestamp: *time,
            sequence: event.sequence,
            event_kind: event.kind,
            event_action: event.action,
            vendor_product: VENDOR_PRODUCT,
            severity: match event.severity {
                Some(severity) => severity_name(severity),
                None if failed => "high",
                None => "informational",
            },
            alert: alert.as_ref().map(|alert| Repeated::new(alert, event.severity)),
            reason: event.reason,
            message,
            error: error.as_ref().map(|error| error.message),
            duration: event.duration.map(Seconds),
            dnstrail,
        }
    }
}

/// What is left of a document that no cut makes short enough.
#[derive(Debug, Serialize)]
pub(super) struct Remnant {
    timestamp: Instant,
    sequence: u64,
    event_kind: Kind,
    event_action: &'static str,
    vendor_product: &'static str,
}

impl Remnant {
    pub(super) fn new(timestamp: Instant, sequence: u64) -> Self {
        Self {
            timestamp,
            sequence,
            event_kind: Kind::Event,
            event_action: super::writer::CUT,
            vendor_product: VENDOR_PRODUCT,
        }
    }
}

/// The same in every line.
#[derive(Debug, Serialize)]
pub(super) struct Tail<'a> {
    dvc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dvc_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dvc_os: Option<&'a str>,
    sensor_id: &'a str,
    sensor_version: &'a str,
}

impl<'a> Tail<'a> {
    pub(super) fn new(host: &'a Host, agent: &'a Agent) -> Self {
        Self {
            dvc: &host.hostname,
            dvc_id: host.id.as_deref(),
            dvc_os: host.os.full.as_deref().or(host.os.name.as_deref()),
            sensor_id: &agent.id,
            sensor_version: agent.version,
        }
    }
}

/// Splunk's level of an `event.severity` from 0 to 100, with the bounds of OCSF's.
fn severity_name(severity: u8) -> &'static str {
    match severity {
        ..34 => "low",
        34..60 => "medium",
        60..86 => "high",
        86.. => "critical",
    }
}

/// Held as nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Seconds(u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(Duration::from_nanos(self.0).as_secs_f64())
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

#[derive(Debug)]
struct Indicators<'a>(&'a Enrichments<'a>);

impl Serialize for Indicators<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.each().map(|each| each.indicator.name))
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
