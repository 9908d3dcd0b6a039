//! `dnstrail.*` of a DNS message: what ECS has no field for.

use serde::{Serialize, Serializer};

use super::limits::{Cuts, Limits, Part};
use super::text::Address;
use crate::alert::Match;
use crate::dns::{Edns, ErrorInfo, ExtendedError, Kind, Message, Section};
use crate::process::Actor;
use crate::sighting::dns::{Document, Occurrence};

#[derive(Debug, Serialize)]
pub(super) struct Own<'a> {
    /// The fields that show less than was there.
    #[serde(skip_serializing_if = "Cuts::is_empty")]
    cut: Cuts,
    dns: OwnDns<'a>,
    #[serde(skip_serializing_if = "OwnProcess::is_empty")]
    process: OwnProcess,
    /// Inode number; 0 where it is not known.
    #[serde(skip_serializing_if = "is_default")]
    network_namespace: u32,
    /// In the order of `threat.enrichments`.
    #[serde(skip_serializing_if = "Entries::is_empty")]
    matches: Entries<'a>,
}

impl<'a> Own<'a> {
    /// Last, when all cuts are known.
    pub(super) fn new(lookup: &Document<'a>, limits: Limits, mut cuts: Cuts) -> Self {
        let dns = OwnDns::new(lookup, limits, &mut cuts);
        let matches = Entries::new(lookup.matches, limits, &mut cuts);
        Self {
            cut: cuts,
            dns,
            process: OwnProcess::new(lookup.actor),
            network_namespace: lookup.network_namespace,
            matches,
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct OwnProcess {
    /// Deleted, or a memfd.
    #[serde(skip_serializing_if = "is_default")]
    executable_deleted: bool,
    /// Bytes of the arguments that the kernel side did not take.
    #[serde(skip_serializing_if = "is_default")]
    args_cut: u32,
}

impl OwnProcess {
    pub(super) fn new(actor: &Actor) -> Self {
        let image = actor.process.as_deref();
        Self {
            executable_deleted: image.is_some_and(|process| process.executable_deleted),
            args_cut: image.map_or(0, |process| process.args_cut()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        is_default(self)
    }
}

#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the document")]
struct OwnDns<'a> {
    /// `dns`, `mdns` or `llmnr`, which share the format.
    protocol: &'static str,
    /// After the timeout.
    #[serde(skip_serializing_if = "is_default")]
    late: bool,
    /// The query was answered before.
    #[serde(skip_serializing_if = "is_default")]
    duplicate: bool,
    /// Why only a part could be read, or what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed: Option<&'static str>,
    // As the header claims; what could be read may be less.
    #[serde(skip_serializing_if = "is_one")]
    questions_count: u16,
    #[serde(skip_serializing_if = "is_default")]
    answers_count: u16,
    #[serde(skip_serializing_if = "is_default")]
    authorities_count: u16,
    #[serde(skip_serializing_if = "is_default")]
    additionals_count: u16,
    /// RFC 6762 5.4
    #[serde(skip_serializing_if = "is_default")]
    unicast_response: bool,
    /// RFC 6762 10.2, of any answer.
    #[serde(skip_serializing_if = "is_default")]
    cache_flush: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    edns: Option<OwnEdns>,
    #[serde(skip_serializing_if = "Errors::is_empty")]
    extended_errors: Errors<'a>,
}

impl<'a> OwnDns<'a> {
    fn new(lookup: &Document<'a>, limits: Limits, cuts: &mut Cuts) -> Self {
        let message = lookup.message;
        let ports = [lookup.source.port(), lookup.destination.port()].map(Kind::of_port);
        let (late, duplicate) = match lookup.occurrence {
            Occurrence::Answer { late, duplicate, .. } => (late, duplicate),
            Occurrence::Query | Occurrence::Timeout { .. } => (false, false),
        };
        let [questions_count, answers_count, authorities_count, additionals_count] = message.counts;
        Self {
            protocol: match ports {
                [Kind::Mdns, _] | [_, Kind::Mdns] => "mdns",
                [Kind::Llmnr, _] | [_, Kind::Llmnr] => "llmnr",
                [Kind::Dns, Kind::Dns] => "dns",
            },
            late,
            duplicate,
            malformed: message.malformed,
            questions_count,
            answers_count,
            authorities_count,
            additionals_count,
            unicast_response: message.questions().next().is_some_and(|question| question.unicast_response),
            cache_flush: message.records().any(|record| record.section == Section::Answer && record.cache_flush),
            edns: message.edns.map(OwnEdns::new),
            extended_errors: Errors::new(message, limits, cuts),
        }
    }
}

/// RFC 6891. The DO bit is in `dns.header_flags`.
#[derive(Debug, Serialize)]
struct OwnEdns {
    version: u8,
    udp_size: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_subnet: Option<ClientSubnet>,
}

/// RFC 7871
#[derive(Debug, Serialize)]
struct ClientSubnet {
    ip: Address,
    source_prefix: u8,
    scope_prefix: u8,
}

impl OwnEdns {
    fn new(edns: Edns) -> Self {
        let client_subnet = edns.client_subnet.map(|subnet| ClientSubnet {
            ip: Address::new(subnet.address),
            source_prefix: subnet.source_prefix,
            scope_prefix: subnet.scope_prefix,
        });
        Self { version: edns.version, udp_size: edns.udp_size, client_subnet }
    }
}

/// RFC 8914
#[derive(Debug)]
struct Errors<'a> {
    message: &'a Message,
    limits: Limits,
}

#[derive(Debug, Serialize)]
struct OwnError<'a> {
    info_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

impl<'a> Errors<'a> {
    fn new(message: &'a Message, limits: Limits, cuts: &mut Cuts) -> Self {
        if message.extended_errors().len() > limits.elements {
            cuts.add(Part::ExtendedErrors);
        }
        for error in message.extended_errors().take(limits.elements) {
            OwnError::new(error, limits, cuts);
        }
        Self { message, limits }
    }

    fn is_empty(&self) -> bool {
        self.message.extended_errors().len() == 0
    }
}

impl<'a> OwnError<'a> {
    fn new(error: ExtendedError<'a>, limits: Limits, cuts: &mut Cuts) -> Self {
        let ErrorInfo(info_code) = error.code;
        let text = cuts.text(error.text, limits.text, Part::ExtendedErrors);
        Self { info_code, name: error.code.mnemonic(), text }
    }
}

impl Serialize for Errors<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let errors = self.message.extended_errors().take(self.limits.elements);
        serializer.collect_seq(errors.map(|error| OwnError::new(error, self.limits, &mut Cuts::default())))
    }
}

#[derive(Debug)]
pub(super) struct Entries<'a> {
    shown: &'a [Match],
    limits: Limits,
}

/// Where the entry stands that matched.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    list: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    line: u32,
}

impl<'a> Entries<'a> {
    pub(super) fn new(matches: &'a [Match], limits: Limits, cuts: &mut Cuts) -> Self {
        let shown = cuts.elements(matches, limits.elements, Part::Matches);
        for matched in shown {
            Entry::new(matched, limits, cuts);
        }
        Self { shown, limits }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl<'a> Entry<'a> {
    fn new(matched: &'a Match, limits: Limits, cuts: &mut Cuts) -> Self {
        let mut text = |text: &'a str| cuts.text(text, limits.text, Part::Matches);
        let list = &matched.hit.list;
        Self { list: text(&list.id), path: list.path.to_str().map(&mut text), line: matched.hit.line }
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = |matched| Entry::new(matched, self.limits, &mut Cuts::default());
        serializer.collect_seq(self.shown.iter().map(entry))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_one(value: &u16) -> bool {
    *value == 1
}
