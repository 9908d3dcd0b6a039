//! The parameters behind the `?` of an `OUT`: one table that the parser and the documentation read,
//! and the values that a text gives them. What they mean for an output is left to `target`.

use std::fmt::Write as _;
use std::time::Duration;

/// A parameter behind the `?` of an `OUT`. The parser and the documentation read the same table.
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
    parameter("rotate_size", &[File], "size, 64KiB or more", "never", "rename the file away before it grows past this"),
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
    /// Which outputs take it, in words.
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

/// The parameters of one text, each known, fitting the scheme, and given once.
pub(super) struct Values<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Values<'a> {
    pub(super) fn read(scheme: Scheme, query: &'a str) -> Result<Self, String> {
        let mut values: Vec<(&str, &str)> = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let Some(known) = PARAMETERS.iter().find(|known| known.name == name && known.applies.contains(&scheme))
            else {
                let mut fitting = String::new();
                for known in PARAMETERS.iter().filter(|known| known.applies.contains(&scheme)) {
                    let _ = write!(fitting, "{}{}", if fitting.is_empty() { "" } else { ", " }, known.name);
                }
                return Err(format!("parameter {name} does not apply here; what applies: {fitting}"));
            };
            if value.is_empty() {
                return Err(format!("parameter {name} has no value; write {name}={}", known.values));
            }
            if values.iter().any(|&(earlier, _)| earlier == name) {
                return Err(format!("parameter {name} is given twice; keep one"));
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
pub(super) fn size(name: &str, text: &str, least: u64) -> Result<u64, String> {
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
    bytes.filter(|&bytes| bytes >= least).ok_or_else(|| {
        format!("{name}={text} is no size of {}KiB or more; write for example 100MB or 64MiB", least >> 10)
    })
}

/// `30s`, `15m`, `24h`, `7d`.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let problem = || format!("rotate_age={text} is no age; write for example 15m, 24h or 7d");
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
