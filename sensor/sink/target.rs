//! What an `OUT` text asks for: where lines go, in which format, and which of them. Nothing is opened
//! here; a text that cannot be meant is refused with one sentence. Which parameters there are is left
//! to `parameters`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::parameters::Scheme::{self, File, Stdout, Tcp, Tls as TlsScheme, Udp, Unix};
use super::parameters::{Values, age, size};
use super::{Format, Kind, Kinds};

/// One output as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The text up to its parameters: how messages and counts call this output.
    pub name: String,
    pub route: Route,
    pub format: Format,
    /// Which lines it takes.
    pub kinds: Kinds,
    /// Bytes kept while the output cannot take them.
    pub buffer: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Stdout,
    File { path: PathBuf, rotate: Option<Rotate> },
    Syslog(Syslog),
}

/// When a file is renamed away and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// A file is not made longer than this, unless by its only line.
    pub size: Option<u64>,
    pub age: Option<Duration>,
    /// Rotated files that are kept.
    pub keep: usize,
    /// Compress all rotated files but the newest.
    pub gzip: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    pub receiver: Receiver,
    pub rfc: Rfc,
    pub framing: Framing,
    /// RFC 5424 section 6.2.1, 0 to 23.
    pub facility: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    Unix(PathBuf),
    Udp(Address),
    Tcp(Address),
    Tls(Address, Tls),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// PEM of the authorities that may sign the receiver's certificate; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// PEM chain and key that we show.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name the certificate must hold; `None`: the host.
    pub server_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rfc {
    Rfc3164,
    Rfc5424,
}

/// How messages are told apart on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// RFC 6587 section 3.4.1: the length in front.
    Octet,
    /// RFC 6587 section 3.4.2: a newline behind.
    Newline,
}

/// Why an `OUT` text was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("output \"{text}\": {problem}")]
pub struct TargetError {
    text: String,
    problem: String,
}

/// Where local syslog daemons listen.
const LOCAL_SYSLOG: &str = "/dev/log";
/// About 14,000 lines of 1.2 kB: some minutes of a busy host while a receiver restarts.
const DEFAULT_BUFFER: usize = 16 << 20;
/// Room for a few batches, without which nothing would ever be taken.
const LEAST_BUFFER: u64 = 256 << 10;
/// Smaller files would spend their time being renamed, and one line may have 32 KiB.
const LEAST_ROTATE_SIZE: u64 = 64 << 10;
const DEFAULT_KEEP: usize = 10;
/// RFC 5424 table 1, by number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "console", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const DEFAULT_FACILITY: u8 = 3;

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        parse(text).map_err(|problem| TargetError { text: text.to_owned(), problem })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

fn parse(text: &str) -> Result<Target, String> {
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    let (scheme, rest) = scheme(name)?;
    let values = Values::read(scheme, query)?;
    let route = match scheme {
        Stdout => Route::Stdout,
        File => Route::File { path: path(rest, "file:/var/log/dnstrail/dnstrail.json")?, rotate: rotate(&values)? },
        Unix => syslog(Receiver::Unix(path(rest, "syslog:unix:/dev/log")?), &values)?,
        Udp => syslog(Receiver::Udp(address(rest, 514)?), &values)?,
        Tcp => syslog(Receiver::Tcp(address(rest, 514)?), &values)?,
        TlsScheme => syslog(Receiver::Tls(address(rest, 6514)?, tls(&values)?), &values)?,
    };
    let format = match values.get("format") {
        None | Some("ecs") => Format::Ecs,
        Some("splunk-cim") => Format::SplunkCim,
        Some("ocsf") => Format::Ocsf,
        Some(other) => return Err(format!("format={other} is not known; write ecs, splunk-cim or ocsf")),
    };
    let buffer = match values.get("buffer") {
        None => DEFAULT_BUFFER,
        Some(value) => usize::try_from(size("buffer", value, LEAST_BUFFER)?).map_err(|error| error.to_string())?,
    };
    Ok(Target { name: name.to_owned(), route, format, kinds: kinds(&values)?, buffer })
}

fn scheme(name: &str) -> Result<(Scheme, &str), String> {
    if name == "stdout" {
        return Ok((Stdout, ""));
    }
    if name == "syslog" {
        return Ok((Unix, LOCAL_SYSLOG));
    }
    for (prefix, scheme) in [
        ("file:", File),
        ("syslog:unix:", Unix),
        ("syslog:udp://", Udp),
        ("syslog:tcp://", Tcp),
        ("syslog:tls://", TlsScheme),
    ] {
        if let Some(rest) = name.strip_prefix(prefix) {
            return Ok((scheme, rest));
        }
    }
    Err("is no output; write stdout, file:PATH, syslog, syslog:unix:PATH, or syslog:udp://HOST:PORT (tcp, tls)".into())
}

fn path(rest: &str, example: &str) -> Result<PathBuf, String> {
    if rest.is_empty() || rest.ends_with('/') || rest.contains('\0') {
        return Err(format!("names no file; write for example {example}"));
    }
    Ok(PathBuf::from(rest))
}

fn address(rest: &str, usual: u16) -> Result<Address, String> {
    let problem = || format!("needs HOST:PORT; write for example logs.example.org:{usual} or [2001:db8::1]:{usual}");
    let (host, port) = rest.rsplit_once(':').ok_or_else(problem)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(problem)?,
        // A bare IPv6 address would lose its last group to the port.
        None if host.contains(':') => return Err(problem()),
        None => host,
    };
    let port = port.parse().ok().filter(|&port| port != 0).ok_or_else(problem)?;
    if host.is_empty() || host.contains(|letter: char| letter == '/' || letter.is_whitespace()) {
        return Err(problem());
    }
    Ok(Address { host: host.to_owned(), port })
}

fn kinds(values: &Values) -> Result<Kinds, String> {
    let Some(text) = values.get("kind") else { return Ok(Kinds::ALL) };
    let mut kinds = Kinds::NONE;
    for name in text.split(',') {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kinds =
            kinds.with(kind.ok_or_else(|| format!("kind={name} is not known; write event, alert, state or metric"))?);
    }
    Ok(kinds)
}

fn rotate(values: &Values) -> Result<Option<Rotate>, String> {
    let size = values.get("rotate_size").map(|value| size("rotate_size", value, LEAST_ROTATE_SIZE)).transpose()?;
    let age = values.get("rotate_age").map(age).transpose()?;
    if size.is_none() && age.is_none() {
        return match ["rotate_keep", "gzip"].iter().find(|name| values.get(name).is_some()) {
            Some(name) => Err(format!("{name} needs a rotation; add rotate_size=100MB or rotate_age=24h")),
            None => Ok(None),
        };
    }
    let keep = match values.get("rotate_keep") {
        None => DEFAULT_KEEP,
        Some(value) => value
            .parse()
            .ok()
            .filter(|&keep| keep > 0)
            .ok_or_else(|| format!("rotate_keep={value} is no count; write 1 or more"))?,
    };
    let gzip = match values.get("gzip") {
        None | Some("no") => false,
        Some("yes") => true,
        Some(value) => return Err(format!("gzip={value} is not known; write yes or no")),
    };
    Ok(Some(Rotate { size, age, keep, gzip }))
}

fn syslog(receiver: Receiver, values: &Values) -> Result<Route, String> {
    let local = matches!(receiver, Receiver::Unix(_));
    let rfc = match values.get("rfc") {
        // journald and the local socket of rsyslog expect the traditional header (see syslog(3)).
        None if local => Rfc::Rfc3164,
        None | Some("5424") => Rfc::Rfc5424,
        Some("3164") => Rfc::Rfc3164,
        Some(value) => return Err(format!("rfc={value} is not known; write 5424 or 3164")),
    };
    let framing = match values.get("framing") {
        None if local => Framing::Newline,
        None | Some("octet") => Framing::Octet,
        Some("newline") => Framing::Newline,
        Some(value) => return Err(format!("framing={value} is not known; write octet or newline")),
    };
    let facility = match values.get("facility") {
        None => DEFAULT_FACILITY,
        Some(value) => (0..24u8)
            .zip(FACILITIES)
            .find(|&(number, name)| name == value || number.to_string() == value)
            .map(|(number, _)| number)
            .ok_or_else(|| format!("facility={value} is not known; write daemon, local0 to local7, or 0 to 23"))?,
    };
    Ok(Route::Syslog(Syslog { receiver, rfc, framing, facility }))
}

fn tls(values: &Values) -> Result<Tls, String> {
    let client = match (values.get("cert"), values.get("key")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (Some(_), None) => return Err("cert needs its key; add key=FILE".into()),
        (None, Some(_)) => return Err("key needs its certificate; add cert=FILE".into()),
    };
    Ok(Tls {
        ca: values.get("ca").map(PathBuf::from),
        client,
        server_name: values.get("server_name").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(text: &str) -> Route {
        text.parse::<Target>().expect(text).route
    }

    fn receiver(text: &str) -> Receiver {
        match route(text) {
            Route::Syslog(syslog) => syslog.receiver,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_scheme() {
        assert_eq!(route("stdout"), Route::Stdout);
        assert_eq!(route("file:a b.json"), Route::File { path: "a b.json".into(), rotate: None });
        assert_eq!(receiver("syslog"), Receiver::Unix("/dev/log".into()));
        assert_eq!(receiver("syslog:unix:/run/x"), Receiver::Unix("/run/x".into()));
        let host = |host: &str, port| Address { host: host.into(), port };
        assert_eq!(receiver("syslog:udp://logs:514"), Receiver::Udp(host("logs", 514)));
        assert_eq!(receiver("syslog:tcp://[::1]:601"), Receiver::Tcp(host("::1", 601)));
        assert_eq!(receiver("syslog:tls://10.0.0.1:6514"), Receiver::Tls(host("10.0.0.1", 6514), Tls::default()));
    }

    #[test]
    fn parameters_reach_their_place() {
        let target: Target =
            "file:/var/log/x.json?rotate_size=64KiB&rotate_age=7d&rotate_keep=3&gzip=yes&kind=alert,state&format=ocsf&buffer=1MB"
                .parse()
                .unwrap();
        let rotate = Rotate { size: Some(65_536), age: Some(Duration::from_hours(7 * 24)), keep: 3, gzip: true };
        assert_eq!(target.route, Route::File { path: "/var/log/x.json".into(), rotate: Some(rotate) });
        assert_eq!(
            (target.name.as_str(), target.format, target.buffer),
            ("file:/var/log/x.json", Format::Ocsf, 1_000_000)
        );
        assert!(target.kinds.contains(Kind::Alert) && target.kinds.contains(Kind::State));
        assert!(!target.kinds.contains(Kind::Event) && !target.kinds.contains(Kind::Metric));

        let tls = receiver("syslog:tls://h:1?ca=/ca&cert=/c&key=/k&server_name=logs.example");
        let wanted = Tls {
            ca: Some("/ca".into()),
            client: Some(("/c".into(), "/k".into())),
            server_name: Some("logs.example".into()),
        };
        assert_eq!(tls, Receiver::Tls(Address { host: "h".into(), port: 1 }, wanted));
        let Route::Syslog(syslog) = route("syslog:tcp://h:1?rfc=3164&framing=newline&facility=local3") else {
            panic!()
        };
        assert_eq!((syslog.rfc, syslog.framing, syslog.facility), (Rfc::Rfc3164, Framing::Newline, 19));
    }

    #[test]
    fn refusals_name_the_text_and_the_remedy() {
        for (text, remedy) in [
            ("", "write stdout, file:PATH"),
            ("stdin", "write stdout"),
            ("file:", "write for example file:"),
            ("file:/var/log/", "names no file"),
            ("file:x?rotate_keep=3", "add rotate_size"),
            ("file:x?rotate_size=10", "is no size of 64KiB or more"),
            ("file:x?rotate_size=99999999999GiB", "is no size"),
            ("file:x?rotate_size=1MB&rotate_keep=0", "write 1 or more"),
            ("file:x?rotate_age=0d", "write for example 15m"),
            ("file:x?rotate_age=1é", "write for example 15m"),
            ("file:x?framing=octet", "what applies: format, kind, buffer, rotate_size"),
            ("file:x?rotate_size", "has no value"),
            ("file:x?rotate_size=1MB&rotate_size=2MB", "given twice"),
            ("stdout?kind=alerts", "write event, alert"),
            ("stdout?format=cef", "write ecs"),
            ("syslog:tcp://host", "needs HOST:PORT"),
            ("syslog:tcp://2001:db8::1:514", "needs HOST:PORT"),
            ("syslog:udp://:514", "needs HOST:PORT"),
            ("syslog:udp://h:0", "needs HOST:PORT"),
            ("syslog:udp://h:1?framing=octet", "does not apply"),
            ("syslog:tcp://h:1?ca=/x", "does not apply"),
            ("syslog:tls://h:1?cert=/x", "add key=FILE"),
            ("syslog:tls://h:1?facility=local8", "local0 to local7"),
        ] {
            let error = text.parse::<Target>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("output \"{text}\": ")), "{error}");
            assert!(error.contains(remedy), "{error}");
        }
    }
}
