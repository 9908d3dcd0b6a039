//! The reader's side of the probes. It has the ring, and the flags and counts that it shares with the kernel, mapped
//! into its memory; what needs a privilege it asks of the part that holds the kernel side (`serve`).

use std::fs::File;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::attach::{AttachError, Opening, Times};
use super::canary::TOKEN;
use super::check::{Check, Look, Sight};
use super::program::programs;
use super::refusal::WayIn;
use super::request::Request;
use super::ring::{Ring, monotonic};
use super::serve::{Outcome, serve_here};
use super::settings::Settings;
use super::shared::Shared;
use crate::event::program::Program;
use crate::event::{self, Command, Event, TaskKey};
use crate::metrics::Metrics;
use crate::part::{Channel, Lost, Message};

/// Loading takes seconds on a slow machine, and minutes on an emulated one.
const LOADING: Duration = Duration::from_mins(10);
/// Any other answer takes microseconds; past this time the part has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Nanoseconds between two questions how many runs were skipped.
const SKIPPED: u64 = 1_000_000_000;
/// Nanoseconds between two readings of the sampled processes.
const SAMPLED: u64 = 500_000_000;
/// Bytes of an outcome: the logs of some refusals.
const OUTCOME: u64 = 64 << 20;

/// The attached probes. Dropped, they leave nothing behind in the kernel.
pub struct Probes {
    ring: Ring,
    shared: Shared,
    part: Arc<Channel>,
    /// The part does not answer any more.
    is_lost: bool,
    /// Addresses that are watched.
    watched: usize,
    /// Skipped runs of the probe that sees connections, that are counted or did not matter.
    skipped: u64,
    /// When the map of sampled processes was read last, and how many packets had been left out until then.
    sampled: u64,
    left_out: u64,
    /// When the skipped runs were asked for.
    counted: u64,
    /// How many connections had been put into the map `unjudged` when it was looked through last, and whether
    /// any was left there.
    unjudged: u64,
    has_unjudged: bool,
    /// Records of the processes that ran before, until they are handed out.
    before: Vec<u8>,
    /// The commands that the events of one record ask for.
    commands: Vec<Command>,
    check: Check,
    /// Those that may be loaded.
    programs: Vec<&'static Program>,
    ways_in: Vec<WayIn>,
    times: Times,
}

impl Probes {
    /// Loads and attaches within this process, which keeps its privileges.
    ///
    /// # Errors
    /// The lack of this host, in one sentence with the remedy.
    pub fn open(settings: &Settings) -> Result<Self, AttachError> {
        let (asks, serves) = Channel::pair().map_err(|error| shared("a socket", &error))?;
        let of_thread = settings.clone();
        let serve = move || serve_here(&serves, &of_thread);
        thread::Builder::new().name("kernel".into()).spawn(serve).map_err(|error| shared("a thread", &error))?;
        Self::over(Arc::new(asks), settings)
    }

    /// Loads and attaches by the part behind `part`. [`Probes::drain`] hands out the events from then on.
    ///
    /// # Errors
    /// The lack of this host, in one sentence with the remedy.
    pub fn over(part: Arc<Channel>, settings: &Settings) -> Result<Self, AttachError> {
        let Message { bytes, descriptors } =
            part.ask(&Request::Attach.encode(), LOADING).map_err(|lost| shared("its part", &lost))?;
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or_else(|| shared("its part", &Lost));
        let token = <[u8; TOKEN]>::try_from(bytes).map_err(|_| shared("its part", &Lost))?;
        let outcome = read(next()?).map_err(|error| shared("the outcome", &error))?;
        let before = read(next()?).map_err(|error| shared("the processes before", &error))?;
        let outcome: Outcome = serde_json::from_slice(&outcome).map_err(|error| shared("the outcome", &error))?;
        let Opening { taken, refused, times, .. } = outcome?;
        let (ring, flags) = (next()?, next()?);
        let flags = Shared::new(&flags).map_err(|error| shared("the flags", &error))?;
        let ring = Ring::new(ring, settings.ring_bytes, flags.idle()).map_err(|error| shared("the ring", &error))?;
        let programs = programs(&settings.programs);
        let is_taken = |program: &&&'static Program| taken.iter().any(|name| name == program.name);
        let of_taken: Vec<_> = programs.iter().filter(is_taken).copied().collect();
        Ok(Self {
            ring,
            shared: flags,
            part,
            is_lost: false,
            watched: 0,
            skipped: 0,
            sampled: 0,
            left_out: 0,
            counted: 0,
            unjudged: 0,
            has_unjudged: false,
            before,
            commands: Vec::new(),
            check: Check::new(token),
            ways_in: WayIn::of_roles(programs.iter().copied(), &of_taken, &refused),
            programs,
            times,
        })
    }

    /// Hands out a bounded number of events; processes that ran before the start come first. The commands of `handle`
    /// are applied before the event's record is given back to the ring. True: there may be more.
    pub fn drain(&mut self, metrics: &Metrics, handle: &mut impl FnMut(&Event<'_>, &mut Vec<Command>)) -> bool {
        let Self { ring, before, commands, check, part, shared, watched, is_lost, .. } = self;
        ring.read_clock();
        let mut take = |record: &[u8], clock| {
            match event::decode(record, clock) {
                Ok(Event::Packet(packet)) if check.takes(&packet) => {}
                Ok(event) => handle(&event, commands),
                Err(_) => metrics.losses.record_invalid.add(1),
            }
            for command in commands.drain(..) {
                *is_lost |= apply(part, shared, watched, command).is_err();
            }
        };
        for record in process_records(&std::mem::take(before)) {
            take(record, ring.clock());
        }
        let begun = monotonic();
        let more = ring.drain(&mut take);
        if ring.is_drained() {
            self.judge(begun);
        }
        more
    }

    /// Lets go of the connections that were begun before this moment, and go to no watched address.
    fn judge(&mut self, begun: u64) {
        let count = self.shared.unjudged();
        if count == self.unjudged && !self.has_unjudged {
            return;
        }
        self.unjudged = count;
        self.has_unjudged = self.ask(Request::Judge(begun)).is_some_and(|answer| answer.first() == Some(&1));
    }

    /// Looks whether the kernel side still sees, every ten seconds, and puts back hooks that lost their program.
    pub fn check(&mut self) -> Vec<Sight> {
        let Self { check, part, is_lost, programs, .. } = self;
        check.turn(monotonic(), || {
            let answer = part.ask(&Request::Look.encode(), PATIENCE);
            *is_lost |= answer.is_err();
            answer.map(|message| look(&message.bytes, programs)).unwrap_or_default()
        })
    }

    /// Whether the part that holds the kernel side does not answer any more: then nothing is seen.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Sleeps until there may be records, one of `others` is readable, or a tick is due; no longer than `most`.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], most: Option<Duration>) {
        self.ring.wait(others, most);
    }

    /// Most bytes of the ring that waited when they were drained, since this was last asked.
    pub fn take_fill(&mut self) -> u64 {
        self.ring.take_fill()
    }

    /// Does what the sensor asks of the kernel side.
    pub fn apply(&mut self, command: &Command) {
        self.is_lost |= apply(&self.part, &self.shared, &mut self.watched, *command).is_err();
    }

    /// Nothing new enters the ring after this; what is in it can still be drained.
    pub fn detach(&mut self) {
        // The last counts are to be the last.
        self.counted = 0;
        self.ask(Request::Detach);
    }

    #[must_use]
    pub fn ways_in(&self) -> &[WayIn] {
        &self.ways_in
    }

    #[must_use]
    pub fn times(&self) -> Times {
        self.times
    }

    /// Copies the kernel side's loss counts into `metrics`.
    pub fn count_losses(&mut self, metrics: &Metrics) {
        self.shared.count_losses(metrics);
        let now = monotonic();
        if now.saturating_sub(self.counted) < SKIPPED {
            return;
        }
        self.counted = now;
        let Some(answer) = self.ask(Request::Skipped) else { return };
        let (runs, _) = answer.as_chunks::<8>();
        let [packets, connects] = [0, 1].map(|place| runs.get(place).copied().map_or(0, u64::from_ne_bytes));
        metrics.losses.kernel_probe_skipped.set(packets);
        let growth = connects.saturating_sub(std::mem::replace(&mut self.skipped, connects));
        if self.watched > 0 {
            metrics.losses.kernel_connection_skipped.add(growth);
        }
    }

    /// Processes that sent more than their share since the last call, and how many of their packets were left out.
    /// Reading them takes a moment, so it is done twice a second, and where the number of all of them has grown.
    pub fn take_sampled(&mut self, metrics: &Metrics) -> Vec<(TaskKey, u64)> {
        let (now, left_out) = (monotonic(), metrics.losses.kernel_packet_budget.get());
        if left_out == self.left_out || now.saturating_sub(self.sampled) < SAMPLED {
            return Vec::new();
        }
        (self.left_out, self.sampled) = (left_out, now);
        self.ask(Request::Sampled).map(|answer| sampled(&answer)).unwrap_or_default()
    }

    fn ask(&mut self, request: Request) -> Option<Vec<u8>> {
        let answer = self.part.ask(&request.encode(), PATIENCE);
        self.is_lost |= answer.is_err();
        Some(answer.ok()?.bytes)
    }
}

fn apply(part: &Channel, shared: &Shared, watched: &mut usize, command: Command) -> Result<(), Lost> {
    match command {
        Command::FollowConnections => {
            shared.follow_connections();
            return Ok(());
        }
        Command::Watch(_) => *watched += 1,
        Command::Forget(_) => *watched = watched.saturating_sub(1),
        Command::Release(_) | Command::Mute { .. } => {}
    }
    part.ask(&Request::Apply(command).encode(), PATIENCE).map(drop)
}

/// Whether the datagram was sent, then pairs: the place of a program that was lost, and whether it is attached again.
fn look(answer: &[u8], programs: &[&'static Program]) -> Look {
    let Some((is_sent, lost)) = answer.split_first() else { return Look::default() };
    let (pairs, _) = lost.as_chunks::<2>();
    let program = |place: u8| programs.get(usize::from(place)).copied();
    Look {
        lost: pairs.iter().filter_map(|[place, again]| Some((program(*place)?, *again == 1))).collect(),
        is_sent: *is_sent == 1,
    }
}

/// One byte, then for each process its pid, its exec id, its start and the number of packets.
fn sampled(answer: &[u8]) -> Vec<(TaskKey, u64)> {
    let (entries, _) = answer.get(1..).unwrap_or_default().as_chunks::<24>();
    let words =
        |bytes: &[u8]| bytes.as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word)).collect::<Vec<_>>();
    let longs =
        |bytes: &[u8]| bytes.as_chunks::<8>().0.iter().map(|long| u64::from_ne_bytes(*long)).collect::<Vec<_>>();
    let entry = |bytes: &[u8; 24]| match (&words(&bytes[..8])[..], &longs(&bytes[8..])[..]) {
        (&[pid, exec_id], &[start, count]) => Some((TaskKey { pid, exec_id, start }, count)),
        _ => None,
    };
    entries.iter().filter_map(entry).collect()
}

fn read(memory: OwnedFd) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::from(memory).take(OUTCOME).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn shared(what: &str, error: &dyn std::fmt::Display) -> AttachError {
    AttachError::Shared(format!("{what}: {error}"))
}

fn process_records(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (record, tail) = rest.split_at_checked(event::process_record_length(rest)?)?;
        rest = tail;
        Some(record)
    })
}
