//! A message into its document: who asked, what it answers, what is listed.

use std::rc::Rc;
use std::sync::Arc;

use super::Outlet;
use super::connections::Connections;
use super::labels::Labels;
use super::sighting::{Observe, Sighting};
use super::window::{Asker, Window};
use crate::dns::{Kind, Message, looks_like_dns};
use crate::ecs::{Body, Dns, Document, Occurrence};
use crate::event;
use crate::metrics::Metrics;
use crate::process::{Process, Processes};
use crate::rules::Rules;
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
            let dns = Dns {
                occurrence: Occurrence::Timeout { query_time: transaction.time },
                process: transaction.process.as_deref(),
                task: transaction.task.as_ref(),
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
        let process = self.process_of(sighting);
        // A message that calls itself a query but comes from the server asks nothing of anybody.
        let transaction = source_is_client.then(|| {
            let query = Query {
                time: sighting.time,
                bytes,
                process: process.clone(),
                task: sighting.task,
                direction: sighting.direction,
            };
            self.transactions.query(&conversation(sighting, true, self.message.id), query)
        });
        // Of a repetition the first sighting has told it.
        let told = transaction.as_ref().map_or(&[][..], |(_, transaction)| &transaction.labels);
        let asker = Asker { process: process.as_ref(), task: sighting.task.as_ref(), time: sighting.time };
        let alert = self.window.is_alert(asker, self.labels.news(told), outlet, emit);
        let dns = Dns {
            process: process.as_deref(),
            task: sighting.task.as_ref(),
            matches: &self.labels.matches,
            alert,
            ..dns(sighting, source_is_client, bytes, &self.message, Occurrence::Query)
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
            let process = self.process_of(sighting);
            let asker = Asker { process: process.as_ref(), task: sighting.task.as_ref(), time: sighting.time };
            let alert = self.window.is_alert(asker, self.labels.news(&[]), outlet, emit);
            let occurrence = Occurrence::Answer { query_time: None, late: false, duplicate: false };
            let dns = Dns {
                process: process.as_deref(),
                task: sighting.task.as_ref(),
                matches: &self.labels.matches,
                alert,
                ..dns(sighting, source_is_client, bytes, &self.message, occurrence)
            };
            outlet.write(sighting.time, Body::Dns(dns), emit);
            return;
        };
        // Who sent the query, as far as that is known; else whose socket the answer came to.
        let task = transaction.task.or(sighting.task);
        let process = match (&transaction.process, &task) {
            (Some(process), _) => Some(Rc::clone(process)),
            (None, Some(task)) => self.processes.of_task(task, sighting.time),
            (None, None) => None,
        };
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
        let asker = Asker { process: process.as_ref(), task: task.as_ref(), time: sighting.time };
        let alert = self.window.is_alert(asker, self.labels.news(&transaction.labels), outlet, emit);
        let occurrence = Occurrence::Answer { query_time: Some(transaction.time), late, duplicate };
        let dns = Dns {
            process: process.as_deref(),
            task: task.as_ref(),
            query,
            matches: &self.labels.matches,
            alert,
            ..dns(sighting, source_is_client, bytes, &self.message, occurrence)
        };
        outlet.write(sighting.time, Body::Dns(dns), emit);
        self.labels.remember(&mut transaction.labels);
    }

    /// Who holds the socket; counted where the kernel names a process that is not known here.
    fn process_of(&mut self, sighting: &Sighting) -> Option<Rc<Process>> {
        let process = self.processes.of_task(sighting.task.as_ref()?, sighting.time);
        if process.is_none() {
            self.metrics.losses.process_unknown.add(1);
        }
        process
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
fn dns<'a>(
    sighting: &Sighting,
    source_is_client: bool,
    bytes: &[u8],
    message: &'a Message,
    occurrence: Occurrence,
) -> Dns<'a> {
    Dns {
        occurrence,
        process: None,
        task: None,
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
