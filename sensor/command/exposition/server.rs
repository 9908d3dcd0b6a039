//! The part of HTTP that a scraper needs: GET in, the text out, and the connection closed. One thread
//! serves a few clients, none of them for long, and no client can slow the loop.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::Exposition;

/// Clients at a time. A host has a scraper or two; beyond this the oldest connection is closed, so that an
/// idle client does not keep a scraper out.
const CLIENTS: usize = 16;
/// The longest request in bytes. Prometheus sends some 300.
const REQUEST: usize = 4096;
/// The time from the first byte to the last; on loopback it takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);

/// Listens on the address of `--metrics`.
///
/// # Errors
/// The address is taken.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.with_context(|| format!("--metrics {address}: it cannot be listened on"))
}

/// Serves on a thread of its own until the process ends.
///
/// # Errors
/// No thread can be started.
pub fn serve(listener: TcpListener, exposition: Arc<Exposition>) -> io::Result<()> {
    thread::Builder::new().name("metrics".into()).spawn(move || {
        let mut clients = Vec::new();
        loop {
            turn(&listener, &mut clients, &exposition);
        }
    })?;
    Ok(())
}

/// A scraper that is connected.
struct Client {
    stream: TcpStream,
    until: Instant,
    request: Vec<u8>,
    /// The rest of the answer, once the request is whole.
    answer: Option<Vec<u8>>,
}

/// Waits until a client sends a request or can take an answer, and serves it.
fn turn(listener: &TcpListener, clients: &mut Vec<Client>, exposition: &Exposition) {
    let mut fds = vec![PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    fds.extend(clients.iter().map(|client| {
        let wanted = if client.answer.is_some() { PollFlags::POLLOUT } else { PollFlags::POLLIN };
        PollFd::new(client.stream.as_fd(), wanted)
    }));
    let sleep = clients.iter().map(|client| client.until).min();
    let sleep = sleep.map_or(PollTimeout::NONE, |until| {
        PollTimeout::try_from(until.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX)
    });
    if poll(&mut fds, sleep).is_err() {
        // The call was interrupted or memory is out: the next try comes after a pause.
        thread::sleep(Duration::from_millis(100));
    }
    drop(fds);
    clients.retain_mut(|client| client.advance(exposition).is_ok_and(|done| !done));
    match listener.accept() {
        Ok((stream, _)) if stream.set_nonblocking(true).is_ok() => {
            if clients.len() >= CLIENTS {
                clients.remove(0);
            }
            clients.push(Client { stream, until: Instant::now() + PATIENCE, request: Vec::new(), answer: None });
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => (),
        // Without a free descriptor the connection stays in the queue and would be met again at once.
        _ => thread::sleep(Duration::from_millis(100)),
    }
}

impl Client {
    /// Reads or writes as far as it goes. True when the whole answer is sent.
    fn advance(&mut self, exposition: &Exposition) -> io::Result<bool> {
        if self.until <= Instant::now() {
            return Ok(true);
        }
        if self.answer.is_none() {
            let mut bytes = [0; REQUEST];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(true),
                Ok(length) => self.request.extend(bytes.iter().take(length)),
                Err(error) => return pending(error),
            }
            self.answer = answer(&self.request, exposition);
        }
        let Some(answer) = &mut self.answer else { return Ok(false) };
        match self.stream.write(answer) {
            Ok(length) => drop(answer.drain(..length)),
            Err(error) => return pending(error),
        }
        if answer.is_empty() {
            self.stream.shutdown(Shutdown::Write)?;
            return Ok(true);
        }
        Ok(false)
    }
}

fn pending(error: io::Error) -> io::Result<bool> {
    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) { Ok(false) } else { Err(error) }
}

/// The answer to a request, or `None` while it is not whole (RFC 9112 section 2.1). Header fields are not read.
fn answer(request: &[u8], exposition: &Exposition) -> Option<Vec<u8>> {
    if !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
        let too_long = request.len() >= REQUEST;
        return too_long.then(|| response("431 Request Header Fields Too Large", "the request is too long\n", false));
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ');
    let (method, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    Some(match (method, path) {
        (b"GET" | b"HEAD", b"/metrics") => response("200 OK", &exposition.text(), method == b"HEAD"),
        (b"GET" | b"HEAD", _) => response("404 Not Found", "ask for /metrics\n", method == b"HEAD"),
        _ => response("405 Method Not Allowed\r\nAllow: GET, HEAD", "only GET and HEAD are answered\n", false),
    })
}

fn response(status: &str, body: &str, head_only: bool) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{}",
        body.len(),
        if head_only { "" } else { body }
    )
    .into_bytes()
}
