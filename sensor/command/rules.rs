//! `dnstrail rules`: the lines of lists that were read and those that were not (`check`), and the entries
//! that a name matches (`lookup`).
//! Text for a terminal, or JSON.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::parts::{Needs, confine};
use super::rulebook::Rulebook;
use super::{Failure, print};
use crate::cli::RulesCommand;
use crate::name::{self, Indicator, Urls};
use crate::rules::{Counts, Entry, Format, List, ListError, ListReport, Load, Metadata, Problem, Rules, load};
use crate::shown::{self, Shown};

/// Problems of one list that are shown as text; `--json` has more of them.
const SHOWN_PROBLEMS: usize = 20;

pub(super) fn rules(command: RulesCommand) -> Result<(), Failure> {
    match command {
        RulesCommand::Check { paths, json } => {
            confine(&Needs { rules: &paths, ..Needs::default() })?;
            let load = load(&paths, None);
            print(|out| if json { check_as_json(&load, out) } else { check(&load, out) })?;
            if is_usable(&load) { Ok(()) } else { Err(Failure::Answered) }
        }
        RulesCommand::Lookup { names, rules: paths, json } => {
            confine(&Needs { rules: &paths, ..Needs::default() })?;
            let (rulebook, _) = Rulebook::open(&paths, || false)?;
            print(|out| lookup(&rulebook.current(), &names, json, out))
        }
    }
}

/// Whether every path gives lists, and every list can be used.
fn is_usable(load: &Load) -> bool {
    load.empty.is_empty() && load.lists.iter().all(|list| list.error.is_none())
}

#[derive(Serialize)]
struct CheckReport<'a> {
    usable: bool,
    lists: Vec<ListLine<'a>>,
    /// Directories without a list.
    #[serde(serialize_with = "paths")]
    empty: &'a [PathBuf],
    /// Directories, pipes and the like in directories of lists.
    #[serde(serialize_with = "paths")]
    ignored: &'a [PathBuf],
    /// Seconds.
    elapsed: f64,
}

#[derive(Serialize)]
struct ListLine<'a> {
    id: &'a str,
    #[serde(serialize_with = "path")]
    path: &'a Path,
    version: &'a str,
    format: Option<Format>,
    action: crate::rules::Action,
    #[serde(flatten)]
    counts: Counts,
    problems: &'a [Problem],
    error: Option<&'a ListError>,
    kept: bool,
}

impl<'a> From<&'a ListReport> for ListLine<'a> {
    fn from(list: &'a ListReport) -> Self {
        let ListReport { id, path, version, format, action, counts, problems, error, kept } = list;
        let (format, action, counts, kept) = (*format, *action, *counts, *kept);
        Self { id, path, version, format, action, counts, problems, error: error.as_ref(), kept }
    }
}

/// A file name may hold bytes that are no text, which JSON cannot have.
fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

fn write_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", shown::json(&serde_json::to_string(value)?))
}

fn check_as_json(load: &Load, out: &mut impl Write) -> io::Result<()> {
    let report = CheckReport {
        usable: is_usable(load),
        lists: load.lists.iter().map(ListLine::from).collect(),
        empty: &load.empty,
        ignored: &load.ignored,
        elapsed: load.elapsed.as_secs_f64(),
    };
    write_json(&report, out)
}

fn check(load: &Load, out: &mut impl Write) -> io::Result<()> {
    write_table(&load.lists, out)?;
    let flawed = load.lists.iter().filter(|list| !list.problems.is_empty() || list.error.is_some());
    for (index, list) in flawed.enumerate() {
        if index == 0 {
            writeln!(out)?;
        }
        write_problems(list, out)?;
    }
    for directory in &load.empty {
        let directory = Shown(directory.display());
        writeln!(out, "\n{directory}: holds no list file; put lists there, or a rules.toml that names them")?;
    }
    for path in &load.ignored {
        let path = Shown(path.display());
        writeln!(out, "\n{path}: is no list file, and is not read; name it with --rules or in a rules.toml")?;
    }
    let names: u64 = load.lists.iter().map(|list| list.counts.names).sum();
    let addresses: u64 = load.lists.iter().map(|list| list.counts.addresses).sum();
    writeln!(
        out,
        "\n{} lists, {} names and {} addresses in {:.2} s",
        load.lists.len(),
        thousands(names),
        thousands(addresses),
        load.elapsed.as_secs_f64()
    )
}

fn write_table(lists: &[ListReport], out: &mut impl Write) -> io::Result<()> {
    let columns = ["NAMES", "ADDRESSES", "EXCEPTIONS", "DUPLICATES", "NOT APPLICABLE", "SKIPPED"];
    let ids: Vec<String> = lists.iter().map(|list| Shown(&list.id).to_string()).collect();
    let width = ids.iter().map(|id| id.chars().count()).max().unwrap_or(0).max(4);
    write!(out, "{:width$}  {:8}", "LIST", "FORMAT")?;
    columns.iter().try_for_each(|column| write!(out, "  {column:>10}"))?;
    writeln!(out, "  VERSION")?;
    for (list, id) in lists.iter().zip(ids) {
        let format = list.format.map_or_else(|| "-".to_owned(), |format| format.to_string());
        write!(out, "{id:width$}  {format:8}")?;
        let Counts { names, addresses, exceptions, duplicates, not_applicable, skipped, .. } = list.counts;
        for (number, column) in [names, addresses, exceptions, duplicates, not_applicable, skipped].iter().zip(columns)
        {
            write!(out, "  {:>1$}", thousands(*number), column.len().max(10))?;
        }
        writeln!(out, "  {}", if list.error.is_some() { "unusable" } else { &list.version })?;
    }
    Ok(())
}

fn write_problems(list: &ListReport, out: &mut impl Write) -> io::Result<()> {
    if let Some(error) = &list.error {
        writeln!(out, "{error}")?;
    }
    let path = Shown(list.path.display());
    for Problem { line, reason, text } in list.problems.iter().take(SHOWN_PROBLEMS) {
        writeln!(out, "{path}:{line}: {reason}: {}", Shown(text))?;
    }
    let shown = list.problems.len().min(SHOWN_PROBLEMS) as u64;
    if let more @ 1.. = list.counts.skipped.saturating_sub(shown) {
        writeln!(out, "{path}: {} more lines skipped", thousands(more))?;
    }
    Ok(())
}

/// Writes which list and line each name or address matches, an exception too; as JSON one object a line
/// and name. Names may be in any spelling: Unicode, capitals, a trailing dot, a URL.
fn lookup(rules: &Rules, names: &[String], json: bool, out: &mut impl Write) -> io::Result<()> {
    names
        .iter()
        .map(|name| Lookup::new(rules, name))
        .try_for_each(|found| if json { write_json(&found, out) } else { write!(out, "{found}") })
}

/// One name or address against a rule set.
#[derive(Serialize)]
struct Lookup<'a> {
    /// The text that was asked for, as it was typed.
    name: &'a str,
    /// A lookup of this name would alert.
    listed: bool,
    /// An exception covers it, and no list alerts.
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The longest match of each list.
    matches: Vec<EntryLine>,
    exceptions: Vec<EntryLine>,
    /// An exception holds for all lists.
    #[serde(skip)]
    never: bool,
}

impl<'a> Lookup<'a> {
    fn new(rules: &Rules, name: &'a str) -> Self {
        let mut error = None;
        let (matches, exceptions) = match Asked::read(name) {
            Ok(Asked::Address(address)) => (rules.matches_of_address(address), rules.exceptions_of_address(address)),
            Ok(Asked::Name(name)) => (rules.matches_of_name(&name), rules.exceptions_of_name(&name)),
            Ok(Asked::Range) => {
                error = Some("a range of addresses; ask for one address".to_owned());
                Default::default()
            }
            Err(flaw) => {
                error = Some(format!("no name: {flaw}"));
                Default::default()
            }
        };
        let (listed, allowed) = (!matches.is_empty(), matches.is_empty() && !exceptions.is_empty());
        let never = exceptions.iter().any(|exception| exception.for_all_lists);
        let matches = matches.into_iter().map(EntryLine::from).collect();
        let exceptions = exceptions.into_iter().map(|exception| EntryLine::from(exception.entry)).collect();
        Self { name, listed, allowed, error, matches, exceptions, never }
    }
}

/// The name or address that a person asks for.
enum Asked {
    Address(IpAddr),
    Name(String),
    Range,
}

impl Asked {
    fn read(text: &str) -> Result<Self, name::Flaw> {
        let mut buffer = String::new();
        match Indicator::read(text.trim().as_bytes(), Urls::Hosts, &mut buffer)? {
            Indicator::Name { name, .. } => Ok(Self::Name(name.to_owned())),
            Indicator::Network(network) if network.is_host() => Ok(Self::Address(network.address())),
            Indicator::Network(_) => Ok(Self::Range),
        }
    }
}

impl fmt::Display for Lookup<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Shown(self.name);
        if let Some(error) = &self.error {
            return writeln!(out, "{name}: {error}");
        }
        let exception = if self.never { "never alerts" } else { "no match of that list" };
        self.exceptions.iter().try_for_each(|entry| writeln!(out, "{name}: {exception}: {}", Shown(entry)))?;
        self.matches.iter().try_for_each(|entry| writeln!(out, "{name}: {}", Shown(entry)))?;
        if self.listed || self.allowed { Ok(()) } else { writeln!(out, "{name}: not listed") }
    }
}

/// An entry, where it stands, and what is said about it.
#[derive(Serialize)]
struct EntryLine {
    indicator: String,
    list: String,
    path: String,
    #[serde(rename = "line")]
    number: u32,
    /// The list's version, as in alerts.
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed: Option<String>,
    /// The entry's own metadata, its severity or else its list's.
    #[serde(flatten)]
    metadata: Metadata,
}

impl From<Entry> for EntryLine {
    fn from(entry: Entry) -> Self {
        let mut metadata = entry.metadata.map(Arc::unwrap_or_clone).unwrap_or_default();
        metadata.severity = metadata.severity.or(entry.list.severity);
        let List { id, path, version, category, reference, feed, .. } = &*entry.list;
        Self {
            indicator: entry.indicator.to_string(),
            list: id.clone(),
            path: path.display().to_string(),
            number: entry.line,
            version: version.clone(),
            category: category.clone(),
            reference: reference.clone(),
            feed: feed.clone(),
            metadata,
        }
    }
}

impl fmt::Display for EntryLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} in list {} ({}:{})", self.indicator, self.list, self.path, self.number)?;
        let Metadata { uuid, source, description, severity } = &self.metadata;
        for (key, text) in [("uuid", uuid), ("source", source), ("description", description)] {
            if let Some(text) = text {
                write!(out, " {key}={text:?}")?;
            }
        }
        severity.map_or(Ok(()), |severity| write!(out, " severity={severity}"))
    }
}

/// `2200000` as `2,200,000`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_parted() {
        assert_eq!(
            ["0", "999", "1,000", "2,200,000"],
            [0, 999, 1000, 2_200_000].map(super::thousands).each_ref().map(String::as_str)
        );
    }
}
