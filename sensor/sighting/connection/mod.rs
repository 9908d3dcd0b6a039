//! TCP connections to addresses that listed names resolved to.

mod cim;
mod document;
mod ecs;
mod fields;
mod ocsf;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::{Context, Emit, Kind, Name, Seen, Settings, Watch};
use crate::alert::Match;
use crate::event::program::{Program, Skipped, When, program};
use crate::event::{self, Command, ConnectionId, Stage};
use crate::field::{Action, Field};
use crate::metrics::{Levels, Metrics};
use crate::process::Actor;
use crate::schema::{self, Line};
pub use document::Document;
pub use fields::DESTINATION_IP;

/// Open connections that are followed, as many as the kernel's map holds. Only where records were lost
/// can there be more; then the oldest is forgotten.
const OPEN: usize = 8_192;

/// The kind `connection`.
#[derive(Debug)]
pub struct Connection {
    open: BTreeMap<ConnectionId, Open>,
    bytes: usize,
    metrics: Arc<Metrics>,
}

/// An open connection to a watched address. Kept until close, even after the process exits or the watch expires.
#[derive(Debug)]
struct Open {
    actor: Actor,
    name: Rc<str>,
    /// The last time that `name` resolved to the address: nanoseconds since the Unix epoch.
    resolved: u64,
    matches: Vec<Match>,
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
}

impl Kind for Connection {
    const FIELDS: &'static [Field] = fields::FIELDS;
    const ACTIONS: &'static [Action] = fields::ACTIONS;
    const PROGRAMS: &'static [Program] =
        &[program("connection_state", "tp_btf/inet_sock_set_state", "who connects", When::Always)
            .optional("connections to addresses that a listed name resolved to")
            .skipped(Skipped::Connections)];
    type Framing = ();
    const DEFAULT: bool = true;
    /// The addresses of listed names come from DNS answers.
    const NEEDS: Watch = Watch::NONE.with(Name::Dns);

    fn new(_settings: &Settings, context: &Context) -> Self {
        Self { open: BTreeMap::new(), bytes: 0, metrics: Arc::clone(&context.metrics) }
    }

    fn see(&mut self, seen: Seen<'_>, context: &mut Context, out: &mut dyn Emit) {
        let Seen::Connection(event) = seen else { return };
        if event.stage == Stage::Closed {
            if let Some(open) = self.open.remove(&event.id) {
                self.bytes -= open.bytes();
                open.emit(event, out);
            }
            return;
        }
        let Some(resolution) = context.watch.get(event.destination.ip()).cloned() else {
            if event.stage == Stage::Opened {
                context.commands.push(Command::Release(event.id));
            }
            return;
        };
        context.metrics.traffic.connections.add(1);
        let actor = context.actor(event.task, event.time);
        let atomic = event.destination.ip().to_string();
        let matches = resolution.matches().map(|Match { hit, .. }| Match {
            hit: hit.clone(),
            field: &DESTINATION_IP,
            atomic: atomic.clone(),
        });
        let connection =
            Open { actor, matches: matches.collect(), name: Rc::clone(&resolution.name), resolved: resolution.time };
        connection.emit(event, out);
        if event.stage == Stage::Opened {
            self.keep(event.id, connection, context);
        }
    }

    fn publish(&self, _levels: &Levels) {
        self.metrics.memory.connections.set(self.bytes);
    }
}

impl Connection {
    fn keep(&mut self, id: ConnectionId, connection: Open, context: &Context) {
        self.bytes += connection.bytes();
        if let Some(before) = self.open.insert(id, connection) {
            self.bytes -= before.bytes();
        }
        let bound = context.metrics.memory.connections.bound();
        while self.open.len() > OPEN || self.bytes > bound {
            let Some((_, oldest)) = self.open.pop_first() else { return };
            self.bytes -= oldest.bytes();
            context.metrics.losses.connection_evicted.add(1);
        }
    }
}

impl Open {
    /// Bytes of memory. A process image counts in whole, because the connection keeps it.
    fn bytes(&self) -> usize {
        let image = self.actor.process.as_ref().map_or(0, |process| process.bytes());
        size_of::<(ConnectionId, Self)>()
            + self.name.len()
            + self.matches.iter().map(Match::bytes).sum::<usize>()
            + image
    }

    fn emit(&self, event: &event::Connection, out: &mut dyn Emit) {
        let Self { actor, name, resolved, matches } = self;
        let document = Document { event, actor, name, resolved: *resolved, matches };
        out.emit(event.time, super::Document::Connection(document));
    }
}
