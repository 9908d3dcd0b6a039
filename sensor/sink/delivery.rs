//! Lines to a receiver that may be slow, stuck or away: a bounded buffer on the side of the loop, a
//! thread that connects, sends and connects again on the other. What is sent where is the business of a
//! [`Connector`], how lost connections come back that of the `worker`.
//!
//! What is promised. A line that found no room, or had not left when the program ended, is counted as
//! dropped. A line that the peer's kernel had not confirmed when a connection was lost is sent again. A
//! line that the peer's kernel had confirmed, but its program had not read, is gone with a receiver that
//! is killed, and no sender can know: a reset connection is the sign of it, and at most how many lines
//! it concerns is counted as uncertain. A connection that the receiver ended in order leaves no doubt.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::health::Health;
use super::pending::BATCH;
use super::remote::backlog;
use super::remote::link::Connector;
use super::remote::worker::Worker;
use super::{Line, Sink, Stopping, WhenFull};

/// How long sending waits before it looks for other work, such as the end.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// A replay waits for a receiver that is away for so long, and drops from then on.
const AWAY: Duration = Duration::from_secs(15);

/// The side of the loop.
pub(crate) struct Delivery {
    shared: Arc<Shared>,
    filling: Vec<u8>,
    filling_lines: u64,
    capacity: usize,
    when_full: WhenFull,
    stopping: Stopping,
    pub health: Health,
    overflowing: bool,
}

pub(super) struct Shared {
    pub state: Mutex<State>,
    /// There are chunks, or the end has come.
    pub work: Condvar,
    /// There is room, or everything is over.
    pub room: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub chunks: VecDeque<Vec<u8>>,
    pub spares: Vec<Vec<u8>>,
    /// In chunks, here and with the thread.
    pub bytes: usize,
    /// Of those: lines not settled.
    pub lines: u64,
    /// The end is to come before that.
    pub closing: Option<Instant>,
    pub finished: bool,
    /// Since when there is no connection.
    pub away: Option<Instant>,
    pub health: Health,
}

impl Shared {
    /// A thread that died while holding the lock leaves counts that are still true.
    pub fn lock(&self) -> MutexGuard<'_, State> {
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
        let worker = Worker::new(Arc::clone(&shared), connector);
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
