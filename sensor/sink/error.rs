//! Every error of an output: why it cannot be opened, and why an open one does not work. A text holds no
//! number that changes while the trouble lasts: the same trouble is the same text and is reported once.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use chrono::DateTime;
use rustls::pki_types::pem;
use rustls::{CertificateError, Error as RustlsError};

/// An output that cannot be opened at the start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("no output; give at least one, for example stdout")]
    None,
    #[error("output {name}: is given twice; keep one")]
    Twice { name: String },
    #[error("output {name}: {cause}")]
    Output { name: String, cause: Box<Cause> },
}

impl OpenError {
    /// The output was asked for wrongly, and another try will fail in the same way.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            OpenError::None | OpenError::Twice { .. } => true,
            OpenError::Output { cause, .. } => match cause.as_ref() {
                Cause::File(error) => error.is_usage(),
                Cause::Tls(_) => true,
                Cause::Stdout(_) | Cause::Silent { .. } | Cause::Ended | Cause::Thread(_) => false,
            },
        }
    }
}

/// The part of an output that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    #[error("{0}")]
    File(FileError),
    #[error("{0}")]
    Tls(TlsError),
    #[error("cannot be used: {}; start dnstrail with an open stdout", Reason(.0))]
    Stdout(io::Error),
    #[error("does not answer within {seconds} s; look at its file system (NFS, FUSE) or give another path")]
    Silent { seconds: u64 },
    #[error("was not open yet when the program was asked to end; look at its file system (NFS, FUSE)")]
    Ended,
    #[error("has no thread: {}; allow more threads (TasksMax=, ulimit -u)", Reason(.0))]
    Thread(io::Error),
}

impl From<FileError> for Cause {
    fn from(error: FileError) -> Self {
        Cause::File(error)
    }
}

impl From<TlsError> for Cause {
    fn from(error: TlsError) -> Self {
        Cause::Tls(error)
    }
}

/// A path that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("is a directory; name a file in it")]
    Directory,
    #[error("is a socket; write syslog:unix:{}", .0.display())]
    Socket(PathBuf),
    #[error("is a block device; name a file")]
    BlockDevice,
    #[error("is no regular file and cannot be rotated; leave out the rotation")]
    Unrotatable,
    #[error("is no regular file any more; remove what stands in its place")]
    Replaced,
    #[error("is written by {}; stop that one or name another file", Holder(*.pid))]
    Locked { pid: Option<u32> },
    #[error("cannot be opened: {}; {}", Reason(.error), Remedy(.path, .error))]
    Open { path: PathBuf, error: io::Error },
    #[error("cannot be rotated: {}; allow more threads (TasksMax=, ulimit -u)", Reason(.0))]
    Thread(io::Error),
}

impl FileError {
    /// A path is wrong, or its directory is; a full or broken disk may be well again on another try.
    fn is_usage(&self) -> bool {
        match self {
            FileError::Open { error, .. } => matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidFilename
                    | io::ErrorKind::ReadOnlyFilesystem
            ),
            FileError::Thread(_) => false,
            _ => true,
        }
    }
}

/// Certificates, a key or a name that TLS cannot use.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{0} is no name that a certificate can hold; give server_name=NAME")]
    ServerName(String),
    #[error("{}: cannot be read: {}; give a PEM file that this user can read", .path.display(), Reason(.error))]
    Read { path: PathBuf, error: io::Error },
    #[error("{}: holds no PEM certificate; give another file", .0.display())]
    NoCertificate(PathBuf),
    #[error("{}: holds no PEM private key; give another file", .0.display())]
    NoKey(PathBuf),
    #[error("{}: is damaged at a PEM section ({error}); give another file", .path.display())]
    Pem { path: PathBuf, error: pem::Error },
    #[error("{}: holds a certificate that cannot be trusted ({error}); give another ca=FILE", .path.display())]
    Authority { path: PathBuf, error: RustlsError },
    #[error("this system has no certificate authorities; install ca-certificates or give ca=FILE")]
    NoAuthority,
    #[error("{}: does not fit the key {} ({error}); give a pair", .certificate.display(), .key.display())]
    Pair { certificate: PathBuf, key: PathBuf, error: RustlsError },
    #[error("TLS cannot be set up: {0}; report this")]
    Setup(RustlsError),
}

/// A connection that cannot be made, or was lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("{}", Reason(.0))]
    Io(#[from] io::Error),
    #[error("the receiver closed the connection")]
    Ended,
    #[error("the host {host} cannot be resolved: {}", Reason(.error))]
    Unresolved { host: String, error: io::Error },
    #[error("the host {0} has no address")]
    NoAddress(String),
    #[error("the receiver does not answer in TLS")]
    NoTls,
    #[error("TLS: {}", Handshake(.0))]
    Tls(RustlsError),
    #[error("{0}")]
    Configuration(#[from] TlsError),
    #[error("nothing reads from it")]
    NoReader,
    #[error("its reader has gone")]
    ReaderGone,
}

/// The reason why an open output does not take lines.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("its buffer of {kib} KiB is full, and lines are dropped; buffer=SIZE makes it larger")]
    Full { kib: usize },
    #[error("lines were not delivered before the end and are lost; look at the receiver or the disk")]
    Undelivered,
    #[error("cannot be written: {}; lines are kept while there is space, and it is tried every second", Reason(.0))]
    Write(io::Error),
    #[error("cannot be written: {}; it is tried every second", Reason(.0))]
    Stdout(io::Error),
    #[error("{0}")]
    Reopen(FileError),
    #[error("was deleted, and with it the lines written since the last look; rename it instead")]
    Deleted,
    #[error("cannot be rotated: {}; it grows until its directory can be written", Reason(.0))]
    Rotate(io::Error),
    #[error("{0}; lines are kept while there is space, and it is tried again")]
    Link(LinkError),
    #[error("a line is longer than a datagram may be; such lines are dropped, tcp takes them")]
    LongLine,
    #[error("its reader has gone")]
    ReaderGone,
    #[error("its reader takes nothing, and the program ends")]
    ReaderStuck,
}

/// The system's text for an error, without the number at its end.
struct Reason<'a>(&'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let end = text.rfind(" (os error ").unwrap_or(text.len());
        out.write_str(text.get(..end).unwrap_or(&text))
    }
}

/// The remedy for a path that cannot be opened.
struct Remedy<'a>(&'a Path, &'a io::Error);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parent = self.0.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = parent.unwrap_or(Path::new(".")).display();
        match self.1.kind() {
            io::ErrorKind::NotFound => write!(out, "make the directory {directory}"),
            io::ErrorKind::PermissionDenied => write!(out, "let this user write in {directory}"),
            _ => out.write_str("give another path or mend the file system"),
        }
    }
}

/// The process that holds the lock of a file.
struct Holder(Option<u32>);

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pid) if pid == std::process::id() => out.write_str("another output of this process"),
            Some(pid) => write!(out, "process {pid}"),
            None => out.write_str("a process outside of this PID namespace"),
        }
    }
}

/// An error of TLS; rustls adds the present time to a certificate that is out of date.
struct Handshake<'a>(&'a RustlsError);

impl fmt::Display for Handshake<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |seconds: u64| {
            let moment = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            moment.map_or_else(
                || "an unknown time".to_owned(),
                |moment| moment.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            )
        };
        match self.0 {
            RustlsError::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) => {
                write!(out, "the receiver's certificate expired at {}", date(not_after.as_secs()))
            }
            RustlsError::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) => {
                write!(out, "the receiver's certificate is not valid before {}", date(not_before.as_secs()))
            }
            other => write!(out, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_reason_is_given_once_and_without_its_number() {
        let missing = || io::Error::from_raw_os_error(nix::libc::ENOENT);
        assert_eq!(Reason(&io::Error::other("anything else")).to_string(), "anything else");
        let cause = Box::new(Cause::File(FileError::Open { path: "/no/such/file".into(), error: missing() }));
        // anyhow prints an error with all its sources.
        let chain = anyhow::Error::from(OpenError::Output { name: "file:/no/such/file".into(), cause });
        assert_eq!(
            format!("{chain:#}"),
            "output file:/no/such/file: cannot be opened: No such file or directory; make the directory /no/such"
        );
        let read = TlsError::Read { path: "ca.pem".into(), error: missing() };
        let text = Trouble::Link(LinkError::Configuration(read)).to_string();
        assert_eq!(text.matches("No such file").count(), 1, "{text}");
        assert!(!text.contains("os error"), "{text}");
    }

    #[test]
    fn a_certificate_out_of_date_is_the_same_text_at_any_time() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let expired = |now| {
            let context = CertificateError::ExpiredContext { time: at(now), not_after: at(1_762_150_272) };
            LinkError::Tls(RustlsError::InvalidCertificate(context)).to_string()
        };
        assert_eq!(expired(1_762_150_300), "TLS: the receiver's certificate expired at 2025-11-03 06:11:12 UTC");
        assert_eq!(expired(1_762_150_300), expired(1_762_150_301));
        let early = |now| {
            let context = CertificateError::NotValidYetContext { time: at(now), not_before: at(1_762_150_272) };
            LinkError::Tls(RustlsError::InvalidCertificate(context)).to_string()
        };
        assert_eq!(early(1), "TLS: the receiver's certificate is not valid before 2025-11-03 06:11:12 UTC");
        assert_eq!(early(1), early(2));
    }
}
