//! The formats that lists are published in: which one a file is in, and one reader for each. Lines come
//! without their end; opening, unpacking and bounding a file is left to `read`.
//!
//! | module | is for |
//! |---|---|
//! | one for each format | what a line of it says |
//! | `line` | the words of a line |
//! | `intake` | where formats put what they read: checked, counted, handed to the index |
//! | `breadth` | entries that mean too much |
//! | `flaw` | why a line was not understood |
//!
//! Lists of names in several formats at once are common: hosts lines between bare names, adblock rules
//! between both. The readers of `hosts`, `plain` and `adblock` take each other's lines where a line can
//! mean one thing only.

mod adblock;
mod bind;
mod breadth;
mod csv;
mod dnsmasq;
mod flaw;
mod hosts;
mod intake;
mod json_lines;
mod line;
mod plain;
mod unbound;
mod zone;

use std::fmt;

pub(super) use flaw::Flaw;
pub use intake::{Counts, Problem};
pub(super) use intake::{Intake, Options};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// An address and names: `0.0.0.0 evil.example`.
    Hosts,
    /// A name, `*.name`, address, prefix or URL a line.
    Plain,
    /// `||evil.example^`, `@@||good.example^`.
    Adblock,
    /// `address=/evil.example/#`.
    Dnsmasq,
    /// `local-zone: "evil.example" always_nxdomain`.
    Unbound,
    /// A zone file, of a response policy zone mostly: `evil.example CNAME .`.
    Rpz,
    /// `zone "evil.example" { … };`.
    Bind,
    /// `{"uuid": …, "value": "evil.example"}`.
    Json,
    /// Columns with a header that names them.
    Csv,
}

impl Format {
    pub const ALL: [Self; 9] = [
        Self::Hosts,
        Self::Plain,
        Self::Adblock,
        Self::Dnsmasq,
        Self::Unbound,
        Self::Rpz,
        Self::Bind,
        Self::Json,
        Self::Csv,
    ];

    /// The format of most of these lines; `None` where no line looks like any. Where two formats have equally
    /// many lines, the first of [`Self::ALL`] counts.
    pub(in crate::rules) fn recognise<'a>(
        lines: impl Iterator<Item = &'a [u8]> + Clone,
        column: Option<&str>,
    ) -> Option<Self> {
        if csv::has_header(lines.clone(), column) {
            return Some(Self::Csv);
        }
        let mut votes = [0_u32; Self::ALL.len()];
        for line in lines.map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            let looks_like = Self::ALL.iter().zip(&mut votes).find(|(format, _)| format.claims(line));
            if let Some((_, vote)) = looks_like {
                *vote += 1;
            }
        }
        let most = votes.iter().copied().max().filter(|most| *most > 0)?;
        Self::ALL.into_iter().zip(votes).find(|(_, vote)| *vote == most).map(|(format, _)| format)
    }

    /// Whether a line looks like this format, and like none before it.
    fn claims(self, line: &[u8]) -> bool {
        match self {
            Self::Hosts => hosts::claims(line),
            Self::Plain => plain::claims(line),
            Self::Adblock => adblock::claims(line),
            Self::Dnsmasq => dnsmasq::claims(line),
            Self::Unbound => unbound::claims(line),
            Self::Rpz => zone::claims(line),
            Self::Bind => bind::claims(line),
            Self::Json => json_lines::claims(line),
            Self::Csv => false,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Hosts => "hosts",
            Self::Plain => "plain",
            Self::Adblock => "adblock",
            Self::Dnsmasq => "dnsmasq",
            Self::Unbound => "unbound",
            Self::Rpz => "rpz",
            Self::Bind => "bind",
            Self::Json => "json",
            Self::Csv => "csv",
        })
    }
}

/// Reads the lines of one list.
pub(in crate::rules) enum Reader {
    Hosts,
    Plain,
    Adblock,
    Dnsmasq,
    Unbound,
    Rpz(zone::Zone),
    Bind(bind::Statements),
    Json,
    Csv(csv::Table),
}

impl Reader {
    pub(in crate::rules) fn new(format: Format) -> Self {
        match format {
            Format::Hosts => Self::Hosts,
            Format::Plain => Self::Plain,
            Format::Adblock => Self::Adblock,
            Format::Dnsmasq => Self::Dnsmasq,
            Format::Unbound => Self::Unbound,
            Format::Rpz => Self::Rpz(zone::Zone::default()),
            Format::Bind => Self::Bind(bind::Statements::default()),
            Format::Json => Self::Json,
            Format::Csv => Self::Csv(csv::Table::default()),
        }
    }

    /// Reads a line that is neither empty nor longer than the caller's bound.
    pub(in crate::rules) fn line(&mut self, line: &[u8], intake: &mut Intake<'_>) {
        match self {
            Self::Hosts | Self::Plain if adblock::is_rule(line) => adblock::line(line, intake),
            Self::Hosts | Self::Plain => hosts::line(line, intake),
            Self::Adblock => adblock::line(line, intake),
            Self::Dnsmasq => dnsmasq::line(line, intake),
            Self::Unbound => unbound::line(line, intake),
            Self::Rpz(zone) => zone.line(line, intake),
            Self::Bind(statements) => statements.line(line, intake),
            Self::Json => json_lines::line(line, intake),
            Self::Csv(table) => table.line(line, intake),
        }
    }
}
