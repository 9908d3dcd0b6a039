//! stdout as the output that sets the pace: it is written here and now, and a slow reader slows the
//! loop. It never waits inside a write, so that a request to end is heard while a reader is stuck.

use std::io;
use std::time::{Duration, Instant};

use super::pipe::{Pipe, Ready};
use crate::sink::health::Health;
use crate::sink::pending::{BATCH, Pending};
use crate::sink::{Line, Sink, Stopping};

/// The longest wait for a reader before looking whether the program is asked to end.
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);
/// How long a reader that takes nothing may hold up the end of the program.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) struct Stdout {
    pipe: Pipe,
    pending: Pending,
    /// Bytes kept while a regular file behind stdout takes none.
    buffer: usize,
    stopping: Stopping,
    health: Health,
    over: bool,
    /// A reader that takes nothing is waited for until then, if the program is to end.
    deadline: Option<Instant>,
}

impl Stdout {
    pub fn open(buffer: usize, stopping: Stopping) -> io::Result<Self> {
        let (pending, health) = (Pending::default(), Health::default());
        Ok(Stdout { pipe: Pipe::stdout()?, pending, buffer, stopping, health, over: false, deadline: None })
    }

    fn drain(&mut self) {
        if self.over {
            self.health.tally.dropped += self.pending.discard();
            return;
        }
        let Stdout { pipe, pending, stopping, deadline, .. } = self;
        let (_, outcome) = pending.drain(|bytes| {
            loop {
                match pipe.write(bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let now = Instant::now();
                        if now >= *deadline.get_or_insert(now + GRACE) {
                            return Err(io::ErrorKind::TimedOut.into());
                        }
                        if !stopping() {
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
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.end("its reader has gone".into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                self.end("its reader takes nothing, and the program ends".into());
            }
            Err(error) => self.health.fail(format!("cannot be written: {error}; tried again every second")),
        }
    }

    fn end(&mut self, message: String) {
        self.over = true;
        self.health.tally.dropped += self.pending.discard();
        self.health.fail(message);
    }
}

impl Sink for Stdout {
    fn write(&mut self, line: &Line<'_>) {
        self.health.tally.lines += 1;
        if self.over || (self.health.is_failing() && self.pending.len() + line.bytes.len() > self.buffer) {
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
        // `| head -1` has gone before the next line comes: the run need not wait for it.
        if !self.over && self.pipe.wait(Duration::ZERO).is_ok_and(|ready| ready == Ready::Broken) {
            self.end("its reader has gone".into());
        }
    }

    /// A reader that reads gets everything, however slow (`replay … | less`); only a program that is
    /// asked to end leaves a stuck one behind.
    fn start_close(&mut self, _deadline: Instant) {
        self.drain();
    }

    fn finish(&mut self, _deadline: Instant) {
        self.health.tally.dropped += self.pending.discard();
    }

    fn health(&mut self) -> &mut Health {
        &mut self.health
    }

    fn is_over(&self) -> bool {
        self.over
    }
}
