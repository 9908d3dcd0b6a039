//! A message into its document: who asked, what it answers, what is listed.

use std::rc::Rc;
use std::sync::Arc;

use super::Observe;
use super::Outlet;
use super::connections::Connections;
use super::labels::Labels;
use super::sighting::Sighting;
use super::window::Window;
use crate::dns::{Kind, Message, looks_like_dns};
use crate::event;
use crate::journal::{Body, Document};
use crate::metrics::Metrics;
use crate::process::{Actor, Processes};
use crate::rules::Rules;
use crate::sighting::dns::{self, Occurrence};
use crate::transaction::{Answered, Conversation, Query, Transactions};

/// All that outlives a message, and the buffers that are used again for the next.
#[derive(Debug)]
pub(super) struct Lookups {
    pub(super) transactions: Transactions,
    pub(super) processes: Processes,
    pub(super) rules: Arc<Rules>,
    pub(super) window: Window,
    pub(super) connections: Connections,
    metrics: Arc<Metrics>,
    message: Message,
    /// The query of an answer without question, or of a timeout.
    query: Message,
    labels: Labels,
}

impl Lookups {
    pub(super) fn new(
        transactions: Transactions,
        processes: Processes,
        rules: Arc<Rules>,
        window: Window,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            transactions,
            processes,
            rules,
            window,
            connections: Connections::new(Arc::clone(&metrics)),
            metrics,
            message: Message::default(),
            query: Message::default(),
            labels: Labels::default(),
        }
    }

    /// Gives the document of one message.
    pub(super) fn message(
        &mut self,
        sighting: &Sighting,
        observe: Observe,
        bytes: &[u8],
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        if !looks_like_dns(bytes) || self.message.decode(bytes, kind(sighting)).is_err() {
            self.metrics.losses.message_invalid.add(1);
            return;
        }
        // Where the ports do not tell who asks (multicast DNS, resolvers that ask from port 53) the
        // message does (QR, RFC 1035 4.1.1).
        let source_is_client = sighting.source_is_client.unwrap_or(!self.message.response);
        if !sighting.is_observed(observe, Some(source_is_client)) {
            return;
        }
        self.metrics.traffic.messages.add(1);
        if self.message.malformed.is_some() {
            self.metrics.traffic.messages_malformed.add(1);
        }
        self.labels.clear();
        self.labels.question(&self.rules, &self.message);
        if self.message.response {
            self.labels.answer(&self.rules, &self.message);
            self.answer(sighting, source_is_client, bytes, outlet, emit);
        } else {
            self.query(sighting, source_is_client, bytes, outlet, emit);
        }
    }

    /// See [`Connections::connection`].
    pub(super) fn connection(
        &mut self,
        event: &event::Connection,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        self.connections.connection(event, &mut self.processes, outlet, emit);
    }

    /// Gives the documents of queries that nobody answered in time.
    pub(super) fn expire(&mut self, now: u64, outlet: &mut Outlet, emit: &mut impl FnMut(&Document<'_>)) {
        let timeout = self.transactions.timeout();
        while let Some(transaction) = self.transactions.expire(now) {
            let port = transaction.server.port();
            // What is kept of a query was read before.
            if self.query.decode(&transaction.bytes, Kind::of_port(port)).is_err() {
                continue;
            }
            let dns = dns::Document {
                occurrence: Occurrence::Timeout { query_time: transaction.time },
                actor: &transaction.actor,
                network_namespace: transaction.network_namespace,
                transport: transaction.transport,
                source: transaction.client,
                destination: transaction.server,
                source_is_client: true,
                direction: transaction.direction,
                message_bytes: transaction.length,
                message: &self.query,
                query: None,
                matches: &transaction.labels,
                alert: false,
            };
            outlet.write(transaction.time.saturating_add(timeout), Body::Dns(dns), emit);
        }
    }

    fn query(
        &mut self,
        sighting: &Sighting,
        source_is_client: bool,
        bytes: &[u8],
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        let actor = self.actor_of(sighting);
        // A message that calls itself a query but comes from the server asks nothing of anybody.
        let transaction = source_is_client.then(|| {
            let query = Query { time: sighting.time, bytes, actor: actor.clone(), direction: sighting.direction };
            self.transactions.query(&conversation(sighting, true, self.message.id), query)
        });
        // Of a repetition the first sighting has told it.
        let told = transaction.as_ref().map_or(&[][..], |(_, transaction)| &transaction.labels);
        let alert = self.window.is_alert((sighting.time, &actor), self.labels.news(told), outlet, emit);
        let dns = dns::Document {
            matches: &self.labels.matches,
            alert,
            ..document(sighting, &actor, source_is_client, bytes, &self.message, Occurrence::Query)
        };
        outlet.write(sighting.time, Body::Dns(dns), emit);
        if let Some((_, transaction)) = transaction {
            self.labels.remember(&mut transaction.labels);
        }
    }

    fn answer(
        &mut self,
        sighting: &Sighting,
        source_is_client: bool,
        bytes: &[u8],
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        let conversation = conversation(sighting, source_is_client, self.message.id);
        // A message that calls itself an answer but comes from the client answers nothing.
        let answered = if source_is_client {
            None
        } else {
            self.transactions.answer(&conversation, sighting.time, bytes, sighting.task.as_ref())
        };
        let Some(Answered { transaction, late, duplicate }) = answered else {
            if !source_is_client && sighting.direction.is_some() {
                let asked = self.message.questions().next().map(|question| question.name);
                self.connections.resolved(sighting.time, asked, &self.message, &self.labels.matches);
            }
            let actor = self.actor_of(sighting);
            let alert = self.window.is_alert((sighting.time, &actor), self.labels.news(&[]), outlet, emit);
            let occurrence = Occurrence::Answer { query_time: None, late: false, duplicate: false };
            let dns = dns::Document {
                matches: &self.labels.matches,
                alert,
                ..document(sighting, &actor, source_is_client, bytes, &self.message, occurrence)
            };
            outlet.write(sighting.time, Body::Dns(dns), emit);
            return;
        };
        // Who sent the query, as far as that is known; else whose socket the answer came to.
        let task = transaction.actor.task.or(sighting.task);
        let process = match (&transaction.actor.process, &task) {
            (Some(process), _) => Some(Rc::clone(process)),
            (None, Some(task)) => self.processes.of_task(task, sighting.time),
            (None, None) => None,
        };
        let actor = Actor { process, task };
        let has_question = self.message.questions().next().is_some();
        let query =
            (!has_question && self.query.decode(&transaction.bytes, kind(sighting)).is_ok()).then_some(&self.query);
        self.labels.question_before(&transaction.labels);
        // What is in a capture connects to nothing any more.
        if sighting.direction.is_some() {
            let asked = self.message.questions().chain(query.iter().flat_map(|query| query.questions())).next();
            let asked = asked.map(|question| question.name);
            self.connections.resolved(sighting.time, asked, &self.message, &self.labels.matches);
        }
        let alert = self.window.is_alert((sighting.time, &actor), self.labels.news(&transaction.labels), outlet, emit);
        let occurrence = Occurrence::Answer { query_time: Some(transaction.time), late, duplicate };
        let dns = dns::Document {
            query,
            matches: &self.labels.matches,
            alert,
            ..document(sighting, &actor, source_is_client, bytes, &self.message, occurrence)
        };
        outlet.write(sighting.time, Body::Dns(dns), emit);
        self.labels.remember(&mut transaction.labels);
    }

    /// The holder of the socket. A process that the kernel names and that is not known here is counted.
    fn actor_of(&mut self, sighting: &Sighting) -> Actor {
        let process = sighting.task.as_ref().and_then(|task| {
            let process = self.processes.of_task(task, sighting.time);
            if process.is_none() {
                self.metrics.losses.process_unknown.add(1);
            }
            process
        });
        Actor { process, task: sighting.task }
    }
}

fn kind(sighting: &Sighting) -> Kind {
    match Kind::of_port(sighting.source.port()) {
        Kind::Dns => Kind::of_port(sighting.destination.port()),
        kind => kind,
    }
}

fn conversation(sighting: &Sighting, source_is_client: bool, id: u16) -> Conversation {
    let Sighting { source, destination, .. } = *sighting;
    let (client, server) = if source_is_client { (source, destination) } else { (destination, source) };
    Conversation {
        client,
        server,
        transport: sighting.transport,
        network_namespace: sighting.network_namespace,
        side: sighting.side(source_is_client),
        id,
    }
}

/// What follows from the sighting alone.
fn document<'a>(
    sighting: &Sighting,
    actor: &'a Actor,
    source_is_client: bool,
    bytes: &[u8],
    message: &'a Message,
    occurrence: Occurrence,
) -> dns::Document<'a> {
    dns::Document {
        occurrence,
        actor,
        network_namespace: sighting.network_namespace,
        transport: sighting.transport,
        source: sighting.source,
        destination: sighting.destination,
        source_is_client,
        direction: sighting.direction,
        message_bytes: bytes.len(),
        message,
        query: None,
        matches: &[],
        alert: false,
    }
}
