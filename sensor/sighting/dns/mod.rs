//! DNS messages, and queries without an answer.

mod document;
mod framing;
mod lookup;
mod ports;
mod transaction;

use std::sync::Arc;

use super::{Context, Emit, Flow, Kind, Seen, Settings};
use crate::metrics::Levels;
use crate::schema::Field;
pub use document::{Document, Occurrence};
pub use framing::LengthPrefix;
use lookup::Lookups;
use ports::Ports;
pub use transaction::{PENDING, SETTLED, SETTLED_TIME};

pub static QUESTION_NAME: Field = Field { ecs: "dns.question.name", ocsf: "query.hostname" };
pub static ANSWER_NAME: Field = Field { ecs: "dns.answers.name", ocsf: "answers.rdata" };
pub static ANSWER_DATA: Field = Field { ecs: "dns.answers.data", ocsf: "answers.rdata" };
pub static RESOLVED_IP: Field = Field { ecs: "dns.resolved_ip", ocsf: "answers.rdata" };

/// The kind `dns`.
#[derive(Debug)]
pub struct Dns {
    ports: Ports,
    lookups: Lookups,
}

impl Kind for Dns {
    const FIELDS: &'static [Field] = &[QUESTION_NAME, ANSWER_NAME, ANSWER_DATA, RESOLVED_IP];
    type Framing = LengthPrefix;
    const DEFAULT: bool = true;

    fn new(settings: &Settings, context: &Context) -> Self {
        Self {
            ports: Ports::new(&settings.ports),
            lookups: Lookups::new(settings.timeout, Arc::clone(&context.metrics)),
        }
    }

    fn claims(&self, flow: &Flow, _first: &[u8], context: &Context) -> bool {
        match self.ports.client(flow) {
            ports::Client::Neither => false,
            // Both ends use a DNS port: the message shows which one asks.
            ports::Client::Either => true,
            ports::Client::Source => flow.is_observed(context.observe, true),
            ports::Client::Destination => flow.is_observed(context.observe, false),
        }
    }

    fn see(&mut self, seen: Seen<'_>, context: &mut Context, out: &mut dyn Emit) {
        if let Seen::Message { flow, bytes } = seen {
            self.lookups.message(flow, self.ports.client(flow), bytes, context, out);
        }
    }

    fn advance(&mut self, now: u64, _context: &mut Context, out: &mut dyn Emit) {
        self.lookups.expire(now, out);
    }

    fn publish(&self, levels: &Levels) {
        let (waiting, settled) = self.lookups.transactions();
        levels.transactions_waiting.set(waiting as u64);
        levels.transactions_settled.set(settled as u64);
    }
}
