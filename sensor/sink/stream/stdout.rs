//! stdout as the output that sets the pace: the loop writes it, and a slow reader slows the loop. The wait
//! is never inside a write, so that a request to end is heard while a reader is stuck.

use std::io;
use std::time::{Duration, Instant};

use super::super::delivery::BATCH;
use super::super::error::Trouble;
use super::super::health::Health;
use super::super::line::Line;
use super::super::output::{Backlog, Handling, Sink};
use super::super::remote::Ready;
use super::pending::Pending;
use super::pipe::Pipe;

/// The longest wait for a reader before the request to end is looked for.
const PATIENCE: Duration = Duration::from_millis(100);
/// A reader that takes nothing holds up the end of the program for this long.
const GRACE: Duration = Duration::from_secs(2);

pub(in crate::sink) struct Stdout {
    pipe: Pipe,
    pending: Pending,
    handling: Handling,
    health: Health,
    over: bool,
    /// The end of the wait for a reader that takes nothing, if the program is to end.
    deadline: Option<Instant>,
}

impl Stdout {
    pub fn open(handling: Handling) -> io::Result<Self> {
        let (pending, health) = (Pending::default(), Health::default());
        Ok(Stdout { pipe: Pipe::stdout()?, pending, handling, health, over: false, deadline: None })
    }

    fn drain(&mut self) {
        if self.over {
            self.health.tally.dropped += self.pending.discard();
            return;
        }
        let Stdout { pipe, pending, handling, deadline, .. } = self;
        let (_, outcome) = pending.drain(|bytes| {
            loop {
                match pipe.write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let now = Instant::now();
                        if now >= *deadline.get_or_insert(now + GRACE) {
                            return Err(io::ErrorKind::TimedOut.into());
                        }
                        if !(handling.stopping)() {
                            *deadline = None;
                        }
                        pipe.wait(PATIENCE)?;
                    }
                    other => {
                        *deadline = None;
                        return other;
                    }
                }
            }
        });
        match outcome {
            Ok(()) => self.health.recover("lines are written again"),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.end(&Trouble::ReaderGone),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.end(&Trouble::ReaderStuck);
            }
            Err(error) => self.health.fail(&Trouble::Stdout(error)),
        }
    }

    fn end(&mut self, trouble: &Trouble) {
        self.over = true;
        self.health.reader_left = matches!(trouble, Trouble::ReaderGone);
        self.health.tally.dropped += self.pending.discard();
        self.health.fail(trouble);
    }
}

impl Sink for Stdout {
    fn write(&mut self, line: &Line<'_>) {
        self.health.tally.lines += 1;
        if self.over || (self.health.is_failing() && self.pending.len() + line.bytes.len() > self.handling.capacity) {
            self.health.tally.dropped += 1;
            return;
        }
        self.pending.push(line.bytes);
        if self.pending.len() >= BATCH && !self.health.is_failing() {
            self.drain();
        }
    }

    fn flush(&mut self) {
        if !self.health.is_failing() {
            self.drain();
        }
    }

    fn tick(&mut self, _now: Instant) {
        self.drain();
        // A reader such as `head -1` goes before the next line comes, which the run need not wait for.
        if !self.over && self.pipe.wait(Duration::ZERO).is_ok_and(|ready| ready == Ready::Broken) {
            self.end(&Trouble::ReaderGone);
        }
    }

    /// A reader that reads gets everything, however slow it is (`replay … | less`); a stuck one is left
    /// behind only when the program is asked to end.
    fn start_drain(&mut self, _deadline: Instant) {
        self.drain();
    }

    fn finish_drain(&mut self, _deadline: Instant) {
        if self.health.is_failing() && !self.over {
            self.end(&Trouble::Undelivered);
        }
    }

    fn start_close(&mut self, _deadline: Instant) {
        self.drain();
    }

    fn finish_close(&mut self, _deadline: Instant) {
        self.health.tally.dropped += self.pending.discard();
    }

    fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    fn backlog(&self) -> Backlog {
        Backlog { lines: self.pending.lines(), bytes: self.pending.len(), away: None }
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
