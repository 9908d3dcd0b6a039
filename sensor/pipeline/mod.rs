//! Events in, documents out: who asked what, what came back, and what is listed. No input or output
//! and no clock of its own; how a document reads is left to `ecs`, where it goes to `sink`.

mod connections;
mod labels;
mod lookup;
mod sighting;
mod window;

use std::sync::Arc;

use crate::event::{Command, Event, MuteReason, Packet};
use crate::framing::LengthPrefix;
use crate::host::Host;
use crate::journal::{Body, Document, Report};
use crate::metrics::Metrics;
use crate::net::{FlowKey, Payload, Reassembler, Streams, Verdict};
pub use crate::observe::Observe;
use crate::process::Processes;
use crate::rules::Rules;
use crate::transaction::Transactions;
use lookup::Lookups;
use sighting::{Ports, Sighting};
use window::Window;

/// What the user may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// UDP and TCP ports that carry DNS.
    pub ports: Vec<u16>,
    /// Whose sightings are told; captures have only one.
    pub observe: Observe,
    /// Nanoseconds after which a query counts as not answered.
    pub timeout: u64,
    /// Nanoseconds in which one process raises one alert for one entry, and repeats are counted; 0:
    /// each lookup raises its own.
    pub alert_window: u64,
}

impl Default for Settings {
    /// DNS, multicast DNS and LLMNR; and the time after which the resolvers of glibc and musl, and
    /// `dig`, ask again (`timeout` in resolv.conf(5)): what comes later, nobody waits for.
    fn default() -> Self {
        Self { ports: vec![53, 5353, 5355], observe: Observe::Clients, timeout: 5_000_000_000, alert_window: 0 }
    }
}

/// Nanoseconds between two reports of losses, and between two looks at streams with a gap.
const SWEEP: u64 = 1_000_000_000;

/// The one chain that every event goes down.
#[derive(Debug)]
pub struct Pipeline {
    ports: Ports,
    observe: Observe,
    metrics: Arc<Metrics>,
    reassembler: Reassembler,
    streams: Streams<LengthPrefix>,
    lookups: Lookups,
    outlet: Outlet,
    losses: Losses,
    /// The last packet stood in a capture.
    captured: bool,
    swept: u64,
    /// The last packet's connection turned out to carry no DNS.
    muted: Option<Command>,
}

impl Pipeline {
    #[must_use]
    pub fn new(settings: &Settings, host: Host, rules: Arc<Rules>, metrics: Arc<Metrics>) -> Self {
        Self {
            ports: Ports::new(&settings.ports),
            observe: settings.observe,
            reassembler: Reassembler::new(Arc::clone(&metrics)),
            streams: Streams::new(Arc::clone(&metrics)),
            lookups: Lookups::new(
                Transactions::new(settings.timeout, Arc::clone(&metrics)),
                Processes::new(host, Arc::clone(&metrics)),
                rules,
                Window::new(settings.alert_window, Arc::clone(&metrics)),
                Arc::clone(&metrics),
            ),
            outlet: Outlet { sequence: 0, metrics: Arc::clone(&metrics) },
            losses: Losses::default(),
            captured: false,
            swept: 0,
            muted: None,
            metrics,
        }
    }

    /// Takes one event, and gives the documents that are due by it, in their order.
    pub fn push(&mut self, event: &Event<'_>, emit: &mut impl FnMut(&Document<'_>)) {
        match event {
            Event::Packet(packet) => {
                if self.packet(packet, emit) == Verdict::Foreign && packet.socket != 0 {
                    self.muted = Some(Command::Mute { socket: packet.socket, reason: MuteReason::NotDns });
                }
            }
            Event::Process(record) => self.lookups.processes.record(record),
            Event::Fork(fork) => self.lookups.processes.fork(fork),
            Event::Exit(exit) => self.lookups.processes.exit(exit),
            Event::Connection(connection) => self.lookups.connection(connection, &mut self.outlet, emit),
        }
    }

    /// What is due although nothing happened: timeouts, messages behind a gap that nobody fills,
    /// losses. `now` is of the events' clock, and all events before it have been pushed.
    pub fn tick(&mut self, now: u64, emit: &mut impl FnMut(&Document<'_>)) {
        self.lookups.expire(now, &mut self.outlet, emit);
        self.lookups.window.expire(now, &mut self.outlet, emit);
        self.lookups.processes.tick(now);
        self.lookups.connections.expire(now);
        self.sweep(now, emit);
    }

    /// There are no more events. Queries that still wait are not told as timeouts, for their answers
    /// may be on the way; who knows better gives a later `now`.
    pub fn finish(&mut self, now: u64, emit: &mut impl FnMut(&Document<'_>)) {
        self.reassembler.finish();
        let Self { streams, lookups, outlet, ports, captured, observe, .. } = self;
        streams.finish(|flow, bytes| {
            if let Some(sighting) = Sighting::of_flow(flow, now, *captured, ports) {
                lookups.message(&sighting, *observe, bytes, outlet, emit);
            }
        });
        self.lookups.expire(now, &mut self.outlet, emit);
        self.lookups.window.finish(now, &mut self.outlet, emit);
        self.losses.tell(now, &self.metrics, &mut self.outlet, emit);
    }

    /// Replaces all rules at once.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.lookups.connections.reconsider(&rules);
        self.lookups.rules = rules;
    }

    /// What the kernel side is to do, since the last look: to be asked after each live event and each tick.
    pub fn take_commands(&mut self) -> impl Iterator<Item = Command> {
        self.muted.take().into_iter().chain(self.lookups.connections.take())
    }

    /// Gives a document about the sensor itself its place in the stream.
    pub fn report(&mut self, time: u64, report: Report<'_>, emit: &mut impl FnMut(&Document<'_>)) {
        self.outlet.write(time, Body::Report(report), emit);
    }

    /// The table of processes, for who wants to show its size.
    #[must_use]
    pub fn processes(&self) -> &Processes {
        &self.lookups.processes
    }

    /// The table of transactions, for who wants to show its size.
    #[must_use]
    pub fn transactions(&self) -> &Transactions {
        &self.lookups.transactions
    }

    fn packet(&mut self, packet: &Packet<'_>, emit: &mut impl FnMut(&Document<'_>)) -> Verdict {
        self.metrics.traffic.packets.add(1);
        self.metrics.traffic.packet_bytes.add(packet.length.into());
        self.captured = packet.direction.is_none();
        self.lookups.expire(packet.time, &mut self.outlet, emit);
        self.lookups.window.expire(packet.time, &mut self.outlet, emit);
        if self.swept.abs_diff(packet.time) >= SWEEP {
            self.sweep(packet.time, emit);
        }
        let Self { reassembler, streams, lookups, outlet, ports, observe, .. } = self;
        let segment = match reassembler.parse(packet.time, packet.bytes) {
            Ok(Some(segment)) => segment,
            Ok(None) => return Verdict::Expected,
            Err(error) => {
                if error.is_malformed() {
                    self.metrics.losses.packet_malformed.add(1);
                }
                return Verdict::Expected;
            }
        };
        let Some(sighting) = Sighting::of_packet(packet, &segment, ports) else { return Verdict::Expected };
        if !sighting.is_observed(*observe, sighting.source_is_client) {
            return Verdict::Expected;
        }
        match segment.payload {
            Payload::Udp(bytes) => {
                lookups.message(&sighting, *observe, bytes, outlet, emit);
                Verdict::Expected
            }
            Payload::Tcp(tcp) => streams.push(&sighting.flow(), packet.time, &tcp, |bytes| {
                lookups.message(&sighting, *observe, bytes, outlet, emit);
            }),
        }
    }

    fn sweep(&mut self, now: u64, emit: &mut impl FnMut(&Document<'_>)) {
        if self.swept.abs_diff(now) < SWEEP {
            return;
        }
        self.swept = now;
        let Self { streams, lookups, outlet, ports, captured, observe, .. } = self;
        streams.expire(now, |flow: &FlowKey, bytes| {
            if let Some(sighting) = Sighting::of_flow(flow, now, *captured, ports) {
                lookups.message(&sighting, *observe, bytes, outlet, emit);
            }
        });
        self.losses.tell(now, &self.metrics, &mut self.outlet, emit);
    }
}

/// Where every document leaves, so that the stream is numbered without a gap.
#[derive(Debug)]
struct Outlet {
    sequence: u64,
    metrics: Arc<Metrics>,
}

impl Outlet {
    fn write(&mut self, time: u64, body: Body<'_>, emit: &mut impl FnMut(&Document<'_>)) {
        self.sequence += 1;
        self.metrics.traffic.documents.add(1);
        if matches!(&body, Body::Dns(dns) if dns.alert) {
            self.metrics.traffic.alerts.add(1);
        }
        emit(&Document { time, sequence: self.sequence, body });
    }
}

/// What of the counted losses the stream knows.
#[derive(Debug, Default)]
struct Losses {
    told: Vec<u64>,
    growth: Vec<(&'static str, u64, u64)>,
}

impl Losses {
    fn tell(&mut self, now: u64, metrics: &Metrics, outlet: &mut Outlet, emit: &mut impl FnMut(&Document<'_>)) {
        self.growth.clear();
        for (place, (name, _, total)) in metrics.losses.each().enumerate() {
            if place == self.told.len() {
                self.told.push(0);
            }
            let told = &mut self.told[place];
            if total > *told {
                self.growth.push((name, total - *told, total));
            }
            *told = total;
        }
        if !self.growth.is_empty() {
            outlet.write(now, Body::Report(Report::Loss { losses: &self.growth }), emit);
        }
    }
}
