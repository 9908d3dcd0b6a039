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
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore};

use super::super::error::{LinkError, TlsError};
use super::super::open;
use super::super::target::{Address, Tls};
use super::link::{Doubt, Link, Lost};
use super::tcp::Tcp;

/// In TLS 1.3 a receiver refuses our certificate only after the handshake is over for us (RFC 8446
/// section 4.4.2.4): its first record, ticket or alert, is awaited for this long.
const FIRST_RECORD: Duration = Duration::from_millis(500);
/// Plain bytes encrypted at once: confirmations are known in such steps.
const STEP: usize = 16 << 10;

/// Trust, certificates and the name to check.
pub(super) fn configuration(
    files: &Tls,
    address: &Address,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let name = files.server_name.as_deref().unwrap_or(&address.host);
    let name = ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))?;
    let mut roots = RootCertStore::empty();
    if let Some(path) = &files.ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| TlsError::Authority { path: path.clone(), error })?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TlsError::NoAuthority);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|error| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), error })?,
    };
    Ok((Arc::new(config), name))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| TlsError::Pem { path: path.to_owned(), error })?;
    if found.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(found) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey(path.to_owned()),
        error => TlsError::Pem { path: path.to_owned(), error },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    open::small(path).map_err(|error| TlsError::Read { path: path.to_owned(), error })
}

pub(super) fn connect(address: &Address, files: &Tls, deadline: Instant) -> Result<Box<dyn Link>, LinkError> {
    let (config, name) = configuration(files, address)?;
    let connection = ClientConnection::new(config, name).map_err(LinkError::Tls)?;
    let tcp = Tcp::connect(address, deadline)?;
    let mut tls =
        TlsLink { tcp, connection, written: 0, given: 0, marks: VecDeque::new(), unmarked: false, confirmed: 0 };
    while tls.connection.is_handshaking() {
        tls.push_out()?;
        tls.await_readable(deadline.saturating_duration_since(Instant::now()))?;
    }
    tls.push_out()?;
    if tls.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3) {
        match tls.await_readable(FIRST_RECORD) {
            // Silence is no refusal.
            Ok(()) | Err(LinkError::NoTls) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Box::new(tls))
}

struct TlsLink {
    tcp: Tcp,
    connection: ClientConnection,
    /// Encrypted bytes that the kernel has taken.
    written: u64,
    /// Plain bytes that were taken from the caller.
    given: u64,
    /// The end of a batch in the encrypted bytes, and its end in the plain bytes.
    marks: VecDeque<(u64, u64)>,
    /// The last batch has no mark yet, because not all of it has been written.
    unmarked: bool,
    confirmed: u64,
}

impl TlsLink {
    /// Gives encrypted bytes to the kernel until all are there or it takes no more.
    fn push_out(&mut self) -> Result<bool, LinkError> {
        while self.connection.wants_write() {
            match self.connection.write_tls(&mut self.tcp) {
                Ok(taken) => self.written += taken as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if std::mem::take(&mut self.unmarked) {
            self.marks.push_back((self.written, self.given));
        }
        Ok(true)
    }

    fn take_in(&mut self) -> Result<(), LinkError> {
        match self.connection.read_tls(&mut self.tcp) {
            Ok(0) => return Err(LinkError::Ended),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let state = self.connection.process_new_packets().map_err(|error| {
            // An alert of ours, if there is one, gives the receiver the reason.
            let _ = self.connection.write_tls(&mut self.tcp);
            LinkError::Tls(error)
        })?;
        let mut unwanted = [0; 1024];
        let mut left = state.plaintext_bytes_to_read();
        while left > 0 {
            match self.connection.reader().read(&mut unwanted) {
                Ok(0) | Err(_) => break,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
        if state.peer_has_closed() { Err(LinkError::Ended) } else { Ok(()) }
    }

    fn await_readable(&mut self, limit: Duration) -> Result<(), LinkError> {
        let mut wanted = PollFlags::POLLIN;
        if self.connection.wants_write() {
            wanted |= PollFlags::POLLOUT;
        }
        let mut entry = [PollFd::new(self.tcp.as_fd(), wanted)];
        match poll(&mut entry, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => Err(LinkError::NoTls),
            Ok(_) | Err(Errno::EINTR) => self.take_in(),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }
}

impl Link for TlsLink {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        if !self.push_out()? {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
        }
        let taken = self.connection.writer().write(bytes.get(..STEP).unwrap_or(bytes))?;
        self.given += taken as u64;
        self.unmarked = true;
        self.push_out()?;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), LinkError> {
        self.tcp.wait(limit)
    }

    fn check(&mut self) -> Result<(), LinkError> {
        self.push_out()?;
        self.take_in()
    }

    fn acknowledged(&mut self) -> u64 {
        // The bytes of the handshake are part of `written`, as they are of TCP's count.
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
