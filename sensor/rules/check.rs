//! What people ask a rule set: what was read and what was not (`dnstrail rules check`), and what a name
//! would hit (`dnstrail rules lookup`). Text for a terminal or JSON; arguments are left to `cli`.

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::{Hit, ListReport, Rules, load, name};

/// Problems of one list that are shown as text; `--json` has more of them.
const SHOWN_PROBLEMS: usize = 20;

#[derive(Serialize)]
struct CheckReport<'a> {
    usable: bool,
    lists: &'a [ListReport],
    /// Seconds.
    elapsed: f64,
}

/// Reads the lists as the sensor would, and writes what became of each. `false`: a list is unusable.
///
/// # Errors
/// `out` takes no more.
pub fn check(paths: &[PathBuf], json: bool, out: &mut impl Write) -> io::Result<bool> {
    let load = load(paths, None);
    let usable = load.lists.iter().all(|list| list.error.is_none());
    if json {
        serde_json::to_writer(
            &mut *out,
            &CheckReport { usable, lists: &load.lists, elapsed: load.elapsed.as_secs_f64() },
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

/// Writes which list and line each name or address hits, an exception too. Names may be in any
/// spelling: Unicode, capitals, a trailing dot. `true`: at least one would alert.
///
/// # Errors
/// `out` takes no more.
pub fn lookup(rules: &Rules, names: &[String], out: &mut impl Write) -> io::Result<bool> {
    let mut any = false;
    for text in names {
        let (mut hits, mut exceptions) = (Vec::new(), Vec::new());
        let mut buffer = String::new();
        if let Ok(address) = text.parse::<IpAddr>() {
            rules.match_address(address, &mut hits);
            rules.exceptions_of_address(address, &mut exceptions);
        } else {
            match name::read(text.trim().as_bytes(), &mut buffer) {
                Ok(name) => {
                    rules.match_name(name, &mut hits);
                    rules.exceptions_of_name(name, &mut exceptions);
                }
                Err(flaw) => {
                    writeln!(out, "{text}: no name: {flaw}")?;
                    continue;
                }
            }
        }
        any |= !hits.is_empty();
        for exception in &exceptions {
            writeln!(out, "{text}: never alerts: {}", Place(exception))?;
        }
        for hit in &hits {
            writeln!(out, "{text}: {}", Place(hit))?;
        }
        if hits.is_empty() && exceptions.is_empty() {
            writeln!(out, "{text}: not listed")?;
        }
    }
    Ok(any)
}

/// An entry and where it stands.
struct Place<'a>(&'a Hit);

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(hit) = self;
        write!(out, "{} in list {} ({}:{})", hit.indicator, hit.list.id, hit.list.path.display(), hit.line)?;
        if let Some(metadata) = &hit.metadata {
            let texts =
                [("uuid", &metadata.uuid), ("source", &metadata.source), ("description", &metadata.description)];
            for (key, text) in texts {
                if let Some(text) = text {
                    write!(out, " {key}={text:?}")?;
                }
            }
        }
        match hit.metadata.as_ref().and_then(|metadata| metadata.severity).or(hit.list.severity) {
            Some(severity) => write!(out, " severity={severity}"),
            None => Ok(()),
        }
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
