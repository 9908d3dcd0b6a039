//! The parameters behind the `?` of an `OUT`: one table that the parser and the documentation read, and the
//! values that a text gives them. Their meaning for an output is left to `target`.

use std::time::Duration;

/// A parameter behind the `?` of an `OUT`.
#[derive(Debug)]
pub struct Parameter {
    pub name: &'static str,
    /// The schemes that take it.
    pub applies: &'static [Scheme],
    pub values: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Stdout,
    File,
    Unix,
    Udp,
    Tcp,
    Tls,
}

use Scheme::{File, Stdout, Tcp, Tls as TlsScheme, Udp, Unix};

const ALL: &[Scheme] = &[Stdout, File, Unix, Udp, Tcp, TlsScheme];
const SYSLOG: &[Scheme] = &[Unix, Udp, Tcp, TlsScheme];

/// Every parameter: name, where it applies, values, default, meaning.
pub const PARAMETERS: &[Parameter] = &[
    parameter("format", ALL, "ecs|splunk-cim|ocsf", "ecs", "the shape of each line"),
    parameter("kind", ALL, "event,alert,state,metric", "all four", "take only lines of these event.kind"),
    parameter("buffer", ALL, "size, 256KiB or more", "16MiB", "bytes kept while the output cannot take them"),
    parameter(
        "rotate_size",
        &[File],
        "size, 64KiB or more, or never",
        "256MiB; never in a replay, or with rotate_age",
        "rename the file away before it grows past this",
    ),
    parameter("rotate_age", &[File], "30s, 15m, 24h, 7d", "never", "rename the file away when it is this old"),
    parameter("rotate_keep", &[File], "1 or more", "10", "rotated files kept; older ones are deleted"),
    parameter("gzip", &[File], "yes|no", "no", "compress rotated files, all but the newest"),
    parameter("rfc", SYSLOG, "5424|3164", "5424; 3164 on unix", "the header in front of the line"),
    parameter("facility", SYSLOG, "kern … local7, or 0 to 23", "daemon", "the facility of each message"),
    parameter(
        "framing",
        &[Unix, Tcp, TlsScheme],
        "octet|newline",
        "octet; newline on unix",
        "RFC 6587 framing on a stream",
    ),
    parameter("ca", &[TlsScheme], "PEM file", "the system's", "authorities that may sign the receiver's certificate"),
    parameter("cert", &[TlsScheme], "PEM file", "none", "our certificate, with key"),
    parameter("key", &[TlsScheme], "PEM file", "none", "the key of cert"),
    parameter("server_name", &[TlsScheme], "name", "HOST", "the name that the receiver's certificate must hold"),
];

const fn parameter(
    name: &'static str,
    applies: &'static [Scheme],
    values: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Parameter {
    Parameter { name, applies, values, default, meaning }
}

impl Parameter {
    /// The outputs that take it, as documentation names them.
    #[must_use]
    pub fn of(&self) -> String {
        match self.applies {
            ALL => return "all".to_owned(),
            SYSLOG => return "syslog".to_owned(),
            [File] => return "file".to_owned(),
            _ => {}
        }
        let names: Vec<&str> = self.applies.iter().map(|scheme| scheme.name()).collect();
        format!("syslog {}", names.join(", "))
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Stdout => "stdout",
            File => "file",
            Unix => "unix",
            Udp => "udp",
            Tcp => "tcp",
            TlsScheme => "tls",
        }
    }
}

/// A reason to refuse an `OUT`, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("is no output; write stdout, file:PATH, syslog, syslog:unix:PATH, or syslog:udp://HOST:PORT (tcp, tls)")]
    Scheme,
    #[error("names no file; write for example {example}")]
    NoFile { example: &'static str },
    #[error("needs HOST:PORT; write for example logs.example.org:{usual} or [2001:db8::1]:{usual}")]
    Address { usual: u16 },
    #[error("parameter {name} does not apply here; these apply: {fitting}")]
    Misplaced { name: String, fitting: String },
    #[error("parameter {name} has no value; write {name}={values}")]
    NoValue { name: &'static str, values: &'static str },
    #[error("parameter {name} is given twice; keep one")]
    Twice { name: &'static str },
    #[error("{name}={value} is not known; write {choices}")]
    Unknown { name: &'static str, value: String, choices: &'static str },
    #[error("{name}={value} is no size of {least_kib}KiB or more; write for example 100MB or 64MiB")]
    Size { name: &'static str, value: String, least_kib: u64 },
    #[error("rotate_age={0} is no age; write for example 15m, 24h or 7d")]
    Age(String),
    #[error("rotate_keep={0} is no count; write 1 or more")]
    Keep(String),
    #[error("{name} needs a rotation; leave out rotate_size=never, or add rotate_age=24h")]
    NoRotation { name: &'static str },
    #[error("cert needs its key; add key=FILE")]
    NoKey,
    #[error("key needs its certificate; add cert=FILE")]
    NoCertificate,
}

/// The parameters of one text, each known, fitting the scheme, and given once.
pub(super) struct Values<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Values<'a> {
    pub(super) fn read(scheme: Scheme, query: &'a str) -> Result<Self, Problem> {
        let mut values: Vec<(&str, &str)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let Some(known) = PARAMETERS.iter().find(|known| known.name == name && known.applies.contains(&scheme))
            else {
                let fitting = PARAMETERS.iter().filter(|known| known.applies.contains(&scheme));
                let fitting: Vec<_> = fitting.map(|known| known.name).collect();
                return Err(Problem::Misplaced { name: name.to_owned(), fitting: fitting.join(", ") });
            };
            if value.is_empty() {
                return Err(Problem::NoValue { name: known.name, values: known.values });
            }
            if values.iter().any(|&(earlier, _)| earlier == name) {
                return Err(Problem::Twice { name: known.name });
            }
            values.push((known.name, value));
        }
        Ok(Values(values))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|&&(known, _)| known == name).map(|&(_, value)| value)
    }
}

/// `100MB`, `64KiB`, `1048576`: decimal with B alone, binary with iB.
pub(super) fn size(name: &'static str, text: &str, least: u64) -> Result<u64, Problem> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => 0,
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    let problem = || Problem::Size { name, value: text.to_owned(), least_kib: least >> 10 };
    bytes.filter(|&bytes| bytes >= least).ok_or_else(problem)
}

/// `30s`, `15m`, `24h`, `7d`.
pub(super) fn age(text: &str) -> Result<Duration, Problem> {
    let problem = || Problem::Age(text.to_owned());
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(problem()),
    };
    let number = text.get(..text.len() - 1).and_then(|number| number.parse::<u64>().ok());
    number
        .and_then(|number| number.checked_mul(unit))
        .filter(|&seconds| seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_or_binary() {
        for (text, bytes) in [("70000", 70_000), ("100MB", 100_000_000), ("64KiB", 65_536), ("1g", 1_000_000_000)] {
            assert_eq!(size("x", text, 1), Ok(bytes));
        }
    }
}
