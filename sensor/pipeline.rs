//! Events in, documents out: each event goes to the kind of sightings that it concerns. The pipeline has no input,
//! no output and no clock of its own. A capture and the kernel side feed it alike.

use std::sync::Arc;

use crate::alert::{WatchList, Windows};
use crate::event::{self, Command, Event, MuteReason, TaskKey};
use crate::host::Host;
use crate::metrics::Metrics;
use crate::net::{Payload, Reassembler};
use crate::process::Processes;
use crate::rules::Rules;
use crate::sighting::{Context, Culprit, Document, Emit, Flow, Kinds, Packet, Routed, Seen, Settings, Watch};

/// Nanoseconds between two sweeps: losses, streams with a gap, processes and addresses to be forgotten.
const SWEEP: u64 = 1_000_000_000;

/// The count of packets of muted connections.
const MUTED: &str = "kernel_packet_muted";

/// The one chain that every event goes down.
#[derive(Debug)]
pub struct Pipeline {
    reassembler: Reassembler,
    kinds: Kinds,
    context: Context,
    /// Whether the last packet stood in a capture.
    captured: bool,
    swept: u64,
    watch: Watch,
}

impl Pipeline {
    #[must_use]
    pub fn new(settings: &Settings, host: Host, rules: Arc<Rules>, metrics: Arc<Metrics>) -> Self {
        let context = Context {
            processes: Processes::new(host, Arc::clone(&metrics)),
            rules,
            windows: Windows::new(settings.alert_window, Arc::clone(&metrics)),
            watch: WatchList::new(Arc::clone(&metrics)),
            observe: settings.observe,
            metrics: Arc::clone(&metrics),
            commands: Vec::new(),
            culprits: Vec::new(),
        };
        Self {
            reassembler: Reassembler::new(metrics),
            kinds: Kinds::new(settings, &context),
            context,
            captured: false,
            swept: 0,
            watch: settings.watch,
        }
    }

    /// Takes one event, and emits the documents that are due by it, in their order.
    pub fn push(&mut self, event: &Event<'_>, out: &mut dyn Emit) {
        let out = &mut Watching { watch: self.watch, out };
        let processes = &mut self.context.processes;
        match event {
            Event::Packet(packet) => self.packet(packet, out),
            Event::Process(record) => processes.record(record),
            Event::Fork(fork) => processes.fork(fork),
            Event::Exit(exit) => processes.exit(exit),
            Event::Connection(connection) => {
                self.kinds.see(Seen::Connection(connection), &mut self.context, out);
            }
        }
    }

    /// Emits the documents that are due although no event came: timeouts, messages behind a gap that is not
    /// filled, summaries. `now` is of the events' clock, and all events before it have been pushed.
    pub fn tick(&mut self, now: u64, out: &mut dyn Emit) {
        let out = &mut Watching { watch: self.watch, out };
        self.advance(now, out);
        self.context.sweep(now);
    }

    /// Ends the stream of events. Queries that still wait are no timeouts, for their answers may be on the way;
    /// a caller who knows better gives a later `now`.
    pub fn finish(&mut self, now: u64, out: &mut dyn Emit) {
        let out = &mut Watching { watch: self.watch, out };
        self.reassembler.finish();
        self.kinds.finish(now, self.captured, &mut self.context, out);
        self.context.finish(now, out);
        self.context.report_losses(now, out);
    }

    /// Replaces all rules at once.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.context.set_rules(rules);
    }

    /// The commands to the kernel side since the last call. They are to be taken after each live event and each
    /// tick.
    pub fn take_commands(&mut self) -> impl Iterator<Item = Command> {
        self.context.commands.drain(..)
    }

    /// The next report of losses says that `count` of a loss are due to a process.
    pub fn blame(&mut self, loss: &'static str, process: TaskKey, count: u64) {
        self.context.blame(loss, process, count);
    }

    /// Publishes the sizes of all tables.
    pub fn publish(&self) {
        let levels = &self.context.metrics.levels;
        let (live, retired) = self.context.processes.len();
        levels.processes_live.set(live as u64);
        levels.processes_retired.set(retired as u64);
        self.context.metrics.memory.processes.set(self.context.processes.bytes());
        self.context.watch.publish(levels);
        self.context.windows.publish();
        self.kinds.publish(levels);
    }

    fn packet(&mut self, packet: &event::Packet<'_>, out: &mut dyn Emit) {
        let traffic = &self.context.metrics.traffic;
        traffic.packets.add(1);
        traffic.packet_bytes.add(packet.length.into());
        self.captured = packet.direction.is_none();
        self.advance(packet.time, out);
        let Self { reassembler, kinds, context, .. } = self;
        let segment = match reassembler.parse(packet.time, packet.bytes) {
            Ok(Some(segment)) => segment,
            Ok(None) => return,
            Err(error) => {
                if error.is_malformed() {
                    context.metrics.losses.packet_malformed.add(1);
                }
                return;
            }
        };
        let flow = Flow::of_packet(packet, &segment);
        for payload in segment.payload.datagrams(packet.segment_size) {
            let routed = kinds.packet(&Packet { flow, payload }, context, out);
            let streams = matches!(payload, Payload::Tcp(_)) && packet.socket != 0;
            if routed == Routed::Foreign && streams {
                context.commands.push(Command::Mute { socket: packet.socket, reason: MuteReason::NotDns });
                if let Some(task) = packet.task {
                    context.blame(MUTED, task.process, 1);
                }
            }
        }
    }

    fn advance(&mut self, now: u64, out: &mut dyn Emit) {
        let Self { kinds, context, captured, swept, .. } = self;
        kinds.advance(now, context, out);
        context.advance(now, out);
        if swept.abs_diff(now) >= SWEEP {
            *swept = now;
            kinds.sweep(now, *captured, context, out);
            context.report_losses(now, out);
        }
    }
}

/// Leaves out the documents of kinds that work only because another kind needs them.
struct Watching<'a> {
    watch: Watch,
    out: &'a mut dyn Emit,
}

impl Emit for Watching<'_> {
    fn emit(&mut self, time: u64, document: Document<'_>) {
        if document.kind().is_none_or(|kind| self.watch.contains(kind)) {
            self.out.emit(time, document);
        }
    }

    fn tick(&mut self, now: u64, culprits: &[Culprit]) {
        self.out.tick(now, culprits);
    }
}
