//! The meaning of an `OUT` text: the route of lines, their format, and the kinds that are taken. Nothing is
//! opened here, and a text without a meaning is refused with one sentence. The list of parameters is left
//! to `parameters`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::line::{Format, Kind, Kinds};
use super::parameters::Scheme::{self, File, Stdout, Tcp, Tls as TlsScheme, Udp, Unix};
use super::parameters::{Problem, Values, age, size};

/// One output as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The text up to its parameters, which names this output in messages and counts.
    pub name: String,
    pub route: Route,
    pub format: Format,
    /// The kinds of lines that it takes.
    pub kinds: Kinds,
    /// Bytes kept while the output cannot take them.
    pub buffer: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Stdout,
    File { path: PathBuf, rotation: Rotation },
    Syslog(Syslog),
}

/// The rotation of a file, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing was asked for: a live run has [`Rotate::default`], a replay has none.
    Usual,
    Never,
    At(Rotate),
}

/// The moment at which a file is renamed away, and the treatment of renamed files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotate {
    /// The longest file, unless its only line is longer.
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
    /// The facility of RFC 5424 section 6.2.1, 0 to 23.
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
    /// PEM of the authorities that may sign the receiver's certificate; `None` stands for those of the system.
    pub ca: Option<PathBuf>,
    /// PEM chain and key that are shown to the receiver.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name that the certificate must hold; `None` stands for the host.
    pub server_name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rfc {
    Rfc3164,
    Rfc5424,
}

/// The separation of messages on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The length stands in front (RFC 6587 section 3.4.1).
    Octet,
    /// A newline stands behind (RFC 6587 section 3.4.2).
    Newline,
}

/// A text that is no output, with the reason and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("output \"{text}\": {problem}")]
pub struct TargetError {
    text: String,
    problem: Problem,
}

/// The socket of local syslog daemons.
const LOCAL_SYSLOG: &str = "/dev/log";
/// About 14,000 lines of 1.2 kB: some minutes of a busy host while a receiver restarts.
const DEFAULT_BUFFER: usize = 16 << 20;
/// Space for a few batches: with less, no batch would ever fit.
const LEAST_BUFFER: u64 = 256 << 10;
/// Smaller files would spend their time being renamed, and one line may have 32 KiB.
const LEAST_ROTATE_SIZE: u64 = 64 << 10;
/// With [`DEFAULT_KEEP`] a file takes at most 2.75 GiB of disk.
const DEFAULT_SIZE: u64 = 256 << 20;
const DEFAULT_KEEP: usize = 10;
/// The value of `rotate_size` that leaves a file alone.
const NEVER: &str = "never";
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

impl Default for Rotate {
    fn default() -> Self {
        Rotate { size: Some(DEFAULT_SIZE), age: None, keep: DEFAULT_KEEP, gzip: false }
    }
}

fn parse(text: &str) -> Result<Target, Problem> {
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    let (scheme, rest) = scheme(name)?;
    let values = Values::read(scheme, query)?;
    let route = match scheme {
        Stdout => Route::Stdout,
        File => Route::File { path: path(rest, "file:/var/log/dnstrail/dnstrail.json")?, rotation: rotation(&values)? },
        Unix => syslog(Receiver::Unix(path(rest, "syslog:unix:/dev/log")?), &values)?,
        Udp => syslog(Receiver::Udp(address(rest, 514)?), &values)?,
        Tcp => syslog(Receiver::Tcp(address(rest, 514)?), &values)?,
        TlsScheme => syslog(Receiver::Tls(address(rest, 6514)?, tls(&values)?), &values)?,
    };
    let format = match values.get("format") {
        None | Some("ecs") => Format::Ecs,
        Some("splunk-cim") => Format::SplunkCim,
        Some("ocsf") => Format::Ocsf,
        Some(other) => return Err(unknown("format", other, "ecs, splunk-cim or ocsf")),
    };
    let buffer = match values.get("buffer") {
        None => DEFAULT_BUFFER,
        Some(value) => usize::try_from(size("buffer", value, LEAST_BUFFER)?).unwrap_or(usize::MAX),
    };
    Ok(Target { name: name.to_owned(), route, format, kinds: kinds(&values)?, buffer })
}

fn unknown(name: &'static str, value: &str, choices: &'static str) -> Problem {
    Problem::Unknown { name, value: value.to_owned(), choices }
}

fn scheme(name: &str) -> Result<(Scheme, &str), Problem> {
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
    Err(Problem::Scheme)
}

fn path(rest: &str, example: &'static str) -> Result<PathBuf, Problem> {
    if rest.is_empty() || rest.ends_with('/') || rest.contains('\0') {
        return Err(Problem::NoFile { example });
    }
    Ok(PathBuf::from(rest))
}

fn address(rest: &str, usual: u16) -> Result<Address, Problem> {
    let problem = || Problem::Address { usual };
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

fn kinds(values: &Values) -> Result<Kinds, Problem> {
    let Some(text) = values.get("kind") else { return Ok(Kinds::ALL) };
    let mut kinds = Kinds::NONE;
    for name in text.split(',') {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        kinds = kinds.with(kind.ok_or_else(|| unknown("kind", name, "event, alert, state or metric"))?);
    }
    Ok(kinds)
}

fn rotation(values: &Values) -> Result<Rotation, Problem> {
    let never = values.get("rotate_size") == Some(NEVER);
    let asked = values.get("rotate_size").filter(|_| !never);
    let asked = asked.map(|value| size("rotate_size", value, LEAST_ROTATE_SIZE)).transpose()?;
    let age = values.get("rotate_age").map(age).transpose()?;
    let manner = ["rotate_keep", "gzip"].into_iter().find(|name| values.get(name).is_some());
    let size = match (asked, age, manner) {
        (None, None, Some(name)) if never => return Err(Problem::NoRotation { name }),
        (None, None, _) if never => return Ok(Rotation::Never),
        (None, None, None) => return Ok(Rotation::Usual),
        (None, None, Some(_)) => Some(DEFAULT_SIZE),
        (asked, _, _) => asked,
    };
    let keep = match values.get("rotate_keep") {
        None => DEFAULT_KEEP,
        Some(value) => {
            let keep = value.parse().ok().filter(|&keep| keep > 0);
            keep.ok_or_else(|| Problem::Keep(value.to_owned()))?
        }
    };
    let gzip = match values.get("gzip") {
        None | Some("no") => false,
        Some("yes") => true,
        Some(value) => return Err(unknown("gzip", value, "yes or no")),
    };
    Ok(Rotation::At(Rotate { size, age, keep, gzip }))
}

fn syslog(receiver: Receiver, values: &Values) -> Result<Route, Problem> {
    let local = matches!(receiver, Receiver::Unix(_));
    let rfc = match values.get("rfc") {
        // journald and the local socket of rsyslog expect the traditional header (see syslog(3)).
        None if local => Rfc::Rfc3164,
        None | Some("5424") => Rfc::Rfc5424,
        Some("3164") => Rfc::Rfc3164,
        Some(value) => return Err(unknown("rfc", value, "5424 or 3164")),
    };
    let framing = match values.get("framing") {
        None if local => Framing::Newline,
        None | Some("octet") => Framing::Octet,
        Some("newline") => Framing::Newline,
        Some(value) => return Err(unknown("framing", value, "octet or newline")),
    };
    let facility = match values.get("facility") {
        None => DEFAULT_FACILITY,
        Some(value) => (0..24u8)
            .zip(FACILITIES)
            .find(|&(number, name)| name == value || number.to_string() == value)
            .map(|(number, _)| number)
            .ok_or_else(|| unknown("facility", value, "daemon, local0 to local7, or 0 to 23"))?,
    };
    Ok(Route::Syslog(Syslog { receiver, rfc, framing, facility }))
}

fn tls(values: &Values) -> Result<Tls, Problem> {
    let client = match (values.get("cert"), values.get("key")) {
        (None, None) => None,
        (Some(cert), Some(key)) => Some((cert.into(), key.into())),
        (Some(_), None) => return Err(Problem::NoKey),
        (None, Some(_)) => return Err(Problem::NoCertificate),
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
        assert_eq!(route("file:a b.json"), Route::File { path: "a b.json".into(), rotation: Rotation::Usual });
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
        assert_eq!(target.route, Route::File { path: "/var/log/x.json".into(), rotation: Rotation::At(rotate) });
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
    fn a_file_has_a_rotation_unless_it_is_refused() {
        let rotation = |text: &str| match route(text) {
            Route::File { rotation, .. } => rotation,
            other => panic!("{other:?}"),
        };
        assert_eq!(rotation("file:x"), Rotation::Usual);
        assert_eq!(rotation("file:x?rotate_size=never"), Rotation::Never);
        assert_eq!(rotation("file:x?rotate_keep=3"), Rotation::At(Rotate { keep: 3, ..Rotate::default() }));
        let daily = Rotate { size: None, age: Some(Duration::from_hours(24)), ..Rotate::default() };
        assert_eq!(rotation("file:x?rotate_age=24h"), Rotation::At(daily.clone()));
        assert_eq!(rotation("file:x?rotate_age=24h&rotate_size=never"), Rotation::At(daily));
    }

    #[test]
    fn refusals_name_the_text_and_the_remedy() {
        for (text, remedy) in [
            ("", "write stdout, file:PATH"),
            ("stdin", "write stdout"),
            ("file:", "write for example file:"),
            ("file:/var/log/", "names no file"),
            ("file:x?rotate_size=never&rotate_keep=3", "leave out rotate_size=never"),
            ("file:x?rotate_size=never&gzip=yes", "leave out rotate_size=never"),
            ("file:x?rotate_size=10", "is no size of 64KiB or more"),
            ("file:x?rotate_size=99999999999GiB", "is no size"),
            ("file:x?rotate_size=1MB&rotate_keep=0", "write 1 or more"),
            ("file:x?rotate_age=0d", "write for example 15m"),
            ("file:x?rotate_age=1é", "write for example 15m"),
            ("file:x?framing=octet", "these apply: format, kind, buffer, rotate_size"),
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
