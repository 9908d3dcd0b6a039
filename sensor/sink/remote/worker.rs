//! The thread of an output: it connects, sends, asks what arrived, and after a loss waits and connects
//! again. Which lines are dropped for lack of room is decided by the loop's side, in `delivery`.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::backlog::Backlog;
use super::link::{Connector, Doubt, Lost, Transport};
use crate::sink::delivery::{STEP, Shared};
use crate::sink::pending::BATCH;

/// Connecting takes no longer, name and handshake included (a resolver may take longer still).
const CONNECT: Duration = Duration::from_secs(10);
/// The first wait after a loss; each further one is twice as long,
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// up to this: a receiver that is back is found within half a minute.
const RETRY_LAST: Duration = Duration::from_secs(30);
/// A connection that held for so long starts the waits anew.
const STABLE: Duration = Duration::from_secs(10);
/// How often an idle connection is looked at.
const IDLE: Duration = Duration::from_secs(1);
/// How soon confirmations are asked for while nothing else is to be done; then twice as long, and so on,
const CONFIRM_FIRST: Duration = Duration::from_millis(1);
/// up to this: a receiver may delay its confirmation by 40 ms.
const CONFIRM_LAST: Duration = Duration::from_millis(50);
/// A short rest: the kernel has no buffer for a datagram, or lines wait for a connection.
const REST: Duration = Duration::from_millis(10);
/// Emptied chunks kept for reuse; more than the loop and the thread exchange in a steady state.
const SPARES: usize = 4;

/// The side of the thread.
pub(in crate::sink) struct Worker {
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
    pub(in crate::sink) fn new(shared: Arc<Shared>, connector: Box<dyn Connector>) -> Self {
        Self {
            shared,
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
        }
    }

    /// Until everything is sent after the end was asked for, or its deadline has come.
    pub(in crate::sink) fn run(mut self) {
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
