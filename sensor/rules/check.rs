//! What people ask a rule set: what was read and what was not (`dnstrail rules check`), and what a name
//! would hit (`dnstrail rules lookup`). Text for a terminal or JSON; arguments are left to `cli`.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Entry, List, ListReport, Metadata, Rules, load};
use crate::name;

/// Problems of one list that are shown as text; `--json` has more of them.
const SHOWN_PROBLEMS: usize = 20;

#[derive(Serialize)]
struct CheckReport<'a> {
    usable: bool,
    lists: &'a [ListReport],
    /// Directories without a list.
    empty: &'a [PathBuf],
    /// Seconds.
    elapsed: f64,
}

/// Reads the lists as the sensor would, and writes what became of each. `false`: a list is unusable, or
/// a directory holds none.
///
/// # Errors
/// `out` takes no more.
pub fn check(paths: &[PathBuf], json: bool, out: &mut impl Write) -> io::Result<bool> {
    let load = load(paths, None);
    let usable = load.empty.is_empty() && load.lists.iter().all(|list| list.error.is_none());
    if json {
        serde_json::to_writer(
            &mut *out,
            &CheckReport { usable, lists: &load.lists, empty: &load.empty, elapsed: load.elapsed.as_secs_f64() },
        )?;
        writeln!(out)?;
        return Ok(usable);
    }
    let columns = ["NAMES", "ADDRESSES", "EXCEPTIONS", "DUPLICATES", "NOT APPLICABLE", "SKIPPED"];
    let width = load.lists.iter().map(|list| list.id.chars().count()).max().unwrap_or(0).max(4);
    write!(out, "{:width$}  {:8}", "LIST", "FORMAT")?;
    columns.iter().try_for_each(|column| write!(out, "  {column:>10}"))?;
    writeln!(out, "  VERSION")?;
    for list in &load.lists {
        let counts = &list.counts;
        let format = list.format.map_or_else(|| "-".to_owned(), |format| format.to_string());
        write!(out, "{:width$}  {format:8}", list.id)?;
        let numbers = [
            counts.names,
            counts.addresses,
            counts.exceptions,
            counts.duplicates,
            counts.not_applicable,
            counts.skipped,
        ];
        for (number, column) in numbers.iter().zip(columns) {
            write!(out, "  {:>1$}", thousands(*number), column.len().max(10))?;
        }
        writeln!(out, "  {}", if list.error.is_some() { "unusable" } else { &list.version })?;
    }
    let problems = load.lists.iter().filter(|list| !list.problems.is_empty() || list.error.is_some());
    for (index, list) in problems.enumerate() {
        if index == 0 {
            writeln!(out)?;
        }
        if let Some(error) = &list.error {
            writeln!(out, "{error}")?;
        }
        for problem in list.problems.iter().take(SHOWN_PROBLEMS) {
            writeln!(out, "{}:{}: {}: {}", list.path.display(), problem.line, problem.reason, problem.text)?;
        }
        let shown = list.problems.len().min(SHOWN_PROBLEMS) as u64;
        if let more @ 1.. = list.counts.skipped.saturating_sub(shown) {
            writeln!(out, "{}: {} more lines skipped", list.path.display(), thousands(more))?;
        }
    }
    for directory in &load.empty {
        writeln!(
            out,
            "\n{}: holds no list file; put lists there, or a rules.toml that names them",
            directory.display()
        )?;
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
    )?;
    Ok(usable)
}

/// Writes which list and line each name or address hits, an exception too; as JSON one object a line
/// and name. Names may be in any spelling: Unicode, capitals, a trailing dot. `true`: at least one would alert.
///
/// # Errors
/// `out` takes no more.
pub fn lookup(rules: &Rules, names: &[String], json: bool, out: &mut impl Write) -> io::Result<bool> {
    let mut any = false;
    for name in names {
        let found = Lookup::new(rules, name);
        any |= found.listed;
        if json {
            serde_json::to_writer(&mut *out, &found)?;
            writeln!(out)?;
        } else {
            write!(out, "{found}")?;
        }
    }
    Ok(any)
}

/// What a rule set says about one name or address.
#[derive(Serialize)]
struct Lookup<'a> {
    /// As it was asked for.
    name: &'a str,
    /// It would alert.
    listed: bool,
    /// An exception covers it, and it never alerts.
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The longest match of each list.
    matches: Vec<Line>,
    exceptions: Vec<Line>,
}

impl<'a> Lookup<'a> {
    fn new(rules: &Rules, name: &'a str) -> Self {
        let mut error = None;
        let hits = if let Ok(address) = name.parse::<IpAddr>() {
            [rules.matches_of_address(address), rules.exceptions_of_address(address)]
        } else {
            match name::canonical(name.trim().as_bytes(), &mut String::new()) {
                Ok(name) => [rules.matches_of_name(name), rules.exceptions_of_name(name)],
                Err(flaw) => {
                    error = Some(format!("no name: {flaw}"));
                    Default::default()
                }
            }
        };
        let [listed, allowed] = hits.each_ref().map(|hits| !hits.is_empty());
        let [matches, exceptions] = hits.map(|hits| hits.into_iter().map(Line::from).collect());
        Self { name, listed, allowed, error, matches, exceptions }
    }
}

impl fmt::Display for Lookup<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        if let Some(error) = &self.error {
            return writeln!(out, "{name}: {error}");
        }
        self.exceptions.iter().try_for_each(|entry| writeln!(out, "{name}: never alerts: {entry}"))?;
        self.matches.iter().try_for_each(|entry| writeln!(out, "{name}: {entry}"))?;
        if self.listed || self.allowed { Ok(()) } else { writeln!(out, "{name}: not listed") }
    }
}

/// An entry, where it stands, and what is said about it.
#[derive(Serialize)]
struct Line {
    indicator: String,
    list: String,
    path: PathBuf,
    line: u32,
    /// Of the list, as in alerts.
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

impl From<Entry> for Line {
    fn from(hit: Entry) -> Self {
        let mut metadata = hit.metadata.map(Arc::unwrap_or_clone).unwrap_or_default();
        metadata.severity = metadata.severity.or(hit.list.severity);
        let List { id, path, version, category, reference, feed, .. } = &*hit.list;
        Self {
            indicator: hit.indicator.to_string(),
            list: id.clone(),
            path: path.clone(),
            line: hit.line,
            version: version.clone(),
            category: category.clone(),
            reference: reference.clone(),
            feed: feed.clone(),
            metadata,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} in list {} ({}:{})", self.indicator, self.list, self.path.display(), self.line)?;
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
