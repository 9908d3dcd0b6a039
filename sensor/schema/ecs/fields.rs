//! The fields that several kinds of documents share.

use crate::field::Holds::{Address, Form, Instant, Message, Name, Nested, Object, OneOf, Text, True, Wildcard};
use crate::field::{Fields, Holds, field, own};
use crate::schema::event::{Category, Kind, Outcome, Type};

const COUNT: Holds = Holds::COUNT;
const ID: Holds = Form("^[0-9]+$");
const NOT_EMPTY: Holds = Form("[\\s\\S]");
const UUID: Holds = Form("^[0-9a-f-]{36}$");

/// The fields of every document.
pub const EVERY: Fields = &[
    field("@timestamp", Instant, "timestamp", "metadata.original_time", "When it happened").always(),
    field(
        "event.sequence",
        Holds::POSITIVE,
        "sequence",
        "metadata.sequence",
        "One more than in the line before: a gap is a loss",
    )
    .always(),
    field("event.kind", OneOf(Kind::NAMES), "event_kind", "", "").always(),
    field("event.category", OneOf(Category::NAMES), "", "", "").set(),
    field("event.type", OneOf(Type::NAMES), "", "", "").set().always(),
    field("event.action", Text, "event_action", "unmapped.event.action", "See the table of actions").always(),
    field("event.outcome", OneOf(Outcome::NAMES), "", "status_id", ""),
    field("event.severity", Holds::Number(0, 100), "severity_id", "", "The severity of the entry, else of its list"),
    field(
        "event.duration",
        COUNT,
        "duration",
        "unmapped.event.duration",
        "Nanoseconds (seconds in CIM) from `event.start` to `event.end`; how long a load took",
    ),
    field("event.start", Instant, "", "start_time", ""),
    field("event.end", Instant, "", "end_time", ""),
    field("event.reason", Text, "reason", "status_detail", ""),
    field("event.module", OneOf(&["dnstrail"]), "vendor_product", "", "").always(),
    field("event.dataset", Text, "", "metadata.log_name", "").always(),
    own("dnstrail.cut", Text, "Fields that show less than was there, as the line would have been too long").set(),
    field("host.hostname", Text, "dvc", "device.hostname", "").always(),
    field("host.name", Text, "", "device.name", "").always(),
    field("host.id", Text, "dvc_id", "device.uid", "machine-id(5)"),
    field("host.architecture", Text, "", "", "").always(),
    field("host.boot.id", Text, "", "", "").always(),
    field("host.os.type", OneOf(&["linux"]), "", "device.os.type", "").always(),
    field("host.os.platform", Text, "", "", ""),
    field("host.os.family", Text, "", "", ""),
    field("host.os.name", Text, "", "", ""),
    field("host.os.version", Text, "", "device.os.version", ""),
    field("host.os.full", Text, "dvc_os", "device.os.name", ""),
    field("host.os.kernel", Text, "", "device.os.kernel_release", ""),
    field("agent.type", OneOf(&["dnstrail"]), "", "", "").always(),
    field("agent.version", Text, "sensor_version", "device.agent_list.version", "").always(),
    field("agent.id", UUID, "sensor_id", "device.agent_list.uid", "The same for every run on this host").always(),
    field("agent.ephemeral_id", UUID, "", "", "The identity of this run").always(),
    field("agent.name", Text, "", "", "").always(),
    field("ecs.version", OneOf(&[super::VERSION]), "", "", "").always(),
];

/// `message`, for people.
pub const MESSAGE: Fields = &[field("message", Message, "message", "message", "The document as a sentence")];

/// The actor: process, user and container.
pub const ACTOR: Fields = &[
    field("process.pid", COUNT, "process_id", "actor.process.pid", "In the initial pid namespace").always(),
    field(
        "process.name",
        Text,
        "process_name",
        "actor.process.name",
        "The file name of the executable, else the thread's name",
    ),
    field(
        "process.executable",
        Text,
        "process_path",
        "actor.process.file.path",
        "The path as the process itself sees it",
    ),
    field(
        "process.entity_id",
        NOT_EMPTY,
        "process_guid",
        "actor.process.uid",
        "Unique to the program image across hosts and boots",
    ),
    field("process.user.id", ID, "", "actor.process.user.uid", "The user of the program").always(),
    field("process.user.name", Text, "", "actor.process.user.name", ""),
    field("process.group.id", ID, "", "", "").always(),
    field("process.group.name", Text, "", "", ""),
    field("process.thread.id", COUNT, "", "actor.process.tid", "").always(),
    field("process.thread.name", Text, "", "", "").always(),
    field("process.vpid", COUNT, "", "actor.process.namespace_pid", "In the pid namespace of the process"),
    field("process.start", Instant, "", "actor.process.created_time", ""),
    field("process.working_directory", Text, "process_current_directory", "", ""),
    field("process.parent.pid", COUNT, "parent_process_id", "actor.process.parent_process.pid", "").always(),
    field("process.parent.name", Text, "parent_process_name", "actor.process.parent_process.name", ""),
    field("process.parent.executable", Text, "parent_process_path", "actor.process.parent_process.file.path", ""),
    field("process.parent.entity_id", NOT_EMPTY, "parent_process_guid", "actor.process.parent_process.uid", ""),
    field("process.parent.start", Instant, "", "actor.process.parent_process.created_time", ""),
    field("process.parent.command_line", Wildcard, "parent_process", "actor.process.parent_process.cmd_line", ""),
    field("process.parent.args_count", COUNT, "", "", ""),
    field("process.parent.args", Text, "", "", "").list(),
    field("process.command_line", Wildcard, "process", "actor.process.cmd_line", ""),
    field("process.args_count", COUNT, "", "", "The number of arguments, also where `process.args` shows fewer"),
    field("process.args", Text, "", "", "").list(),
    field("user.id", ID, "user_id", "actor.user.uid", "The user of the thread").always(),
    field("user.name", Text, "user", "actor.user.name", ""),
    field("container.id", Text, "container_id", "actor.process.container.uid", "").always(),
    field("container.runtime", Text, "", "actor.process.container.runtime", ""),
];

/// Own fields of the actor.
pub const OWN_ACTOR: Fields = &[
    own("dnstrail.process.executable_deleted", True, "The executable has no name any more, or never had one (memfd)"),
    own("dnstrail.process.executable_inode", Holds::POSITIVE, "The inode of the file itself, independent of its path"),
    own(
        "dnstrail.process.executable_device",
        Form("^[0-9]+:[0-9]+$"),
        "The device of its file system, as in /proc/PID/mountinfo",
    ),
    own("dnstrail.process.foreign_mounts", True, "Paths may mean other files than the host's, as in a container"),
    own("dnstrail.process.mount_namespace", Holds::POSITIVE, "Inode number, where it is not the host's"),
    own("dnstrail.process.path_cut", True, "A path is deeper than the kernel side follows: its beginning is missing"),
    own("dnstrail.process.several_writers", True, "Others wrote a part of the message; this one wrote its beginning"),
    own("dnstrail.process.args_cut", Holds::POSITIVE, "Bytes of the arguments that were not read"),
    own("dnstrail.network_namespace", Holds::POSITIVE, "Inode number"),
];

/// The ends of a conversation.
pub const NETWORK: Fields = &[
    field("client.ip", Address, "src", "src_endpoint.ip", "").always(),
    field("client.port", Holds::U16, "src_port", "src_endpoint.port", "").always(),
    field("server.ip", Address, "dest", "dst_endpoint.ip", "").always(),
    field("server.port", Holds::U16, "dest_port", "dst_endpoint.port", "").always(),
    field("source.ip", Address, "", "", "The sender of the packet").always(),
    field("source.port", Holds::U16, "", "", "").always(),
    field("destination.ip", Address, "", "dst_endpoint.ip", "The receiver of the packet").always(),
    field("destination.port", Holds::U16, "", "", "").always(),
    field("source.nat.ip", Address, "src_translated_ip", "unmapped.source.nat.ip", "Where NAT changes it").always(),
    field("source.nat.port", Holds::U16, "src_translated_port", "unmapped.source.nat.port", "").always(),
    field("destination.nat.ip", Address, "dest_translated_ip", "unmapped.destination.nat.ip", "Where NAT changes it")
        .always(),
    field("destination.nat.port", Holds::U16, "dest_translated_port", "unmapped.destination.nat.port", "").always(),
    field("network.transport", OneOf(&["udp", "tcp"]), "transport", "connection_info.protocol_name", "").always(),
    field("network.iana_number", OneOf(&["6", "17", "136"]), "", "connection_info.protocol_num", "").always(),
    field("network.type", OneOf(&["ipv4", "ipv6"]), "protocol_version", "connection_info.protocol_ver_id", "").always(),
    field("network.direction", OneOf(&["ingress", "egress"]), "", "", "The direction of the packet"),
    field("network.community_id", Form("^1:[A-Za-z0-9+/]{27}=$"), "", "", "").always(),
    field(
        "network.bytes",
        COUNT,
        "bytes",
        "traffic.bytes",
        "Bytes of the DNS message; payload of a connection, both ways",
    ),
    field("related.ip", Address, "", "", "Every address of the document").set().always(),
    field("related.hosts", Name, "", "", "Every name of the document").set(),
    field("related.user", Text, "", "", "").list(),
];

/// The fields in which values may match a rule.
const MATCHED: &[&str] =
    &["dns.question.name", "dns.answers.name", "dns.answers.data", "dns.resolved_ip", "destination.ip"];

/// The lists and entries that match.
pub const THREAT: Fields = &[
    field("rule.id", Text, "signature_id", "firewall_rule.uid", "The list of the first match").always(),
    field("rule.name", Text, "signature", "firewall_rule.name", "").always(),
    field("rule.category", Text, "category", "firewall_rule.category", ""),
    field("rule.reference", Text, "", "", ""),
    field("rule.version", Text, "", "firewall_rule.version", "A hash of the list's content").always(),
    field("rule.uuid", Text, "", "", "The identity of the entry, where its list gives one"),
    field("threat.feed.name", Text, "", "", "").always(),
    field("threat.feed.reference", Text, "", "", ""),
    field("threat.enrichments", Nested, "", "osint", "All matches").list().always(),
    field(
        "threat.enrichments.indicator.type",
        OneOf(&["domain-name", "ipv4-addr", "ipv6-addr"]),
        "",
        "osint.type_id",
        "",
    )
    .always(),
    field("threat.enrichments.indicator.name", Text, "threat_indicators", "osint.value", "The entry").always(),
    field("threat.enrichments.indicator.ip", Address, "", "", ""),
    field("threat.enrichments.indicator.url.domain", Text, "", "", "").always(),
    field(
        "threat.enrichments.indicator.provider",
        Text,
        "",
        "osint.vendor_name",
        "The source of the entry, else of its list",
    ),
    field("threat.enrichments.indicator.description", Text, "", "osint.desc", ""),
    field("threat.enrichments.indicator.reference", Text, "", "osint.src_url", ""),
    field(
        "threat.enrichments.matched.field",
        OneOf(MATCHED),
        "threat_match_field",
        "osint.name",
        "The field whose value matches (CIM: of the first match)",
    )
    .always(),
    field("threat.enrichments.matched.atomic", Text, "threat_match_value", "", "The value").always(),
    field("threat.enrichments.matched.type", OneOf(&["indicator_match_rule"]), "", "", "").always(),
    field("threat.enrichments.matched.id", Text, "", "osint.uid", "The identity of the entry"),
    own("dnstrail.matches", Object, "The place of each entry, in the order of `threat.enrichments`").list(),
    own("dnstrail.matches.list", Text, "`rule.id`").always(),
    own("dnstrail.matches.path", Text, ""),
    own("dnstrail.matches.line", COUNT, "").always(),
];
