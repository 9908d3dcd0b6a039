//! Lines to a receiver that may be slow, stuck or away: a bounded buffer on the side of the loop, a
//! thread that connects, sends and connects again on the other. What is sent where is the business of a
//! [`Connector`].
//!
//! What is promised. A line that found no room, or had not left when the program ended, is counted as
//! dropped. A line that the peer's kernel had not confirmed when a connection was lost is sent again. A
//! line that the peer's kernel had confirmed, but its program had not read, is gone with a receiver that
//! is killed, and no sender can know: a reset connection is the sign of it, and at most how many lines
//! it concerns is counted as uncertain. A connection that the receiver ended in order leaves no doubt.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::backlog::{self, Backlog};
use super::connection::{Connector, Doubt, Lost, Transport};
use super::health::Health;
use super::pending::BATCH;
use super::{Line, Sink, Stopping, WhenFull};

/// Connecting takes no longer, name and handshake included (a resolver may take longer still).
const CONNECT: Duration = Duration::from_secs(10);
/// The first wait after a loss; each further one is twice as long,
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// up to this: a receiver that is back is found within half a minute.
const RETRY_LAST: Duration = Duration::from_secs(30);
/// A connection that held for so long starts the waits anew.
const STABLE: Duration = Duration::from_secs(10);
/// How long sending waits before it looks for other work, such as the end.
const STEP: Duration = Duration::from_millis(100);
/// How often an idle connection is looked at.
const IDLE: Duration = Duration::from_secs(1);
/// How soon confirmations are asked for while nothing else is to be done; then twice as long, and so on,
const CONFIRM_FIRST: Duration = Duration::from_millis(1);
/// up to this: a receiver may delay its confirmation by 40 ms.
const CONFIRM_LAST: Duration = Duration::from_millis(50);
/// A replay waits for a receiver that is away for so long, and drops from then on.
const AWAY: Duration = Duration::from_secs(15);
/// A short rest: the kernel has no buffer for a datagram, or lines wait for a connection.
const REST: Duration = Duration::from_millis(10);
/// Emptied chunks kept for reuse; more than the loop and the thread exchange in a steady state.
const SPARES: usize = 4;

/// The side of the loop.
pub(crate) struct Delivery {
    shared: Arc<Shared>,
    filling: Vec<u8>,
    filling_lines: u64,
    capacity: usize,
    when_full: WhenFull,
    stopping: Stopping,
    health: Health,
    overflowing: bool,
}

struct Shared {
    state: Mutex<State>,
    /// There are chunks, or the end has come.
    work: Condvar,
    /// There is room, or everything is over.
    room: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Vec<u8>>,
    spares: Vec<Vec<u8>>,
    /// In chunks, here and with the thread.
    bytes: usize,
    /// Of those: lines not settled.
    lines: u64,
    /// The end is to come before that.
    closing: Option<Instant>,
    finished: bool,
    /// Since when there is no connection.
    away: Option<Instant>,
    health: Health,
}

impl Shared {
    /// A thread that died while holding the lock leaves counts that are still true.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    pub fn start(
        capacity: usize,
        connector: Box<dyn Connector>,
        when_full: WhenFull,
        stopping: Stopping,
    ) -> Result<Self, String> {
        let state = Mutex::new(State { away: Some(Instant::now()), ..State::default() });
        let shared = Arc::new(Shared { state, work: Condvar::new(), room: Condvar::new() });
        let worker = Worker {
            shared: Arc::clone(&shared),
            connector,
            link: None,
            backlog: Backlog::default(),
            frames: Vec::new(),
            sent: 0,
            handed: 0,
            done: Vec::new(),
            settled: 0,
            told_proven: false,
            told_length: false,
            confirm: CONFIRM_FIRST,
            retry: Retry { at: Instant::now(), wait: RETRY_FIRST },
        };
        thread::Builder::new().name("output".into()).spawn(move || worker.run()).map_err(|error| error.to_string())?;
        Ok(Delivery {
            shared,
            filling: Vec::new(),
            filling_lines: 0,
            capacity,
            when_full,
            stopping,
            health: Health::default(),
            overflowing: false,
        })
    }

    fn hand_over(&mut self) {
        if self.filling.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        let length = self.filling.len();
        if self.when_full == WhenFull::Wait {
            while state.bytes + length > self.capacity
                && state.away.is_none_or(|since| since.elapsed() < AWAY)
                && !(self.stopping)()
            {
                state = self.shared.room.wait_timeout(state, STEP).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if state.bytes + length > self.capacity {
            drop(state);
            self.overflow();
            return;
        }
        state.bytes += length;
        state.lines += self.filling_lines;
        let spare = state.spares.pop().unwrap_or_default();
        state.chunks.push_back(std::mem::replace(&mut self.filling, spare));
        self.filling_lines = 0;
        self.shared.work.notify_one();
    }

    fn overflow(&mut self) {
        self.health.tally.dropped += self.filling_lines;
        self.filling.clear();
        self.filling_lines = 0;
        if !self.overflowing {
            self.overflowing = true;
            let size = self.capacity >> 10;
            let message =
                format!("its buffer of {size} KiB is full, and lines are dropped; buffer=SIZE makes it larger");
            self.health.fail(message);
        }
    }

    /// Takes over what the thread has to tell.
    fn collect(&mut self) {
        let mut state = self.shared.lock();
        let tally = std::mem::take(&mut state.health.tally);
        self.health.tally.dropped += tally.dropped;
        self.health.tally.uncertain += tally.uncertain;
        self.health.tally.resent += tally.resent;
        let mut recovered = None;
        while let Some((failing, message)) = state.health.take_change() {
            if failing {
                self.health.fail(message);
                recovered = None;
            } else {
                recovered = Some(message);
            }
        }
        if self.overflowing && state.bytes < self.capacity / 2 {
            self.overflowing = false;
            recovered.get_or_insert_with(|| "takes lines again".into());
        }
        if let Some(message) = recovered.filter(|_| !self.overflowing && !state.health.is_failing()) {
            self.health.recover(format!("{message}; {} lines were dropped so far", self.health.tally.dropped));
        }
    }
}

impl Sink for Delivery {
    fn write(&mut self, line: &Line<'_>) {
        self.health.tally.lines += 1;
        if self.filling.len() + line.bytes.len() > BATCH {
            self.hand_over();
        }
        backlog::append(&mut self.filling, line);
        self.filling_lines += 1;
    }

    fn flush(&mut self) {
        self.hand_over();
    }

    fn tick(&mut self, _now: Instant) {
        self.hand_over();
        self.collect();
    }

    fn start_close(&mut self, deadline: Instant) {
        self.hand_over();
        self.shared.lock().closing = Some(deadline);
        self.shared.work.notify_one();
    }

    fn finish(&mut self, deadline: Instant) {
        let mut state = self.shared.lock();
        // A little longer than the thread, which counts better; but it may be stuck in a resolver.
        while !state.finished && Instant::now() < deadline + STEP * 2 {
            state = self.shared.room.wait_timeout(state, STEP).unwrap_or_else(PoisonError::into_inner).0;
        }
        let left = std::mem::take(&mut state.lines);
        drop(state);
        self.health.tally.dropped += left;
        self.collect();
    }

    fn health(&mut self) -> &mut Health {
        &mut self.health
    }
}

/// The side of the thread.
struct Worker {
    shared: Arc<Shared>,
    connector: Box<dyn Connector>,
    link: Option<Link>,
    backlog: Backlog,
    /// Framed bytes, of which `sent` are with the kernel.
    frames: Vec<u8>,
    sent: usize,
    /// Bytes given to the kernel on this connection.
    handed: u64,
    /// Emptied chunks and settled lines, not yet told to the loop.
    done: Vec<Vec<u8>>,
    settled: u64,
    /// The present connection is known to work, and the loop knows it.
    told_proven: bool,
    told_length: bool,
    /// How long to wait for a confirmation before asking.
    confirm: Duration,
    retry: Retry,
}

struct Link {
    transport: Box<dyn Transport>,
    since: Instant,
}

struct Retry {
    at: Instant,
    wait: Duration,
}

impl Worker {
    fn run(mut self) {
        loop {
            let closing = self.exchange();
            let now = Instant::now();
            if closing.is_some_and(|deadline| self.backlog.is_empty() || now >= deadline) {
                break;
            }
            let outcome = if self.link.is_some() {
                self.advance()
            } else if now >= self.retry.at {
                self.connect(closing)
            } else {
                self.rest(self.retry.at - now);
                Ok(())
            };
            if let Err(error) = outcome {
                self.lose(&error);
            }
        }
        if let Some(link) = &mut self.link {
            link.transport.finish();
        }
        let mut state = self.shared.lock();
        let left = std::mem::take(&mut state.lines);
        state.health.tally.dropped += left;
        state.finished = true;
        self.shared.room.notify_all();
    }

    /// Takes new chunks, gives back emptied ones. Returns the deadline if the end has come.
    fn exchange(&mut self) -> Option<Instant> {
        let mut state = self.shared.lock();
        while let Some(chunk) = state.chunks.pop_front() {
            self.backlog.add(chunk);
        }
        state.lines = state.lines.saturating_sub(std::mem::take(&mut self.settled));
        if !self.done.is_empty() {
            for mut chunk in self.done.drain(..) {
                state.bytes = state.bytes.saturating_sub(chunk.len());
                if state.spares.len() < SPARES {
                    chunk.clear();
                    state.spares.push(chunk);
                }
            }
            self.shared.room.notify_all();
        }
        state.closing
    }

    /// Waits for work, or for the time to pass.
    fn rest(&self, limit: Duration) {
        let state = self.shared.lock();
        if state.chunks.is_empty() && state.closing.is_none() {
            drop(self.shared.work.wait_timeout(state, limit));
        } else {
            drop(state);
            // Connecting again is due later, however much waits.
            thread::sleep(limit.min(REST));
        }
    }

    fn connect(&mut self, closing: Option<Instant>) -> io::Result<()> {
        let now = Instant::now();
        let transport = self.connector.connect(closing.unwrap_or(now + CONNECT).min(now + CONNECT))?;
        self.link = Some(Link { transport, since: now });
        self.tell_proven();
        Ok(())
    }

    fn advance(&mut self) -> io::Result<()> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let datagram = link.transport.is_datagram();
        link.transport.check()?;
        let confirmed = link.transport.acknowledged();
        self.settled += self.backlog.settle(confirmed, &mut self.done);
        if self.sent >= self.frames.len() {
            self.frames.clear();
            self.sent = 0;
            let Worker { backlog, connector, frames, .. } = self;
            let most = if datagram { 1 } else { BATCH };
            while frames.len() < most
                && backlog.frame_next(|message| {
                    let before = frames.len();
                    connector.frame(message, datagram, frames);
                    frames.len() - before
                })
            {}
        }
        if self.frames.is_empty() {
            self.tell_proven();
            self.rest(if self.backlog.is_flying() { self.confirm } else { IDLE });
            self.confirm = (self.confirm * 2).min(CONFIRM_LAST);
            return Ok(());
        }
        let Some(link) = &mut self.link else { return Ok(()) };
        match link.transport.send(self.frames.get(self.sent..).unwrap_or_default()) {
            Ok(taken) => {
                self.confirm = CONFIRM_FIRST;
                self.sent += taken;
                self.handed += taken as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => link.transport.wait(STEP)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => thread::sleep(REST),
            Err(error) if datagram && error.raw_os_error() == Some(nix::libc::EMSGSIZE) => self.leave_out(),
            Err(error) => return Err(error),
        }
        self.tell_proven();
        Ok(())
    }

    /// A line that is longer than a datagram may be.
    fn leave_out(&mut self) {
        let length = self.frames.len();
        self.backlog.abandon(length, &mut self.done);
        self.frames.clear();
        self.sent = 0;
        self.settled += 1;
        let mut state = self.shared.lock();
        state.health.tally.dropped += 1;
        if !std::mem::replace(&mut self.told_length, true) {
            let told = format!("a line of {length} bytes is longer than a datagram may be; such lines are dropped");
            state.health.fail(told);
            state.health.recover("goes on with shorter lines");
        }
    }

    fn lose(&mut self, error: &io::Error) {
        let now = Instant::now();
        let mut uncertain = 0;
        let mut refused = 0;
        let mut stable = false;
        if let Some(mut link) = self.link.take() {
            let lost = match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Lost::Ended,
                _ => Lost::Broken,
            };
            let confirmed = link.transport.acknowledged();
            self.settled += self.backlog.settle(confirmed, &mut self.done);
            let doubt = link.transport.doubt(lost);
            uncertain = self.backlog.doubted(doubt, confirmed);
            if let Doubt::Refused(lines) = doubt {
                refused = lines;
            }
            stable = now.duration_since(link.since) >= STABLE;
        }
        let resent = self.backlog.rewind(self.handed);
        self.told_proven = false;
        self.handed = 0;
        self.sent = 0;
        self.frames.clear();
        let jitter = u32::try_from(RandomState::new().hash_one(0u8) % 1000).unwrap_or_default();
        let wait = if stable { RETRY_FIRST } else { self.retry.wait };
        // Between half and the whole of the wait, so that a fleet does not come back at one moment.
        self.retry.at = now + wait / 2 + (wait / 2) * jitter / 1000;
        self.retry.wait = (wait * 2).min(RETRY_LAST);
        let mut state = self.shared.lock();
        state.away.get_or_insert(now);
        state.health.tally.dropped += refused;
        state.health.tally.uncertain += uncertain;
        state.health.tally.resent += resent;
        let doubt =
            if uncertain > 0 { format!("; up to {uncertain} lines may not have been read") } else { String::new() };
        state.health.fail(format!("{error}{doubt}; lines are kept while there is room, and it is tried again"));
    }

    fn tell_proven(&mut self) {
        if !self.told_proven && self.link.as_ref().is_some_and(|link| link.transport.is_proven()) {
            self.told_proven = true;
            let mut state = self.shared.lock();
            if state.away.take().is_some() {
                state.health.recover("connected again");
            }
        }
    }
}
