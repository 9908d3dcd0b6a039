//! The thread of an output behind a connection: it connects, sends, asks for confirmations, and after a
//! loss waits and connects again. Lines are dropped for lack of space by the loop's side, in `delivery`.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;

use super::super::delivery::{BATCH, Opened, Orders, Progress, Queue, STEP};
use super::super::error::{LinkError, Trouble};
use super::backlog::{self, Backlog};
use super::link::{Connector, Doubt, Link, Lost};

/// Connecting takes no longer than this, name and handshake included (a resolver may take longer still).
const CONNECT: Duration = Duration::from_secs(10);
/// The first wait after a loss; each further one is twice as long, up to [`RETRY_LAST`].
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// The longest wait between two attempts: a receiver that works again gets lines after this time at the latest.
const RETRY_LAST: Duration = Duration::from_secs(30);
/// A connection that held for this long starts the waits anew.
const STABLE: Duration = Duration::from_secs(10);
/// The pause between two looks at an idle connection.
const IDLE: Duration = Duration::from_secs(1);
/// The first pause before a confirmation is asked for; each further one is twice as long, up to
/// [`CONFIRM_LAST`].
const CONFIRM_FIRST: Duration = Duration::from_millis(1);
/// The longest such pause: a receiver may delay its confirmation by 40 ms.
const CONFIRM_LAST: Duration = Duration::from_millis(50);
/// The rest while the kernel has no buffer for a datagram.
const REST: Duration = Duration::from_millis(10);

pub(in crate::sink) struct Worker {
    connector: Box<dyn Connector>,
    session: Option<Session>,
    backlog: Backlog,
    /// Framed bytes, of which `sent` are with the kernel.
    frames: Vec<u8>,
    sent: usize,
    /// Bytes given to the kernel on this connection.
    handed: u64,
    progress: Progress,
    /// The present connection is known to work, and the loop knows it.
    reported_proven: bool,
    reported_length: bool,
    /// The next pause before a confirmation is asked for.
    confirm: Duration,
    retry: Retry,
    /// The last call was heard, and one try more is due at once.
    called: bool,
}

/// The present connection.
struct Session {
    link: Box<dyn Link>,
    since: Instant,
}

struct Retry {
    at: Instant,
    wait: Duration,
}

impl Worker {
    pub fn new(connector: Box<dyn Connector>) -> Self {
        Self {
            connector,
            session: None,
            backlog: Backlog::default(),
            frames: Vec::new(),
            sent: 0,
            handed: 0,
            progress: Progress::default(),
            reported_proven: false,
            reported_length: false,
            confirm: CONFIRM_FIRST,
            retry: Retry { at: Instant::now(), wait: RETRY_FIRST },
            called: false,
        }
    }

    pub fn opened(self) -> Opened {
        Opened { append: backlog::append, run: Box::new(move |queue| self.run(queue)) }
    }

    /// Sends until the end is ordered and every line is confirmed, or the deadline of the end has come.
    fn run(mut self, queue: &Queue) {
        queue.set_away();
        loop {
            let orders = self.exchange(queue);
            let now = Instant::now();
            if orders.close.is_some_and(|deadline| self.backlog.is_empty() || now >= deadline) {
                break;
            }
            let outcome = if self.session.is_some() {
                self.advance(queue)
            } else if now >= self.retry.at {
                self.connect(queue, orders)
            } else {
                queue.rest(self.retry.at - now);
                Ok(())
            };
            match outcome {
                Ok(()) => {}
                // No other reader can come.
                Err(LinkError::ReaderGone) => {
                    queue.report(|health| {
                        health.reader_left = true;
                        health.fail(&Trouble::ReaderGone);
                    });
                    break;
                }
                Err(error) => self.lose(queue, error),
            }
        }
        if let Some(session) = &mut self.session {
            session.link.finish();
        }
    }

    /// Reports progress and takes new chunks. At the last call the wait for the next try is over.
    fn exchange(&mut self, queue: &Queue) -> Orders {
        let orders = queue.exchange(&mut self.progress, |chunk| self.backlog.add(chunk));
        if orders.is_last_call() && !self.called {
            self.retry.at = Instant::now();
        }
        self.called = orders.is_last_call();
        orders
    }

    fn connect(&mut self, queue: &Queue, orders: Orders) -> Result<(), LinkError> {
        let now = Instant::now();
        let deadline = orders.close.or(orders.drain).unwrap_or(now + CONNECT);
        let link = self.connector.connect(deadline.min(now + CONNECT))?;
        self.session = Some(Session { link, since: now });
        self.report_proven(queue);
        Ok(())
    }

    fn advance(&mut self, queue: &Queue) -> Result<(), LinkError> {
        let Some(Session { link, .. }) = &mut self.session else { return Ok(()) };
        let datagram = link.is_datagram();
        link.check()?;
        let confirmed = link.acknowledged();
        self.backlog.settle(confirmed, &mut self.progress);
        if self.sent >= self.frames.len() {
            self.frame(datagram);
        }
        if self.frames.is_empty() {
            self.report_proven(queue);
            queue.rest(if self.backlog.is_flying() { self.confirm } else { IDLE });
            self.confirm = (self.confirm * 2).min(CONFIRM_LAST);
            return Ok(());
        }
        let (_, unsent) = self.frames.split_at(self.sent.min(self.frames.len()));
        let Some(Session { link, .. }) = &mut self.session else { return Ok(()) };
        match link.send(unsent) {
            Ok(taken) => {
                self.confirm = CONFIRM_FIRST;
                self.sent += taken;
                self.handed += taken as u64;
            }
            Err(LinkError::Io(error)) => match (error.kind(), error.raw_os_error()) {
                (io::ErrorKind::WouldBlock, _) => link.wait(STEP)?,
                (io::ErrorKind::Interrupted, _) => {}
                (_, Some(libc::ENOBUFS)) => thread::sleep(REST),
                (_, Some(libc::EMSGSIZE)) if datagram => self.leave_out(queue),
                _ => return Err(error.into()),
            },
            Err(error) => return Err(error),
        }
        self.report_proven(queue);
        Ok(())
    }

    /// Frames one datagram, or as many lines as are sent at once.
    fn frame(&mut self, datagram: bool) {
        let Worker { backlog, connector, frames, sent, .. } = self;
        frames.clear();
        *sent = 0;
        let most = if datagram { 1 } else { BATCH };
        while frames.len() < most
            && backlog.frame_next(|message| {
                let before = frames.len();
                connector.frame(message, datagram, frames);
                frames.len() - before
            })
        {}
    }

    /// Drops a line that is longer than a datagram may be.
    fn leave_out(&mut self, queue: &Queue) {
        self.backlog.abandon(self.frames.len(), &mut self.progress);
        self.frames.clear();
        self.sent = 0;
        let is_first = !std::mem::replace(&mut self.reported_length, true);
        queue.report(|health| {
            health.tally.dropped += 1;
            if is_first {
                health.fail(&Trouble::LongLine);
                health.recover("goes on with shorter lines");
            }
        });
    }

    fn lose(&mut self, queue: &Queue, error: LinkError) {
        let now = Instant::now();
        let (mut uncertain, mut refused, mut stable) = (0, 0, false);
        if let Some(Session { mut link, since }) = self.session.take() {
            let confirmed = link.acknowledged();
            self.backlog.settle(confirmed, &mut self.progress);
            let doubt = link.doubt(lost(&error));
            uncertain = self.backlog.doubted(doubt, confirmed);
            if let Doubt::Refused(lines) = doubt {
                refused = lines;
            }
            stable = now.duration_since(since) >= STABLE;
        }
        let resent = self.backlog.rewind(self.handed);
        self.reported_proven = false;
        self.handed = 0;
        self.sent = 0;
        self.frames.clear();
        let jitter = u32::try_from(RandomState::new().hash_one(0u8) % 1000).unwrap_or(0);
        let wait = if stable { RETRY_FIRST } else { self.retry.wait };
        // Between half and the whole of the wait, so that a fleet does not come back at one moment.
        self.retry.at = now + wait / 2 + (wait / 2) * jitter / 1000;
        self.retry.wait = (wait * 2).min(RETRY_LAST);
        queue.set_away();
        queue.report(|health| {
            health.tally.dropped += refused;
            health.tally.uncertain += uncertain;
            health.tally.resent += resent;
            health.fail(&Trouble::Link(error));
        });
    }

    fn report_proven(&mut self, queue: &Queue) {
        if !self.reported_proven && self.session.as_ref().is_some_and(|session| session.link.is_proven()) {
            self.reported_proven = true;
            if queue.set_present() {
                queue.report(|health| health.recover("connected again"));
            }
        }
    }
}

fn lost(error: &LinkError) -> Lost {
    match error {
        LinkError::Ended => Lost::Ended,
        LinkError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Lost::Ended,
        _ => Lost::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::super::super::target::Address;
    use super::super::{tcp::tcp, unix::unix};
    use super::*;

    const LINE: &[u8] = b"a line that is never read\n";

    /// Sends until the loss shows, without a look at the connection in between.
    fn send_until_lost(link: &mut dyn Link) -> LinkError {
        loop {
            match link.send(LINE) {
                Err(LinkError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error,
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn a_send_that_meets_the_end_first_still_learns_of_unread_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        for read_first in [false, true] {
            let mut local = unix(&path).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            local.send(LINE).unwrap();
            local.check().unwrap();
            if read_first {
                peer.read_exact(&mut [0; LINE.len()]).unwrap();
            }
            drop(peer);
            let error = send_until_lost(local.as_mut());
            let doubt = local.doubt(lost(&error));
            assert_eq!(doubt == Doubt::None, read_first, "{error} {doubt:?}");
        }
    }

    #[test]
    fn tcp_distinguishes_a_reset_from_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        for read_first in [false, true] {
            let mut tcp = tcp(&address, Instant::now() + CONNECT).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            tcp.send(LINE).unwrap();
            if read_first {
                peer.read_exact(&mut [0; LINE.len()]).unwrap();
            } else {
                // Only what has arrived can be unread.
                while tcp.acknowledged() < LINE.len() as u64 {
                    std::thread::yield_now();
                }
            }
            drop(peer);
            let error = send_until_lost(tcp.as_mut());
            let doubt = tcp.doubt(lost(&error));
            assert_eq!(doubt == Doubt::None, read_first, "{error} {doubt:?}");
        }
    }
}
