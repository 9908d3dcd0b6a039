//! A document as the Open Cybersecurity Schema Framework has it: DNS Activity (class 4003) with the
//! profiles `host` (who asked), `security_control` (alerts), `osint` (entries that matched) and
//! `container`. Only attributes that the 1.x versions share are written: what 1.9 marks as
//! deprecated is still where earlier versions look for it. Connections are left to `connection`,
//! reports on the sensor itself to `lifecycle`, numbers and captions to `numbers`. What OCSF has no attribute for stands
//! under `unmapped`.

mod actor;
mod connection;
mod device;
mod lifecycle;
mod numbers;

use serde::{Serialize, Serializer};

use actor::Actor;
pub(super) use connection::NetworkActivity;
pub(super) use device::Tail;
pub(super) use lifecycle::Lifecycle;

use crate::dns::{Class, Message, Type};
use crate::ecs::dns::Answers;
use crate::ecs::event::{Event, Outcome};
use crate::ecs::lookup::{self, Lookup};
use crate::ecs::network::{End, Network};
use crate::ecs::own::Own;
use crate::ecs::text::{Address, Keyword, Mnemonic};
use crate::ecs::threat::{Enrichment, Enrichments, Rule};
use crate::ecs::time::Instant;
use crate::event::Direction;
use crate::sighting::dns::Document;
use numbers::{Operation, ResponseCode, flag, severity};

/// `metadata.version`
const VERSION: &str = "1.6.0";

const PRODUCT: &str = "dnstrail";

/// Milliseconds since the epoch, which is what `timestamp_t` holds.
fn milliseconds(Instant(nanoseconds): Instant) -> u64 {
    nanoseconds / 1_000_000
}

/// What every class has, in this order.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "OCSF's own names")]
struct Base<'a> {
    time: u64,
    class_uid: u32,
    class_name: &'static str,
    category_uid: u32,
    category_name: &'static str,
    activity_id: u32,
    activity_name: &'static str,
    type_uid: u32,
    type_name: &'static str,
    severity_id: u8,
    severity: &'static str,
    status_id: u8,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_detail: Option<&'a str>,
    metadata: Metadata,
}

/// A DNS Activity.
#[derive(Debug, Serialize)]
pub(in crate::ecs) struct DnsActivity<'a>(Base<'a>, Activity<'a>);

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "OCSF's own names")]
struct Activity<'a> {
    // The profile `security_control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_alert: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disposition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firewall_rule: Option<FirewallRule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<Query<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<ResponseCode>,
    #[serde(skip_serializing_if = "Records::is_empty")]
    answers: Records<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor<'a>>,
    src_endpoint: Endpoint,
    dst_endpoint: Endpoint,
    connection_info: Connection,
    traffic: Traffic,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<u64>,
    /// Milliseconds; `unmapped.event.duration` has the nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Keyword<lookup::Sentence<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    osint: Option<Indicators<'a>>,
    unmapped: Unmapped<'a>,
}

impl<'a> DnsActivity<'a> {
    pub(in crate::ecs) fn new(fields: &'a Lookup<'a>, lookup: &'a Document<'a>) -> Self {
        let Lookup { time, event, dns, network, .. } = fields;
        let message = lookup.message;
        let response = message.response;
        let (status_id, status) = match event.outcome {
            Some(Outcome::Success) => (1, "Success"),
            Some(Outcome::Failure) => (2, "Failure"),
            Some(Outcome::Unknown) | None => (0, "Unknown"),
        };
        // Labels that only repeat what the query raised are no alert.
        let (severity_id, severity) = severity(event.severity.filter(|_| lookup.alert));
        let (activity_id, activity_name, type_name) =
            if response { (2, "Response", "DNS Activity: Response") } else { (1, "Query", "DNS Activity: Query") };
        let query_time = if response { event.start } else { event.start.or(Some(*time)) };
        let base = Base {
            time: milliseconds(*time),
            class_uid: 4003,
            class_name: "DNS Activity",
            category_uid: 4,
            category_name: "Network Activity",
            activity_id,
            activity_name,
            type_uid: 400_300 + activity_id,
            type_name,
            severity_id,
            severity,
            status_id,
            status,
            status_detail: event.reason,
            metadata: Metadata::new(
                *time,
                event,
                Profiles {
                    security_control: lookup.alert,
                    osint: fields.threat.is_some(),
                    container: fields.container.is_some(),
                },
            ),
        };
        let activity = Activity {
            is_alert: lookup.alert.then_some(true),
            action_id: lookup.alert.then_some(3),
            action: lookup.alert.then_some("Observed"),
            disposition_id: lookup.alert.then_some(19),
            disposition: lookup.alert.then_some("Alert"),
            firewall_rule: fields.rule.as_ref().filter(|_| lookup.alert).map(FirewallRule::new),
            query: dns.question.as_ref().map(|question| Query {
                hostname: question.name,
                r#type: question.r#type,
                class: question.class,
                packet_uid: message.id,
                opcode_id: message.opcode,
                opcode: Operation(message.opcode),
            }),
            rcode_id: response.then(|| ResponseCode(message.rcode).id()),
            rcode: response.then_some(ResponseCode(message.rcode)),
            answers: Records(dns.answers, message),
            actor: Actor::new(fields.process.as_ref(), fields.container.as_ref(), fields.user),
            src_endpoint: Endpoint::new(fields.client),
            dst_endpoint: Endpoint::new(fields.server),
            connection_info: Connection::new(network, lookup),
            traffic: Traffic { bytes: network.bytes },
            query_time: query_time.map(milliseconds),
            response_time: response.then(|| milliseconds(*time)),
            start_time: event.start.map(milliseconds),
            end_time: event.end.map(milliseconds),
            duration: event.duration.map(|duration| milliseconds(Instant(duration))),
            message: fields.message.as_ref(),
            osint: fields.threat.as_ref().map(|threat| Indicators(&threat.enrichments)),
            unmapped: Unmapped {
                event: OwnEvent { action: event.action, duration: event.duration },
                dnstrail: &fields.dnstrail,
            },
        };
        Self(base, activity)
    }
}

#[derive(Debug, Serialize)]
struct Metadata {
    version: &'static str,
    sequence: u64,
    profiles: Profiles,
    product: Product,
    /// With the nanoseconds, which `time` has no room for.
    original_time: Instant,
    log_name: &'static str,
}

impl Metadata {
    fn new(original_time: Instant, event: &Event, profiles: Profiles) -> Self {
        Self {
            version: VERSION,
            sequence: event.sequence,
            profiles,
            product: Product::default(),
            original_time,
            log_name: event.dataset,
        }
    }
}

#[derive(Debug, Serialize)]
struct Product {
    name: &'static str,
    vendor_name: &'static str,
    version: &'static str,
}

impl Default for Product {
    fn default() -> Self {
        Self { name: PRODUCT, vendor_name: PRODUCT, version: env!("CARGO_PKG_VERSION") }
    }
}

/// Besides `host`, which every event has.
#[derive(Debug, Default)]
struct Profiles {
    security_control: bool,
    osint: bool,
    container: bool,
}

impl Serialize for Profiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { security_control, osint, container } = *self;
        let all = [(true, "host"), (security_control, "security_control"), (osint, "osint"), (container, "container")];
        serializer.collect_seq(all.iter().filter(|(applies, _)| *applies).map(|(_, name)| name))
    }
}

#[derive(Debug, Serialize)]
struct FirewallRule<'a> {
    uid: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    version: &'a str,
}

impl<'a> FirewallRule<'a> {
    fn new(rule: &'a Rule<'a>) -> Self {
        Self { uid: rule.id, name: rule.name, category: rule.category, version: rule.version }
    }
}

#[derive(Debug, Serialize)]
struct Query<'a> {
    hostname: &'a str,
    r#type: Mnemonic<Type>,
    class: Mnemonic<Class>,
    packet_uid: u16,
    opcode_id: u8,
    opcode: Operation,
}

/// `answers`, each with the flags of the header, where 1.x has them.
#[derive(Debug)]
struct Records<'a>(Answers<'a>, &'a Message);

#[derive(Debug, Serialize)]
struct Record<'a> {
    r#type: Mnemonic<Type>,
    class: Mnemonic<Class>,
    ttl: u32,
    packet_uid: u16,
    flag_ids: Flags<'a>,
    rdata: &'a str,
}

#[derive(Debug)]
struct Flags<'a>(&'a Message);

impl Serialize for Flags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.header_flags().map(flag))
    }
}

impl Records<'_> {
    fn is_empty(&self) -> bool {
        self.0.records().next().is_none()
    }
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.shown().map(|(record, rdata)| Record {
            r#type: Mnemonic(Type(record.rtype)),
            class: Mnemonic(Class(record.class)),
            ttl: record.ttl,
            packet_uid: self.1.id,
            flag_ids: Flags(self.1),
            rdata,
        }))
    }
}

#[derive(Debug, Serialize)]
struct Endpoint {
    ip: Address,
    port: u16,
}

impl Endpoint {
    fn new(End { ip, port }: End) -> Self {
        Self { ip, port }
    }
}

#[derive(Debug, Serialize)]
struct Connection {
    direction_id: u8,
    direction: &'static str,
    protocol_name: &'static str,
    protocol_num: u8,
    protocol_ver_id: u8,
}

impl Connection {
    /// The direction is that of the conversation: whose query it is, not which packet.
    fn new(network: &Network, lookup: &Document) -> Self {
        let (direction_id, direction) = match (lookup.direction, lookup.source_is_client) {
            (None, _) => (0, "Unknown"),
            (Some(Direction::Egress), true) | (Some(Direction::Ingress), false) => (2, "Outbound"),
            (Some(Direction::Ingress), true) | (Some(Direction::Egress), false) => (1, "Inbound"),
        };
        Self {
            direction_id,
            direction,
            protocol_name: network.transport,
            protocol_num: if network.transport == "tcp" { 6 } else { 17 },
            protocol_ver_id: if lookup.source.is_ipv4() { 4 } else { 6 },
        }
    }
}

#[derive(Debug, Serialize)]
struct Traffic {
    bytes: usize,
}

#[derive(Debug)]
struct Indicators<'a>(&'a Enrichments<'a>);

/// `osint`
#[derive(Debug, Serialize)]
struct Indicator<'a> {
    value: &'a str,
    type_id: u8,
    r#type: &'static str,
    /// The attribute that matched.
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vendor_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    src_url: Option<&'a str>,
}

impl<'a> Indicator<'a> {
    fn new(Enrichment { indicator, matched }: Enrichment<'a>) -> Self {
        let (type_id, kind) = if indicator.url.is_some() { (2, "Domain") } else { (1, "IP Address") };
        Self {
            value: indicator.name,
            type_id,
            r#type: kind,
            name: matched.field.ocsf,
            uid: matched.id,
            vendor_name: indicator.provider,
            desc: indicator.description,
            src_url: indicator.reference,
        }
    }
}

impl Serialize for Indicators<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.each().map(Indicator::new))
    }
}

#[derive(Debug, Serialize)]
struct Unmapped<'a> {
    event: OwnEvent,
    dnstrail: &'a Own<'a>,
}

/// `event.*` of ECS that `time`, `status` and `activity` say only in part.
#[derive(Debug, Serialize)]
struct OwnEvent {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
}
