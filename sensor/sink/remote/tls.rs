//! TLS to a syslog receiver (RFC 5425). Certificates are read at each connection, so that renewed ones
//! are used without a restart.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};

use super::link::{Doubt, Lost, Transport};
use super::transport::Tcp;
use crate::sink::target::{Address, Tls};

/// In TLS 1.3 a receiver refuses our certificate only after the handshake is over for us (RFC 8446
/// section 4.4.2.4): its first word, ticket or alert, is awaited for so long.
const FIRST_WORD: Duration = Duration::from_millis(500);
/// Plain bytes encrypted at once: what is confirmed is known in such steps.
const STEP: usize = 16 << 10;

/// What TLS needs: our certificates and trust, and the name to check.
///
/// # Errors
/// One sentence that names the file or the name.
pub(super) fn configuration(
    files: &Tls,
    address: &Address,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let name = files.server_name.as_deref().unwrap_or(&address.host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| format!("{name} is no name that a certificate can hold; give server_name=NAME"))?;
    let mut roots = RootCertStore::empty();
    if let Some(path) = &files.ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this system has no certificate authorities; install ca-certificates or give ca=FILE".into());
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                format!("{}: no private key can be read ({error}); key=FILE is to be PEM", key.display())
            })?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| format!("{} does not go with {}: {error}", certificate.display(), key.display()))?
        }
    };
    Ok((Arc::new(config), name))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(format!("{} holds no PEM certificate", path.display())),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(format!("{}: no certificate can be read ({error}); it is to be PEM", path.display())),
    }
}

pub(super) fn connect(address: &Address, files: &Tls, deadline: Instant) -> io::Result<Box<dyn Transport>> {
    let (config, name) = configuration(files, address).map_err(io::Error::other)?;
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let tcp = Tcp::connect(address, deadline)?;
    let mut tls =
        TlsTransport { tcp, connection, written: 0, given: 0, marks: VecDeque::new(), unmarked: false, confirmed: 0 };
    while tls.connection.is_handshaking() {
        tls.push_out()?;
        tls.await_readable(deadline.saturating_duration_since(Instant::now()))?;
    }
    tls.push_out()?;
    if tls.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        match tls.await_readable(FIRST_WORD) {
            Err(error) if error.kind() != io::ErrorKind::TimedOut => return Err(error),
            _ => {}
        }
    }
    Ok(Box::new(tls))
}

struct TlsTransport {
    tcp: Tcp,
    connection: ClientConnection,
    /// Encrypted bytes that the kernel has taken.
    written: u64,
    /// Plain bytes that were taken from the caller.
    given: u64,
    /// Where the encrypted bytes of a batch end, and where its plain bytes do.
    marks: VecDeque<(u64, u64)>,
    /// The last batch has no mark yet, because not all of it has been written.
    unmarked: bool,
    confirmed: u64,
}

impl TlsTransport {
    /// Gives encrypted bytes to the kernel until all are there or it takes no more.
    fn push_out(&mut self) -> io::Result<bool> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut self.tcp) {
                Ok(taken) => self.written += taken as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if std::mem::take(&mut self.unmarked) {
            self.marks.push_back((self.written, self.given));
        }
        Ok(true)
    }

    fn take_in(&mut self) -> io::Result<()> {
        match self.connection.read_tls(&mut self.tcp) {
            Ok(0) => return Err(ended()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let state = self.connection.process_new_packets().map_err(|error| {
            // An alert of ours, if there is one, tells the receiver why.
            let _ = self.connection.write_tls(&mut self.tcp);
            io::Error::other(format!("TLS: {error}"))
        })?;
        let mut unwanted = [0; 1024];
        let mut left = state.plaintext_bytes_to_read();
        while left > 0 {
            match self.connection.reader().read(&mut unwanted) {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
        if state.peer_has_closed() { Err(ended()) } else { Ok(()) }
    }

    fn await_readable(&mut self, limit: Duration) -> io::Result<()> {
        let mut wanted = PollFlags::POLLIN;
        if self.connection.wants_write() {
            wanted |= PollFlags::POLLOUT;
        }
        let mut entry = [PollFd::new(self.tcp.as_fd(), wanted)];
        match poll(&mut entry, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "the receiver does not answer in TLS")),
            Ok(_) | Err(Errno::EINTR) => self.take_in(),
            Err(error) => Err(error.into()),
        }
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the receiver closed the connection")
}

impl Transport for TlsTransport {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.push_out()? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.connection.writer().write(bytes.get(..STEP).unwrap_or(bytes))?;
        self.given += taken as u64;
        self.unmarked = true;
        self.push_out()?;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        self.tcp.wait(limit)
    }

    fn check(&mut self) -> io::Result<()> {
        self.push_out()?;
        self.take_in()
    }

    fn acknowledged(&mut self) -> u64 {
        // What the handshake took is part of `written`, as it is of what TCP counts.
        let encrypted = self.tcp.acknowledged();
        while let Some(&(_, plain)) = self.marks.front().filter(|mark| mark.0 <= encrypted) {
            self.confirmed = plain;
            self.marks.pop_front();
        }
        self.confirmed
    }

    fn doubt(&mut self, lost: Lost) -> Doubt {
        self.tcp.doubt(lost)
    }

    fn finish(&mut self) {
        self.connection.send_close_notify();
        let _ = self.push_out();
        self.tcp.finish();
    }
}
