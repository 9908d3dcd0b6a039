//! The document of a DNS message, or of the absence of one. Who, what and where stand first;
//! `dnstrail.*` holds what ECS has no field for.

use std::fmt::{self, Display};

use serde::Serialize;

use super::dns::Dns as DnsFields;
use super::event::{Category, Event, Kind, Outcome, Type};
use super::limits::{Cuts, Limits, Part};
use super::network::{End, Network, Related};
use super::own::Own;
use super::process::{Container, Named, Process};
use super::text::Keyword;
use super::threat::{Rule, Threat};
use super::time::Instant;
use crate::dns;
use crate::schema::Field;
use crate::sighting::dns::{Document, Occurrence};

#[derive(Debug, Serialize)]
pub(super) struct Lookup<'a> {
    #[serde(rename = "@timestamp")]
    pub time: Instant,
    pub event: Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule<'a>>,
    pub dns: DnsFields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container<'a>>,
    pub client: End,
    pub server: End,
    pub source: End,
    pub destination: End,
    pub network: Network,
    /// In alerts only: people read those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Keyword<Sentence<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat: Option<Threat<'a>>,
    /// A kilobyte, which is filled where it stands.
    pub related: &'a Related<'a>,
    pub dnstrail: Own<'a>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(
        (time, sequence): (u64, u64),
        lookup: &'a Document<'a>,
        limits: Limits,
        related: &'a mut Related<'a>,
    ) -> Self {
        let mut cuts = Cuts::default();
        let first = lookup.matches.first();
        let rule = first.map(|first| Rule::new(&first.hit, limits, &mut cuts));
        let dns = DnsFields::new(lookup, limits, &mut cuts);
        let process = Process::new(lookup.actor, limits, &mut cuts);
        let user = Named::asker(lookup.actor, limits, &mut cuts);
        let container = Container::of(lookup.actor, limits, &mut cuts);
        let ends = (End::new(lookup.source), End::new(lookup.destination));
        let (client, server) = if lookup.source_is_client { ends } else { (ends.1, ends.0) };
        let threat = Threat::new(lookup.matches, limits, &mut cuts);
        related.add(lookup, &dns.answers, user.and_then(|user| user.name), limits, &mut cuts);
        let sentence = first.filter(|_| lookup.alert).map(|first| Sentence {
            occurrence: lookup.occurrence,
            process: process.as_ref().map(Process::label),
            question: dns.question.as_ref().map(|question| (question.r#type.0, question.name)),
            field: first.field,
            indicator: cuts.text(&first.hit.indicator, limits.text, Part::Message),
            list: rule.as_ref().map_or("", |rule| rule.name),
            more: lookup.matches.len() - 1,
        });
        Self {
            time: Instant(time),
            event: event(time, sequence, lookup),
            rule,
            dns,
            process,
            user,
            container,
            client,
            server,
            source: ends.0,
            destination: ends.1,
            network: Network::new(lookup),
            message: sentence.map(Keyword),
            threat,
            related,
            dnstrail: Own::new(lookup, limits, cuts),
        }
    }
}

fn event<'a>(time: u64, sequence: u64, lookup: &Document) -> Event<'a> {
    let (action, outcome, query_time) = match lookup.occurrence {
        Occurrence::Query => ("dns-query", Outcome::Unknown, None),
        Occurrence::Answer { query_time, .. } => {
            let outcome = if lookup.message.rcode == 0 { Outcome::Success } else { Outcome::Failure };
            ("dns-answer", outcome, query_time)
        }
        Occurrence::Timeout { query_time } => ("dns-timeout", Outcome::Failure, Some(query_time)),
    };
    let mut event = Event::new(sequence, action, "dnstrail.dns");
    event.category = &[Category::Network];
    event.r#type = &[Type::Connection, Type::Protocol];
    if lookup.alert {
        event.kind = Kind::Alert;
        event.category = &[Category::Network, Category::IntrusionDetection];
        event.r#type = &[Type::Connection, Type::Protocol, Type::Info];
    }
    event.outcome = Some(outcome);
    event.severity = lookup.severity();
    if let Some(query_time) = query_time {
        // The clock of the host may be set back meanwhile.
        event.duration = Some(time.saturating_sub(query_time));
        event.start = Some(Instant(query_time));
        event.end = Some(Instant(time));
    }
    if matches!(lookup.occurrence, Occurrence::Timeout { .. }) {
        event.reason = Some("no answer was seen in time");
    }
    event
}

/// `curl (4242) asked for A www.evil.example: dns.question.name matches evil.example in Example`
#[derive(Debug, Clone, Copy)]
pub(super) struct Sentence<'a> {
    occurrence: Occurrence,
    process: Option<(&'a str, u32)>,
    question: Option<(dns::Type, &'a str)>,
    field: &'static Field,
    indicator: &'a str,
    list: &'a str,
    /// Further matches.
    more: usize,
}

impl Display for Sentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.process {
            Some((name, pid)) => write!(formatter, "{name} ({pid})")?,
            None => formatter.write_str("an unknown process")?,
        }
        formatter.write_str(match self.occurrence {
            Occurrence::Query => " asked for ",
            Occurrence::Answer { .. } => " got an answer for ",
            Occurrence::Timeout { .. } => " got no answer for ",
        })?;
        match self.question {
            Some((kind, name)) => write!(formatter, "{kind} {name}")?,
            None => formatter.write_str("nothing readable")?,
        }
        write!(formatter, ": {} matches {} in {}", self.field.ecs, self.indicator, self.list)?;
        match self.more {
            0 => Ok(()),
            more => write!(formatter, ", and {more} more"),
        }
    }
}
