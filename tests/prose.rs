//! How the house reads: the words that are not in its glossary, the openings that leave a sentence without its
//! subject, and eight sentences that must not come back.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

mod rules;
mod texts;

use rules::faults;
use texts::Text;

/// Folders and files whose prose is held to the rules.
const PLACES: [&str; 14] = [
    ".ci",
    "Cargo.toml",
    "Makefile",
    "README.md",
    "benches",
    "build.rs",
    "docs",
    "fuzz",
    "packaging",
    "probes",
    "rules",
    "schemas",
    "sensor",
    "tests",
];

/// Parts of sentences that nobody understood. None stands anywhere in the repository.
const SENTENCES: [&str; 8] = [
    "held until it is closed, however long its process",
    "Of that lookup, as far as they concern this address",
    "a receiver that is back is found within half a minute",
    "A reader that went away has all it wanted",
    "takes blindness for silence",
    "and its arguments are not this one's",
    "Whose opening was",
    "lines are no documents, and were skipped",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(place: &Path, found: &mut Vec<PathBuf>) {
    if place.is_dir() {
        let entries = fs::read_dir(place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        entries.for_each(|entry| files(&entry.expect("an entry").path(), found));
    } else if place.is_file() && !place.ends_with("tests/prose.rs") && !place.ends_with("tests/prose/rules.rs") {
        found.push(place.to_owned());
    }
}

/// Every file that is text, with its path from the root.
fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    PLACES.iter().for_each(|place| files(&root().join(place), &mut found));
    found.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("it was found there").display().to_string();
        Some((name, String::from_utf8(fs::read(path).expect("a file")).ok()?))
    };
    found.into_iter().filter_map(read).collect()
}

#[test]
fn prose_follows_the_rules() {
    let mut report = String::new();
    for (file, text) in all() {
        for Text { line, text, kind } in texts::of(&file, &text) {
            for fault in faults(&text, kind) {
                let _ = writeln!(report, "{file}:{line}: {fault}");
            }
        }
    }
    assert!(report.is_empty(), "faults:\n{report}");
}

#[test]
fn eight_sentences_are_gone() {
    for (file, text) in all() {
        let text = text.lines().map(str::trim).collect::<Vec<_>>().join(" ").replace(" /// ", " ").replace(" // ", " ");
        for sentence in SENTENCES {
            assert!(!text.contains(sentence), "{file}: {sentence}");
        }
    }
}
