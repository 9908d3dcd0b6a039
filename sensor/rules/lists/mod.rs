//! The formats that lists are published in: which one a file is in, and one reader for each. Lines come
//! without their end; bounding, decoding and counting them is left to `source` and `intake`.

mod adblock;
mod bind;
mod csv;
mod dnsmasq;
mod flaw;
mod hosts;
mod intake;
mod json_lines;
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

    /// The format of most of these lines; `None` where no line looks like any.
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
        // Plain lines occur in lists of other kinds, whose readers take them; not the other way round.
        let vote =
            |format: Self| Self::ALL.iter().zip(votes).find(|(each, _)| **each == format).map_or(0, |(_, vote)| vote);
        if vote(Self::Adblock) > 0
            && Self::ALL.into_iter().map(vote).max()
                <= Some(vote(Self::Adblock) + vote(Self::Hosts) + vote(Self::Plain))
        {
            return Some(Self::Adblock);
        }
        if vote(Self::Hosts) > 0 && vote(Self::Hosts) + vote(Self::Plain) >= votes.iter().sum::<u32>().div_ceil(2) {
            return Some(Self::Hosts);
        }
        let best = votes.iter().copied().max().filter(|best| *best > 0)?;
        Self::ALL.into_iter().find(|format| vote(*format) == best)
    }

    /// Whether a line can only be of this format.
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

    /// Reads a line, which is neither empty nor wider than the caller's bound.
    pub(in crate::rules) fn line(&mut self, line: &[u8], intake: &mut Intake<'_>) {
        match self {
            Self::Hosts => hosts::line(line, intake),
            Self::Plain => plain::line(line, intake),
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

/// The words of a line.
fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A line without the remark that `#` opens at its beginning or after a space; elsewhere it is part
/// of a word.
fn without_remark(line: &[u8]) -> &[u8] {
    let mut space = true;
    for (at, byte) in line.iter().enumerate() {
        if *byte == b'#' && space {
            return line.get(..at).unwrap_or_default().trim_ascii_end();
        }
        space = byte.is_ascii_whitespace();
    }
    line
}
