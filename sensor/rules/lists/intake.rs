//! The entries of one list on their way from a format to the index. Each entry is checked and counted, and
//! every line that is not understood is noted.

use super::super::index::compile::{Builder, Place};
use super::super::index::names::{Allow, Repeated, Scope};
use super::super::list::Metadata;
use super::breadth;
use super::flaw::Flaw;
use crate::name::{self, Indicator, Network, Urls};

/// Lines of one list that are kept for the report; further ones are only counted.
const MOST_PROBLEMS: usize = 100;
/// Characters of a line that are shown with what is wrong in it.
const SHOWN: usize = 80;
/// A line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// 1-based.
    pub line: u32,
    pub reason: String,
    /// The beginning of the line, as it is.
    pub text: String,
}

/// A list in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    pub lines: u64,
    /// Names in force, exceptions included.
    pub names: u64,
    /// Addresses and prefixes in force, exceptions included.
    pub addresses: u64,
    /// Names and addresses that are exceptions.
    pub exceptions: u64,
    /// Entries that another line of the list has already.
    pub duplicates: u64,
    /// Rules that say nothing about whole names (cosmetic, path), and names that every host has.
    pub not_applicable: u64,
    /// Lines that were not understood, in whole or in part.
    pub skipped: u64,
}

impl Counts {
    /// Takes entries back that another line of the list has already.
    pub(in crate::rules) fn leave_out(&mut self, repeated: Repeated, are_exceptions: bool) {
        let all = repeated.names + repeated.networks;
        self.names = self.names.saturating_sub(repeated.names);
        self.addresses = self.addresses.saturating_sub(repeated.networks);
        self.duplicates += all;
        if are_exceptions {
            self.exceptions = self.exceptions.saturating_sub(all);
        }
    }
}

/// The part of a list's configuration that concerns reading it.
#[derive(Debug, Clone)]
pub(in crate::rules) struct Options {
    /// Stands before the scope that the format gives.
    pub scope: Option<Scope>,
    /// The meaning of an entry: listed, or never to alert.
    pub entries: Allow,
    /// The reach of an exception.
    pub exceptions: Allow,
    pub allow_broad: bool,
    pub urls: Urls,
    /// The highest severity that entries of this list have.
    pub severity_max: Option<u8>,
    pub column: Option<String>,
}

pub(in crate::rules) struct Intake<'a> {
    builder: &'a mut Builder,
    pub options: Options,
    list: u16,
    line: u32,
    counts: Counts,
    problems: Vec<Problem>,
    flawed_line: u32,
    name: String,
    /// The builder takes no more.
    full: bool,
}

impl<'a> Intake<'a> {
    pub(in crate::rules) fn new(builder: &'a mut Builder, list: u16, options: Options) -> Self {
        let (counts, problems, name) = (Counts::default(), Vec::new(), String::new());
        Self { builder, options, list, line: 0, counts, problems, flawed_line: 0, name, full: false }
    }

    pub(in crate::rules) fn next_line(&mut self) {
        self.line = self.line.saturating_add(1);
        self.counts.lines += 1;
    }

    /// An entry that says by its own spelling whether it is a wildcard.
    pub(in crate::rules) fn word(&mut self, word: &[u8], text: &[u8]) {
        self.entry(word, Scope::Suffix, false, None, text);
    }

    /// An entry. The format gives `scope`, unless the configuration gives another. `text` is the whole line,
    /// for the report of a line that is wrong.
    pub(in crate::rules) fn entry(
        &mut self,
        word: &[u8],
        scope: Scope,
        exception: bool,
        metadata: Option<&Metadata>,
        text: &[u8],
    ) {
        let mut buffer = std::mem::take(&mut self.name);
        match Indicator::read(word, self.options.urls, &mut buffer) {
            Ok(Indicator::Name { name, wildcard }) => {
                let scope = if wildcard && scope == Scope::Exact { Scope::Suffix } else { scope };
                let forced = self.options.scope.filter(|_| !wildcard && scope != Scope::Below);
                self.name(name, forced.unwrap_or(scope), exception, metadata, text);
            }
            Ok(Indicator::Network(network)) => self.network(network, exception, metadata, text),
            Err(name::Flaw::Path) => self.not_applicable(),
            Err(flaw) => self.skip(flaw.into(), text),
        }
        self.name = buffer;
    }

    fn name(&mut self, name: &str, scope: Scope, exception: bool, metadata: Option<&Metadata>, text: &[u8]) {
        let place = self.place(exception);
        if !self.options.allow_broad
            && let Err(flaw) = breadth::check_name(name, scope)
        {
            return self.skip(flaw, text);
        }
        if self.full || self.builder.name(name, scope, place, metadata).is_err() {
            self.full = true;
            return;
        }
        self.counts.names += 1;
        self.counts.exceptions += u64::from(place.allow != Allow::No);
    }

    /// An address or a range of addresses.
    pub(in crate::rules) fn network(
        &mut self,
        network: Network,
        exception: bool,
        metadata: Option<&Metadata>,
        text: &[u8],
    ) {
        let place = self.place(exception);
        if !self.options.allow_broad
            && let Err(flaw) = breadth::check_network(network, place.allow)
        {
            return self.skip(flaw, text);
        }
        if self.full || self.builder.network(network, place, metadata).is_err() {
            self.full = true;
            return;
        }
        self.counts.addresses += 1;
        self.counts.exceptions += u64::from(place.allow != Allow::No);
    }

    fn place(&self, exception: bool) -> Place {
        let allow = if exception { self.options.exceptions } else { self.options.entries };
        Place { list: self.list, line: self.line, allow }
    }

    /// Brings a severity from the list's scale to that of documents (0 to 100).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    pub(in crate::rules) fn severity(&self, severity: f64) -> u8 {
        let scaled = self.options.severity_max.map_or(severity, |max| severity * 100.0 / f64::from(max.max(1)));
        scaled.clamp(0.0, 100.0).round() as u8
    }

    /// Counts a rule that is right, but says nothing about whole names.
    pub(in crate::rules) fn not_applicable(&mut self) {
        self.counts.not_applicable += 1;
    }

    /// Reports the line: it is not understood, or a part of it.
    pub(in crate::rules) fn skip(&mut self, flaw: Flaw, text: &[u8]) {
        if self.flawed_line == self.line && self.counts.skipped > 0 {
            return;
        }
        self.flawed_line = self.line;
        self.counts.skipped += 1;
        if self.problems.len() < MOST_PROBLEMS {
            let shown = text.get(..text.len().min(4 * SHOWN)).unwrap_or_default();
            let shown = String::from_utf8_lossy(shown).chars().take(SHOWN).collect::<String>();
            self.problems.push(Problem { line: self.line, reason: flaw.to_string(), text: shown });
        }
    }

    pub(in crate::rules) fn line(&self) -> u32 {
        self.line
    }

    pub(in crate::rules) fn counts(&self) -> Counts {
        self.counts
    }

    pub(in crate::rules) fn is_full(&self) -> bool {
        self.full
    }

    pub(in crate::rules) fn finish(self) -> (Counts, Vec<Problem>) {
        (self.counts, self.problems)
    }
}
