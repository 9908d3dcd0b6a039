//! Syslog messages: the header of RFC 5424 or RFC 3164 in front of a line, and the framing of RFC 6587
//! around both. The way of the bytes is left to `unix`, `udp`, `tcp` and `tls`.
//!
//! The formatters of the `syslog` crate are not used: they stamp the time of formatting instead of the
//! document's, write a day below ten as `05` where RFC 3164 section 4.1.2 asks for ` 5`, panic where no
//! local time is to be had, and build several strings for each message.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local, TimeZone, Utc};

use super::super::error::{LinkError, TlsError};
use super::super::line::Kind;
use super::super::target::{Framing, Receiver, Rfc, Syslog};
use super::link::{Connector, Link, Message};
use super::{tcp, tls, udp, unix};

/// RFC 5424 section 6.2.1, table 2.
mod severity {
    pub const CRITICAL: u8 = 2;
    pub const ERROR: u8 = 3;
    pub const WARNING: u8 = 4;
    pub const NOTICE: u8 = 5;
    pub const INFORMATIONAL: u8 = 6;
}

/// RFC 5424 section 6: the longest HOSTNAME.
const LONGEST_HOSTNAME: usize = 255;

/// The connector of one output; certificates, key and server name are tried once.
pub(in crate::sink) fn connector(target: &Syslog) -> Result<Box<dyn Connector>, TlsError> {
    let header = Header::new(target);
    let make: Make = match target.receiver.clone() {
        Receiver::Unix(path) => Box::new(move |_| unix::unix(&path)),
        Receiver::Udp(address) => {
            let mut failed = false;
            Box::new(move |_| {
                let udp = udp::udp(&address, failed)?;
                failed = true;
                Ok(udp)
            })
        }
        Receiver::Tcp(address) => Box::new(move |deadline| tcp::tcp(&address, deadline)),
        Receiver::Tls(address, files) => {
            tls::configuration(&files, &address)?;
            Box::new(move |deadline| tls::connect(&address, &files, deadline))
        }
    };
    Ok(Box::new(SyslogConnector { header, framing: target.framing, make }))
}

type Make = Box<dyn FnMut(Instant) -> Result<Box<dyn Link>, LinkError>>;

struct SyslogConnector {
    header: Header,
    framing: Framing,
    make: Make,
}

impl Connector for SyslogConnector {
    fn connect(&mut self, deadline: Instant) -> Result<Box<dyn Link>, LinkError> {
        (self.make)(deadline)
    }

    fn frame(&mut self, message: &Message<'_>, datagram: bool, frame: &mut Vec<u8>) {
        let header = self.header.of(message);
        // MSG is the line without its newline: JSON without a byte order mark (MSG-ANY of RFC 5424), because
        // receivers that parse JSON stumble over the mark.
        let line = message.line.strip_suffix(b"\n").unwrap_or(message.line);
        if !datagram && self.framing == Framing::Octet {
            let _ = write!(frame, "{} ", header.len() + line.len());
        }
        frame.extend_from_slice(header);
        frame.extend_from_slice(line);
        if !datagram && self.framing == Framing::Newline {
            frame.push(b'\n');
        }
    }
}

/// Writes headers into one buffer that is reused.
struct Header {
    rfc: Rfc,
    facility: u8,
    /// HOSTNAME; empty for the local socket, where the receiver knows the host.
    host: String,
    process: u32,
    text: Vec<u8>,
}

impl Header {
    fn new(target: &Syslog) -> Self {
        let local = matches!(target.receiver, Receiver::Unix(_)) && target.rfc == Rfc::Rfc3164;
        let host = if local { String::new() } else { hostname() };
        Header { rfc: target.rfc, facility: target.facility, host, process: std::process::id(), text: Vec::new() }
    }

    fn of(&mut self, message: &Message<'_>) -> &[u8] {
        let Header { rfc, facility, host, process, text } = self;
        let priority = *facility * 8 + severity_of(message);
        text.clear();
        let _ = match rfc {
            Rfc::Rfc5424 => {
                let _ = write!(text, "<{priority}>1 ");
                let _ = write!(text, "{}", rfc5424(message.time));
                write!(text, " {host} dnstrail {process} {} - ", message.kind.name())
            }
            Rfc::Rfc3164 => {
                let _ = write!(text, "<{priority}>");
                let _ = write!(text, "{}", rfc3164(&utc(message.time).with_timezone(&Local)));
                let space = if host.is_empty() { "" } else { " " };
                write!(text, "{space}{host} dnstrail[{process}]: ")
            }
        };
        text
    }
}

/// The severity of syslog. An alert is a warning unless its rule gave a severity, 0 to 100, which falls in
/// one of the four steps that detection rules use (low 21, medium 47, high 73, critical 99).
fn severity_of(message: &Message<'_>) -> u8 {
    match (message.kind, message.severity) {
        (Kind::Alert, None | Some(34..=66)) => severity::WARNING,
        (Kind::Alert, Some(0..=33)) | (Kind::State, _) => severity::NOTICE,
        (Kind::Alert, Some(67..=89)) => severity::ERROR,
        (Kind::Alert, Some(90..)) => severity::CRITICAL,
        (Kind::Event | Kind::Metric, _) => severity::INFORMATIONAL,
    }
}

/// TIMESTAMP of RFC 5424 section 6.2.3: UTC with microseconds, the finest that it allows.
fn rfc5424(time: u64) -> impl Display {
    utc(time).format("%Y-%m-%dT%H:%M:%S%.6fZ")
}

/// TIMESTAMP of RFC 3164 section 4.1.2: local time, with a space in front of a day below ten.
fn rfc3164<Zone: TimeZone<Offset: Display>>(local: &DateTime<Zone>) -> impl Display {
    local.format("%b %e %H:%M:%S")
}

/// Nanoseconds since the Unix epoch as a date; 64 bits reach the year 2554.
fn utc(time: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::from_nanos(time)
}

/// HOSTNAME: printable ASCII, never empty (RFC 5424 section 6.2.4: `-` is nil).
fn hostname() -> String {
    let Ok(name) = nix::unistd::gethostname() else { return "-".into() };
    let name: String = name.to_string_lossy().chars().filter(char::is_ascii_graphic).take(LONGEST_HOSTNAME).collect();
    if name.is_empty() { "-".into() } else { name }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::super::super::target::{Route, Target};
    use super::*;

    /// 2025-11-03T06:11:12.345678901Z
    const TIME: u64 = 1_762_150_272_345_678_901;

    fn frame(out: &str, kind: Kind, severity: Option<u8>, datagram: bool) -> String {
        let target: Target = out.parse().unwrap();
        let Route::Syslog(syslog) = target.route else { panic!() };
        let mut connector = connector(&syslog).unwrap();
        let mut frame = Vec::new();
        connector.frame(&Message { line: b"{\"a\":\"\xc3\xa9\"}\n", kind, severity, time: TIME }, datagram, &mut frame);
        String::from_utf8(frame).unwrap()
    }

    #[test]
    fn rfc_5424_octet_counted() {
        let message = format!(
            "<30>1 2025-11-03T06:11:12.345678Z {} dnstrail {} event - {{\"a\":\"é\"}}",
            hostname(),
            std::process::id()
        );
        assert_eq!(frame("syslog:tcp://h:1", Kind::Event, None, false), format!("{} {message}", message.len()));
        assert_eq!(frame("syslog:tcp://h:1?framing=newline", Kind::Event, None, false), format!("{message}\n"));
        assert_eq!(frame("syslog:udp://h:1", Kind::Event, None, true), message);
    }

    #[test]
    fn rfc_3164_names_the_host_only_to_others() {
        let stamp = rfc3164(&utc(TIME).with_timezone(&Local)).to_string();
        let process = std::process::id();
        assert_eq!(
            frame("syslog", Kind::Event, None, true),
            format!("<30>{stamp} dnstrail[{process}]: {{\"a\":\"é\"}}")
        );
        let other = frame("syslog:udp://h:1?rfc=3164&facility=local0", Kind::Event, None, true);
        assert_eq!(other, format!("<134>{stamp} {} dnstrail[{process}]: {{\"a\":\"é\"}}", hostname()));
    }

    #[test]
    fn severity_follows_the_rule() {
        for (kind, severity, wanted) in [
            (Kind::Event, None, 6),
            (Kind::Event, Some(99), 6),
            (Kind::Metric, None, 6),
            (Kind::State, None, 5),
            (Kind::Alert, None, 4),
            (Kind::Alert, Some(21), 5),
            (Kind::Alert, Some(47), 4),
            (Kind::Alert, Some(73), 3),
            (Kind::Alert, Some(99), 2),
            (Kind::Alert, Some(255), 2),
        ] {
            let text = frame("syslog:udp://h:1?facility=kern", kind, severity, true);
            assert!(text.starts_with(&format!("<{wanted}>1 ")), "{kind:?} {severity:?}: {text}");
        }
    }

    #[test]
    fn stamps_are_those_of_the_two_standards() {
        assert_eq!(rfc5424(TIME).to_string(), "2025-11-03T06:11:12.345678Z");
        assert_eq!(rfc5424(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(rfc5424(u64::MAX).to_string(), "2554-07-21T23:34:33.709551Z");
        for (hours, stamp) in [(-12, "Nov  2 18:11:12"), (0, "Nov  3 06:11:12"), (14, "Nov  3 20:11:12")] {
            let zone = FixedOffset::east_opt(hours * 3600).unwrap();
            assert_eq!(rfc3164(&utc(TIME).with_timezone(&zone)).to_string(), stamp);
        }
    }
}
