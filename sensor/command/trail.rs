//! `dnstrail trail`: the trail of indicators through files of documents, on stdout; what was read and found,
//! on stderr.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::Failure;
use super::parts::{Needs, confine};
use super::rulebook::Rulebook;
use crate::cli::TrailArgs;
use crate::view::{Found, Indicator, IndicatorError, Lines, Summary, Trail, TrailError, ViewError, first_time};

/// # Errors
/// Arguments that make no sense, a file that cannot be read, stdout that cannot be written, or nothing was
/// found.
pub fn trail(args: &TrailArgs) -> Result<(), Failure> {
    let (indicators, files) = sorted(&args.arguments, !args.rules.is_empty())?;
    let indicators: Result<Vec<Indicator>, IndicatorError> =
        indicators.iter().map(|text| text.to_string_lossy().parse()).collect();
    let mut trail =
        Trail::new(indicators.map_err(|error| Failure::Usage(error.into()))?).within(args.since, args.until);
    confine(&Needs { rules: &args.rules, files: &files, ..Needs::default() })?;
    if !args.rules.is_empty() {
        let (rulebook, _) = Rulebook::open(&args.rules, || false)?;
        trail = trail.with_rules(rulebook.current());
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    for file in oldest_first(files.clone()) {
        let mut lines = Lines::open(&file)?;
        match trail.read(&mut lines, args.json, &mut out) {
            Err(TrailError::View(error @ ViewError::Format { .. })) => return Err(Failure::Usage(error.into())),
            other => other?,
        }
    }
    out.flush()?;
    report(&trail, files.len());
    let is_empty = |found: &Found| found.lookups + found.connections == 0;
    if trail.found().all(|(_, found)| is_empty(found)) && trail.found_of_lists().next().is_none() {
        return Err(Failure::Answered);
    }
    Ok(())
}

/// Sorts the arguments into indicators and files. The first is always an indicator, unless lists have
/// them; of the others each that exists, or is written as a path, is a file.
fn sorted(arguments: &[OsString], has_lists: bool) -> Result<(Vec<&OsStr>, Vec<PathBuf>), Failure> {
    let (first, others) = arguments.split_at(usize::from(!has_lists).min(arguments.len()));
    let (files, more): (Vec<&OsString>, Vec<&OsString>) = others.iter().partition(|argument| is_file(argument));
    if files.is_empty() {
        let named: Vec<String> = more.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let what =
            if named.is_empty() { "no file is given".into() } else { format!("{}: no such file", named.join(", ")) };
        return Err(Failure::Usage(anyhow!(
            "{what}; give files of documents behind the indicators, - for the standard input"
        )));
    }
    let indicators = first.iter().chain(more).map(OsString::as_os_str).collect();
    Ok((indicators, files.into_iter().map(PathBuf::from).collect()))
}

/// The files by the time of their first document, since a trail follows time. Files without one, and the
/// standard input, which can be read only once, keep their places at the front.
fn oldest_first(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    files.sort_by_cached_key(|file| {
        let is_regular = fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
        is_regular.then(|| first_time(&mut Lines::open(file).ok()?)).flatten()
    });
    files
}

fn is_file(argument: &OsStr) -> bool {
    let path = Path::new(argument);
    let is_network_or_url = || argument.to_str().is_some_and(|text| text.parse::<Indicator>().is_ok());
    // A path that does not exist is a mistake, which no network or URL is.
    argument == "-" || path.exists() || (path.components().count() > 1 && !is_network_or_url())
}

/// Says on stderr what was read and found.
fn report(trail: &Trail, files: usize) {
    let Summary { documents, outside, skipped, too_long, not_followed } = trail.summary();
    eprintln!("dnstrail: {documents} documents in {files} {}", if files == 1 { "file" } else { "files" });
    for (count, what) in [
        (outside, "documents outside of --since and --until were left out"),
        (skipped, "lines that are no documents of dnstrail were skipped"),
        (too_long, "lines longer than 65536 bytes were skipped"),
        (not_followed, "processes or addresses were not followed: there are too many; give fewer indicators or files"),
    ] {
        if count > 0 {
            eprintln!("dnstrail: {count} {what}");
        }
    }
    for (indicator, found) in trail.found() {
        if found.lookups + found.connections == 0 {
            eprintln!("dnstrail: {indicator}: nothing found");
        } else {
            eprintln!("dnstrail: {indicator}: {} lookups, {} connections", found.lookups, found.connections);
        }
    }
    for (list, found) in trail.found_of_lists() {
        eprintln!("dnstrail: list {list}: {} lookups, {} connections", found.lookups, found.connections);
    }
    if trail.processes() > 0 {
        eprintln!("dnstrail: {} processes resolved an indicator", trail.processes());
    }
}
