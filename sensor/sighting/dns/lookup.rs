//! From a message to its document: the actor, the query that it answers, and the entries that it matches.

use std::sync::Arc;

use super::budget::Budget;
use super::document::{Document, FIRST_BYTES, Occurrence};
use super::ports::Client;
use super::transaction::{Answered, Conversation, Query, Transactions};
use super::{ANSWER_DATA, ANSWER_NAME, QUESTION_NAME, RESOLVED_IP};
use crate::alert::{Lookup, Matches};
use crate::dns::{self, Message, Section};
use crate::event::Ends;
use crate::metrics::Metrics;
use crate::process::Actor;
use crate::rules::Rules;
use crate::sighting::{self, Context, Emit, Flow};

/// The queries under way, and the buffers that are used again for the next message.
#[derive(Debug)]
pub(super) struct Lookups {
    transactions: Transactions,
    message: Message,
    /// The query of an answer without question, or of a timeout.
    query: Message,
    matches: Matches,
    /// The documents for what is no message.
    budget: Budget,
}

/// A message on the way to its document.
struct Sighted<'a> {
    flow: &'a Flow,
    source_is_client: bool,
    bytes: &'a [u8],
}

impl Lookups {
    pub(super) fn new(timeout: u64, metrics: Arc<Metrics>) -> Self {
        Self {
            transactions: Transactions::new(timeout, metrics),
            message: Message::default(),
            query: Message::default(),
            matches: Matches::default(),
            budget: Budget::default(),
        }
    }

    pub(super) fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    /// Emits the document of one message.
    pub(super) fn message(
        &mut self,
        flow: &Flow,
        client: Client,
        bytes: &[u8],
        context: &mut Context,
        out: &mut dyn Emit,
    ) {
        let is_readable = self.message.decode(bytes, protocol(flow)).is_ok() && self.message.is_dns;
        let source_is_client = match client {
            Client::Source => true,
            Client::Destination => false,
            // Where the ports do not show who asks (multicast DNS, resolvers that ask from port 53) the
            // message does (QR, RFC 1035 4.1.1).
            Client::Either | Client::Neither => !self.message.response,
        };
        if !flow.is_observed(context.observe, source_is_client) {
            return;
        }
        self.matches.clear();
        for question in self.message.questions() {
            self.matches.name(&context.rules, question.name, &QUESTION_NAME);
        }
        let sighted = Sighted { flow, source_is_client, bytes };
        if !is_readable {
            return self.malformed(&sighted, context, out);
        }
        context.metrics.traffic.messages.add(1);
        if self.message.malformed.is_some() {
            context.metrics.traffic.messages_malformed.add(1);
        }
        if self.message.response {
            match_answer(&mut self.matches, &context.rules, &self.message);
            self.answer(&sighted, context, out);
        } else {
            self.question(&sighted, context, out);
        }
    }

    /// Emits the documents of queries that were not answered in time.
    pub(super) fn expire(&mut self, now: u64, context: &mut Context, out: &mut dyn Emit) {
        let timeout = self.transactions.timeout();
        while let Some(transaction) = self.transactions.expire(now) {
            let protocol = dns::Kind::of_port(transaction.server.port());
            // The bytes kept of a query were decoded before.
            if self.query.decode(&transaction.bytes, protocol).is_err() {
                continue;
            }
            let actor = match &transaction.actor {
                Actor { process: None, task } => context.actor(*task, now),
                known => known.clone(),
            };
            let document = Document {
                occurrence: Occurrence::Timeout { query_time: transaction.time },
                actor: &actor,
                network_namespace: transaction.network_namespace,
                transport: transaction.transport,
                source: transaction.client,
                destination: transaction.server,
                source_is_client: true,
                direction: transaction.direction,
                behind_nat: transaction.behind_nat.as_deref().copied(),
                marks: transaction.marks,
                message_bytes: transaction.length,
                first_bytes: &[],
                message: &self.query,
                query: None,
                matches: &transaction.labels,
                alert: false,
            };
            out.emit(transaction.time.saturating_add(timeout), sighting::Document::Dns(document));
        }
    }

    fn question(&mut self, sighted: &Sighted<'_>, context: &mut Context, out: &mut dyn Emit) {
        let Sighted { flow, source_is_client, bytes } = *sighted;
        let actor = context.actor(flow.origin.task, flow.time);
        let room = self.transactions.label_space();
        // A message that calls itself a query but comes from the server asks nothing.
        let transaction = source_is_client.then(|| {
            let query = Query {
                time: flow.time,
                bytes,
                actor: actor.clone(),
                direction: flow.direction,
                behind_nat: flow.behind_nat,
                marks: flow.origin.marks,
            };
            self.transactions.query(&conversation(sighted, self.message.id), query)
        });
        // The first sighting of a repeated query has raised its alert.
        let before = transaction.as_ref().map_or(&[][..], |(_, transaction)| &transaction.labels);
        let alert = context.is_alert((flow.time, &actor), self.matches.news(before), out);
        let document = Document {
            matches: self.matches.list(),
            alert,
            ..sighted.document(&actor, &self.message, Occurrence::Query)
        };
        out.emit(flow.time, sighting::Document::Dns(document));
        let remembered = transaction.map(|(_, transaction)| self.matches.remember(&mut transaction.labels, room));
        self.transactions.count_labels(remembered.unwrap_or_default());
    }

    fn answer(&mut self, sighted: &Sighted<'_>, context: &mut Context, out: &mut dyn Emit) {
        let Sighted { flow, source_is_client, bytes } = *sighted;
        let room = self.transactions.label_space();
        // A message that calls itself an answer but comes from the client answers nothing.
        let answered = if source_is_client {
            None
        } else {
            let conversation = conversation(sighted, self.message.id);
            self.transactions.answer(&conversation, flow.time, bytes, flow.origin.task.as_ref())
        };
        let Some(Answered { transaction, process, late, duplicate }) = answered else {
            return self.unsolicited(sighted, context, out);
        };
        // The sender of the query, as far as it is known; else the owner of the socket that the answer came to.
        let task = transaction.actor.task.or(flow.origin.task);
        let process = process.or_else(|| context.processes.of_task(task.as_ref()?, flow.time));
        let actor = Actor { process, task };
        let has_question = self.message.questions().next().is_some();
        let query =
            (!has_question && self.query.decode(&transaction.bytes, protocol(flow)).is_ok()).then_some(&self.query);
        self.matches.carry(&transaction.labels, &QUESTION_NAME);
        watch(context, (flow, &actor), (&self.message, query), &self.matches);
        let alert = context.is_alert((flow.time, &actor), self.matches.news(&transaction.labels), out);
        let occurrence = Occurrence::Answer { query_time: Some(transaction.time), late, duplicate };
        // An answer is seen with the addresses that the program knows; its query was seen with both.
        let nat = transaction.behind_nat.as_deref();
        let behind_nat = nat.map(|asked| Ends { source: asked.destination, destination: asked.source });
        let document = Document {
            query,
            behind_nat,
            matches: self.matches.list(),
            alert,
            ..sighted.document(&actor, &self.message, occurrence)
        };
        out.emit(flow.time, sighting::Document::Dns(document));
        let remembered = self.matches.remember(&mut transaction.labels, room);
        self.transactions.count_labels(remembered);
    }

    /// A payload that is no DNS message. One that names a listed name is no chance, and is never left out.
    fn malformed(&mut self, sighted: &Sighted<'_>, context: &mut Context, out: &mut dyn Emit) {
        let Sighted { flow, source_is_client, bytes } = *sighted;
        context.metrics.traffic.messages_unreadable.add(1);
        let process = flow.origin.task.map(|task| task.process);
        let has_room =
            !self.matches.list().is_empty() || flow.direction.is_none() || self.budget.take(process, flow.time);
        if !has_room {
            context.metrics.losses.message_invalid.add(1);
            return;
        }
        let actor = context.actor(flow.origin.task, flow.time);
        // Anyone on the network can send to an open port: that accuses no process.
        let news = self.matches.news(&[]).filter(|_| source_is_client || flow.direction.is_none());
        let alert = context.is_alert((flow.time, &actor), news, out);
        let document = Document {
            first_bytes: bytes.get(..FIRST_BYTES).unwrap_or(bytes),
            matches: self.matches.list(),
            alert,
            ..sighted.document(&actor, &self.message, Occurrence::Malformed)
        };
        out.emit(flow.time, sighting::Document::Dns(document));
    }

    /// An answer whose query was not seen. Anyone on the network can send one to an open port, so it neither raises
    /// an alert about the owner of the socket nor has its addresses watched. A capture accuses no process.
    fn unsolicited(&mut self, sighted: &Sighted<'_>, context: &mut Context, out: &mut dyn Emit) {
        let flow = sighted.flow;
        let actor = context.actor(flow.origin.task, flow.time);
        let news = self.matches.news(&[]).filter(|_| flow.direction.is_none());
        let alert = context.is_alert((flow.time, &actor), news, out);
        let occurrence = Occurrence::Answer { query_time: None, late: false, duplicate: false };
        let document =
            Document { matches: self.matches.list(), alert, ..sighted.document(&actor, &self.message, occurrence) };
        out.emit(flow.time, sighting::Document::Dns(document));
    }
}

impl Sighted<'_> {
    /// The document, as far as it follows from the sighting alone.
    fn document<'a>(&self, actor: &'a Actor, message: &'a Message, occurrence: Occurrence) -> Document<'a> {
        let Self { flow, source_is_client, bytes } = *self;
        Document {
            occurrence,
            actor,
            network_namespace: flow.network_namespace,
            transport: flow.transport,
            source: flow.source,
            destination: flow.destination,
            source_is_client,
            direction: flow.direction,
            behind_nat: flow.behind_nat,
            marks: flow.origin.marks,
            message_bytes: bytes.len(),
            first_bytes: &[],
            message,
            query: None,
            matches: &[],
            alert: false,
        }
    }
}

/// The DNS protocol of a flow, by its ports.
fn protocol(flow: &Flow) -> dns::Kind {
    match dns::Kind::of_port(flow.source.port()) {
        dns::Kind::Dns => dns::Kind::of_port(flow.destination.port()),
        protocol => protocol,
    }
}

fn conversation(sighted: &Sighted<'_>, id: u16) -> Conversation {
    let Sighted { flow, source_is_client, .. } = *sighted;
    let (client, server) =
        if source_is_client { (flow.source, flow.destination) } else { (flow.destination, flow.source) };
    Conversation {
        client,
        server,
        transport: flow.transport,
        network_namespace: flow.network_namespace,
        side: flow.side(source_is_client),
        id,
        socket: flow.socket,
        is_translated: flow.behind_nat.is_some() || flow.is_unbound,
    }
}

/// Matches every name and address that an answer leads to.
fn match_answer(matches: &mut Matches, rules: &Rules, message: &Message) {
    let question = message.questions().next().map(|question| question.name);
    // Records of one name stand together; looking the same name up again finds nothing new.
    let (mut owner, mut target) = (question, None);
    for record in message.records().filter(|record| record.section == Section::Answer) {
        if owner != Some(record.name) && target != Some(record.name) {
            matches.name(rules, record.name, &ANSWER_NAME);
        }
        owner = Some(record.name);
        if let Some(name) = record.target {
            matches.name(rules, name, &ANSWER_DATA);
            target = Some(name);
        }
    }
    for (address, record) in message.addresses().filter(|(_, record)| record.section == Section::Answer) {
        let field = if record.address.is_some() { &RESOLVED_IP } else { &ANSWER_DATA };
        matches.address(rules, address, field);
    }
}

/// Watches the addresses of an answer that matches. The hosts of a capture open no connections any more.
fn watch(
    context: &mut Context,
    (flow, actor): (&Flow, &Actor),
    (answer, query): (&Message, Option<&Message>),
    matches: &Matches,
) {
    if flow.direction.is_none() || matches.list().is_empty() {
        return;
    }
    let asked = answer.questions().chain(query.into_iter().flat_map(Message::questions)).next();
    let records = || answer.addresses().filter(|(_, record)| record.section == Section::Answer);
    let Some(name) = asked.map(|question| question.name).or_else(|| Some(records().next()?.1.name)) else {
        return;
    };
    let user = actor.task.map(|task| task.uid);
    let lookup = Lookup { time: flow.time, name, user, matches: matches.list() };
    context.watch.resolved(lookup, records().map(|(address, _)| address), &mut context.commands);
}
