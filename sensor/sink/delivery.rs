//! An output with a thread of its own: a bounded buffer on the side of the loop, a queue of chunks in
//! between. How lines leave is decided by the thread, in `file`, `stream` or `remote`.
//!
//! A line that finds the buffer full, or has not left when the output ends, is counted as dropped. The
//! loop waits for a thread in three places only, each with a limit: when an output is opened, when a
//! replay finds the buffer full, and at the end.

use std::collections::VecDeque;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::{Cause, Trouble};
use super::health::Health;
use super::line::Line;
use super::output::{Backlog, Handling, Sink, WhenFull};

/// Lines gathered for one system call: few calls, and still much less than a disk or a socket takes.
pub(super) const BATCH: usize = 64 << 10;
/// The longest wait inside a thread or for it before other work, such as the end, is looked for.
pub(super) const STEP: Duration = Duration::from_millis(100);
/// Opening takes no longer than this, or its file system (NFS, FUSE) is taken to hang.
const OPENING: Duration = Duration::from_secs(5);
/// A replay waits this long for a receiver that is away or a disk that is full, then it drops lines.
const AWAY: Duration = Duration::from_secs(15);
/// Emptied chunks kept for reuse; more than the loop and the thread exchange in a steady state.
const SPARES: usize = 4;
/// A thread whose lines wait for a connection rests this long before it looks at its orders again.
const REST: Duration = Duration::from_millis(10);

/// Writes a line into a chunk in the form that the output's thread reads.
pub(super) type Append = fn(&mut Vec<u8>, &Line<'_>);

/// An output that was opened on its thread, ready to run there.
pub(super) struct Opened {
    pub append: Append,
    pub run: Box<dyn FnOnce(&Queue)>,
}

/// The loop's side.
pub(super) struct Delivery {
    queue: Arc<Queue>,
    append: Append,
    handling: Handling,
    filling: Vec<u8>,
    filling_lines: u64,
    health: Health,
    overflowing: bool,
    /// The output has ended; lines are dropped.
    over: bool,
}

impl Delivery {
    /// Opens an output on a new thread and waits until that is done, but no longer than [`OPENING`], and not
    /// once the program is asked to end.
    pub fn start(
        handling: Handling,
        open: impl FnOnce() -> Result<Opened, Cause> + Send + 'static,
    ) -> Result<Self, Cause> {
        let queue = Arc::new(Queue::default());
        let (report, opened) = sync_channel(1);
        let of_thread = Arc::clone(&queue);
        let body = move || match open() {
            Ok(Opened { append, run }) => {
                // The loop may have given up waiting.
                if report.send(Ok(append)).is_ok() {
                    run(&of_thread);
                    of_thread.finish();
                }
            }
            Err(cause) => drop(report.send(Err(cause))),
        };
        thread::Builder::new().name("output".into()).spawn(body).map_err(Cause::Thread)?;
        let deadline = Instant::now() + OPENING;
        let append = loop {
            match opened.recv_timeout(STEP) {
                Ok(outcome) => break outcome?,
                Err(RecvTimeoutError::Timeout) if (handling.stopping)() => return Err(Cause::Ended),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(_) => return Err(Cause::Silent { seconds: OPENING.as_secs() }),
            }
        };
        Ok(Delivery {
            queue,
            append,
            handling,
            filling: Vec::new(),
            filling_lines: 0,
            health: Health::default(),
            overflowing: false,
            over: false,
        })
    }

    fn hand_over(&mut self) {
        if self.filling.is_empty() {
            return;
        }
        let capacity = self.handling.capacity;
        let length = self.filling.len();
        let mut state = self.queue.lock();
        if self.handling.when_full == WhenFull::Wait {
            while state.bytes + length > capacity
                && !state.finished
                && state.away.is_none_or(|since| since.elapsed() < AWAY)
                && !(self.handling.stopping)()
            {
                state = self.queue.room.wait_timeout(state, STEP).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if state.finished || state.bytes + length > capacity {
            self.over |= state.finished;
            drop(state);
            self.overflow();
            return;
        }
        state.bytes += length;
        state.lines += self.filling_lines;
        let spare = state.spares.pop().unwrap_or_default();
        state.chunks.push_back(std::mem::replace(&mut self.filling, spare));
        self.filling_lines = 0;
        self.queue.wake(&mut state);
    }

    fn overflow(&mut self) {
        self.health.tally.dropped += self.filling_lines;
        self.filling.clear();
        self.filling_lines = 0;
        if !self.over && !self.overflowing {
            // The cause comes before its effect.
            self.collect();
            self.overflowing = true;
            self.health.fail(&Trouble::Full { kib: self.handling.capacity >> 10 });
        }
    }

    /// Takes over the counts and changes that the thread has noted.
    fn collect(&mut self) {
        let mut state = self.queue.lock();
        let tally = std::mem::take(&mut state.health.tally);
        self.health.tally.dropped += tally.dropped;
        self.health.tally.uncertain += tally.uncertain;
        self.health.tally.resent += tally.resent;
        self.health.reader_left |= state.health.reader_left;
        let mut recovered = None;
        while let Some((failing, message)) = state.health.take_change() {
            if failing {
                self.health.fail(&message);
                recovered = None;
            } else {
                recovered = Some(message);
            }
        }
        if self.overflowing && state.bytes < self.handling.capacity / 2 {
            self.overflowing = false;
            recovered.get_or_insert_with(|| "takes lines again".into());
        }
        if let Some(message) = recovered.filter(|_| !self.overflowing && !state.health.is_failing()) {
            self.health.recover(&message);
        }
    }

    /// Waits until `done` or the deadline; gives back the state as it is then.
    fn wait(&self, deadline: Instant, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.queue.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let step = left.min(STEP);
            state = self.queue.room.wait_timeout(state, step).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// Ends the thread and counts every line that has not left by then.
    fn end(&mut self, deadline: Instant) {
        self.over = true;
        let mut state = self.queue.lock();
        state.orders.close = Some(deadline);
        self.queue.wake(&mut state);
        drop(state);
        // The thread counts better and gets a little longer; it may be stuck in a resolver or a file system.
        let mut state = self.wait(deadline + STEP * 2, |state| state.finished);
        let left = std::mem::take(&mut state.lines);
        state.finished = true;
        drop(state);
        self.health.tally.dropped += left;
        self.collect();
    }
}

impl Sink for Delivery {
    fn write(&mut self, line: &Line<'_>) {
        self.health.tally.lines += 1;
        if self.over {
            self.health.tally.dropped += 1;
            return;
        }
        if self.filling.len() + line.bytes.len() > BATCH {
            self.hand_over();
        }
        (self.append)(&mut self.filling, line);
        self.filling_lines += 1;
    }

    fn flush(&mut self) {
        self.hand_over();
    }

    fn reopen(&mut self) {
        self.hand_over();
        let mut state = self.queue.lock();
        state.orders.reopen = true;
        self.queue.wake(&mut state);
    }

    fn tick(&mut self, _now: Instant) {
        self.hand_over();
        self.collect();
    }

    fn start_drain(&mut self, deadline: Instant) {
        self.hand_over();
        let mut state = self.queue.lock();
        state.orders.drain = Some(deadline);
        self.queue.wake(&mut state);
    }

    fn finish_drain(&mut self, deadline: Instant) {
        let mut state = self.wait(deadline, |state| state.lines == 0 || state.finished);
        state.orders.drain = None;
        let is_lost = state.lines > 0 || state.finished;
        drop(state);
        self.collect();
        if is_lost && !self.over {
            let before = self.health.tally.dropped;
            self.end(Instant::now());
            if self.health.tally.dropped > before && !self.health.reader_left {
                self.health.fail(&Trouble::Undelivered);
            }
        }
    }

    fn start_close(&mut self, deadline: Instant) {
        self.hand_over();
        let mut state = self.queue.lock();
        state.orders.close = Some(deadline);
        self.queue.wake(&mut state);
    }

    fn finish_close(&mut self, deadline: Instant) {
        self.end(deadline);
    }

    fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    fn backlog(&self) -> Backlog {
        let state = self.queue.lock();
        Backlog {
            lines: state.lines + self.filling_lines,
            bytes: state.bytes + self.filling.len(),
            away: state.away.map(|since| since.elapsed()),
        }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}

/// The buffer between the loop and one thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Chunks or orders have come.
    work: Condvar,
    /// Chunks have left, or the thread has ended.
    room: Condvar,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Vec<u8>>,
    spares: Vec<Vec<u8>>,
    /// Bytes of the chunks here and with the thread.
    bytes: usize,
    /// Lines of those chunks that have not left.
    lines: u64,
    orders: Orders,
    /// The thread waits at `work`.
    idle: bool,
    /// The thread has ended.
    finished: bool,
    /// The moment since which the output takes nothing.
    away: Option<Instant>,
    /// Counts and changes on the way to the loop.
    health: Health,
}

/// Requests of the loop to a thread.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Orders {
    /// Every line is to leave before this moment; a thread that waits to try again tries now.
    pub drain: Option<Instant>,
    /// The thread is to end when its lines have left, at the latest at this moment.
    pub close: Option<Instant>,
    /// The file behind the path may be another one.
    pub reopen: bool,
}

impl Orders {
    /// Whether this is the last call: every line is to leave, and a thread that cannot write now will not be able to
    /// later.
    pub fn is_last_call(&self) -> bool {
        self.drain.is_some() || self.close.is_some()
    }
}

/// Chunks that a thread has emptied and lines that have left, not yet reported to the loop.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub emptied: Vec<Vec<u8>>,
    pub lines: u64,
}

impl Queue {
    /// Reports progress and takes new chunks. An order to reopen is given once.
    pub fn exchange(&self, progress: &mut Progress, mut take: impl FnMut(Vec<u8>)) -> Orders {
        let mut state = self.lock();
        while let Some(chunk) = state.chunks.pop_front() {
            take(chunk);
        }
        state.lines = state.lines.saturating_sub(std::mem::take(&mut progress.lines));
        if !progress.emptied.is_empty() {
            for mut chunk in progress.emptied.drain(..) {
                state.bytes = state.bytes.saturating_sub(chunk.len());
                if state.spares.len() < SPARES {
                    chunk.clear();
                    state.spares.push(chunk);
                }
            }
            self.room.notify_all();
        }
        let orders = state.orders;
        state.orders.reopen = false;
        orders
    }

    /// Waits for chunks and orders, but no longer than `limit`.
    pub fn rest(&self, limit: Duration) {
        let mut state = self.lock();
        if state.chunks.is_empty() && !state.orders.is_last_call() && !state.orders.reopen {
            state.idle = true;
            state = self.work.wait_timeout(state, limit).unwrap_or_else(PoisonError::into_inner).0;
            state.idle = false;
        } else {
            drop(state);
            thread::sleep(limit.min(REST));
        }
    }

    /// Notes counts and changes for the loop to collect.
    pub fn report<T>(&self, note: impl FnOnce(&mut Health) -> T) -> T {
        note(&mut self.lock().health)
    }

    /// The output takes nothing from now on.
    pub fn set_away(&self) {
        self.lock().away.get_or_insert_with(Instant::now);
    }

    /// The output takes lines; true where it did not before.
    pub fn set_present(&self) -> bool {
        self.lock().away.take().is_some()
    }

    /// The thread has ended: lines that have not left never will.
    fn finish(&self) {
        let mut state = self.lock();
        let left = std::mem::take(&mut state.lines);
        state.health.tally.dropped += left;
        state.finished = true;
        self.room.notify_all();
    }

    /// A thread that is busy finds its work without a system call.
    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.idle) {
            self.work.notify_one();
        }
    }

    /// A thread that died while it held the lock leaves counts that are still true.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
