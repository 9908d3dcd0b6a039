//! DNS messages, and queries without an answer.

/// A DNS number under its mnemonic, else as its `Display` shows it.
macro_rules! mnemonic {
    ($json:expr, $name:literal, $number:expr) => {{
        let number = $number;
        $json.literal_or(crate::json::key!($name), number.mnemonic(), number)
    }};
}

mod answers;
mod budget;
mod cim;
mod document;
mod ecs;
mod fields;
mod framing;
mod lookup;
mod ocsf;
mod ports;
mod programs;
mod sentence;
mod transaction;

use std::sync::Arc;

use super::{Context, Emit, Flow, Kind, Seen, Settings};
use crate::event::program::Program;
use crate::field::{Action, Field};
use crate::metrics::Levels;
use crate::schema::{self, Line};
pub use document::{Document, FIRST_BYTES, Occurrence};
pub use fields::{ANSWER_DATA, ANSWER_NAME, QUESTION_NAME, RESOLVED_IP};
pub use framing::LengthPrefix;
use lookup::Lookups;
use ports::Ports;
pub use transaction::{PENDING, SETTLED, SETTLED_TIME};

/// The kind `dns`.
#[derive(Debug)]
pub struct Dns {
    ports: Ports,
    lookups: Lookups,
}

impl schema::Document for Document<'_> {
    fn ecs(&self, line: &mut Line<'_>) {
        ecs::write(self, line);
    }

    fn cim(&self, line: &mut Line<'_>) {
        cim::write(self, line);
    }

    fn ocsf(&self, line: &mut Line<'_>) {
        ocsf::write(self, line);
    }

    fn alert(&self) -> Option<schema::Alert> {
        self.alert.then(|| schema::Alert { severity: self.severity() })
    }
}

impl Kind for Dns {
    const FIELDS: &'static [Field] = fields::FIELDS;
    const ACTIONS: &'static [Action] = fields::ACTIONS;
    const PROGRAMS: &'static [Program] = programs::PROGRAMS;
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

    fn advance(&mut self, now: u64, context: &mut Context, out: &mut dyn Emit) {
        self.lookups.expire(now, context, out);
    }

    fn publish(&self, levels: &Levels) {
        let (waiting, settled) = self.lookups.transactions().len();
        levels.transactions_waiting.set(waiting as u64);
        levels.transactions_settled.set(settled as u64);
        self.lookups.transactions().publish();
    }
}
