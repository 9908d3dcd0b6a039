//! Syslog messages: the header of RFC 5424 or RFC 3164 in front of a line, and the framing of RFC 6587
//! around both. How the bytes travel is left to `transport` and `tls`.
//!
//! The formatters of the `syslog` crate are not used: they stamp the time of formatting instead of the
//! document's, write a day below ten as `05` where RFC 3164 section 4.1.2 asks for ` 5`, panic where no
//! local time is to be had, and build several strings per message.

use std::io::Write;

use super::link::{Connector, Message, Transport};
use crate::sink::Kind;
use crate::sink::calendar;
use crate::sink::target::{Framing, Receiver, Rfc, Syslog};

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

/// What makes the connections of one output.
///
/// # Errors
/// A certificate, key or server name that cannot be used, as one sentence.
pub(in crate::sink) fn connector(target: &Syslog) -> Result<Box<dyn Connector>, String> {
    let header = Header::new(target);
    let make: Make = match target.receiver.clone() {
        Receiver::Unix(path) => Box::new(move |_| super::transport::unix(&path)),
        Receiver::Udp(address) => {
            let mut failed = false;
            Box::new(move |_| {
                let udp = super::transport::udp(&address, failed)?;
                failed = true;
                Ok(udp)
            })
        }
        Receiver::Tcp(address) => Box::new(move |deadline| super::transport::tcp(&address, deadline)),
        Receiver::Tls(address, files) => {
            super::tls::configuration(&files, &address)?;
            Box::new(move |deadline| super::tls::connect(&address, &files, deadline))
        }
    };
    Ok(Box::new(SyslogConnector { header, framing: target.framing, make }))
}

type Make = Box<dyn FnMut(std::time::Instant) -> std::io::Result<Box<dyn Transport>> + Send>;

struct SyslogConnector {
    header: Header,
    framing: Framing,
    make: Make,
}

impl Connector for SyslogConnector {
    fn connect(&mut self, deadline: std::time::Instant) -> std::io::Result<Box<dyn Transport>> {
        (self.make)(deadline)
    }

    fn frame(&mut self, message: &Message<'_>, datagram: bool, frame: &mut Vec<u8>) {
        let header = self.header.of(message);
        // The line without its newline is MSG: JSON without a byte order mark, RFC 5424's MSG-ANY,
        // because receivers that parse JSON stumble over the mark.
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

/// Writes headers; keeps the last one's bytes to be reused.
struct Header {
    rfc: Rfc,
    facility: u8,
    /// HOSTNAME, or nothing for the local socket, where the receiver knows the host.
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
                calendar::rfc5424(message.time, text);
                write!(text, " {host} dnstrail {process} {} - ", message.kind.name())
            }
            Rfc::Rfc3164 => {
                let _ = write!(text, "<{priority}>");
                calendar::rfc3164(message.time, text);
                let space = if host.is_empty() { "" } else { " " };
                write!(text, "{space}{host} dnstrail[{process}]: ")
            }
        };
        text
    }
}

/// An alert is a warning, or what its rule says: the 0 to 100 of `event.severity` in the four steps that
/// detection rules use (low 21, medium 47, high 73, critical 99).
fn severity_of(message: &Message<'_>) -> u8 {
    match (message.kind, message.severity) {
        (Kind::Alert, None | Some(34..=66)) => severity::WARNING,
        (Kind::Alert, Some(0..=33)) | (Kind::State, _) => severity::NOTICE,
        (Kind::Alert, Some(67..=89)) => severity::ERROR,
        (Kind::Alert, Some(90..)) => severity::CRITICAL,
        (Kind::Event | Kind::Metric, _) => severity::INFORMATIONAL,
    }
}

/// HOSTNAME: printable ASCII, never empty (RFC 5424 section 6.2.4: `-` is nil).
fn hostname() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name: String = name.to_string_lossy().chars().filter(char::is_ascii_graphic).take(LONGEST_HOSTNAME).collect();
    if name.is_empty() { "-".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Route, Target};

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
        let mut stamp = Vec::new();
        calendar::rfc3164(TIME, &mut stamp);
        let stamp = String::from_utf8(stamp).unwrap();
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
}
