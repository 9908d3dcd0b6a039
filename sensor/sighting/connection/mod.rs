//! TCP connections to addresses that listed names resolved to.

mod cim;
mod document;
mod ecs;
mod fields;
mod ocsf;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Context, Emit, Kind, Name, Seen, Settings, Watch};
use crate::alert::{Match, Resolution};
use crate::event::{self, Command, ConnectionId, Stage};
use crate::field::Field;
use crate::process::Actor;
pub use document::Document;
pub use fields::{ACTIONS, DESTINATION_IP};

/// Open connections that are followed, as many as the kernel's map holds. Only where records were lost
/// can there be more; then the oldest is forgotten.
const OPEN: usize = 8_192;

/// The kind `connection`.
#[derive(Debug)]
pub struct Connection {
    open: BTreeMap<ConnectionId, Open>,
}

/// An open connection to a watched address. Kept until close, even after the process exits or the watch expires.
#[derive(Debug)]
struct Open {
    actor: Actor,
    resolution: Rc<Resolution>,
    matches: Vec<Match>,
}

impl Kind for Connection {
    const FIELDS: &'static [Field] = fields::FIELDS;
    type Framing = ();
    const DEFAULT: bool = true;
    /// The addresses of listed names come from DNS answers.
    const NEEDS: Watch = Watch::NONE.with(Name::Dns);

    fn new(_settings: &Settings, _context: &Context) -> Self {
        Self { open: BTreeMap::new() }
    }

    fn see(&mut self, seen: Seen<'_>, context: &mut Context, out: &mut dyn Emit) {
        let Seen::Connection(event) = seen else { return };
        if event.stage == Stage::Closed {
            if let Some(open) = self.open.remove(&event.id) {
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
        let matches = resolution.matches.iter();
        let matches =
            matches.map(|Match { hit, .. }| Match { hit: hit.clone(), field: &DESTINATION_IP, atomic: atomic.clone() });
        let connection = Open { actor, matches: matches.collect(), resolution };
        connection.emit(event, out);
        if event.stage == Stage::Opened {
            if self.open.len() >= OPEN && self.open.pop_first().is_some() {
                context.metrics.losses.connection_evicted.add(1);
            }
            self.open.insert(event.id, connection);
        }
    }
}

impl Open {
    fn emit(&self, event: &event::Connection, out: &mut dyn Emit) {
        let Self { actor, resolution, matches } = self;
        let document = Document { event, actor, name: &resolution.name, resolved: resolution.time, matches };
        out.emit(event.time, super::Document::Connection(document));
    }
}
