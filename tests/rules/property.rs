//! The matcher against a naive one, on random lists and names.

use std::collections::HashSet;
use std::fmt::Write;

use proptest::prelude::*;

use super::{directory, hits, load};

/// One line of a list, and what it means.
#[derive(Debug, Clone)]
struct Line {
    name: String,
    kind: Kind,
    /// As it is written.
    capitals: bool,
    dot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Suffix,
    Below,
    Exception,
}

/// Few labels, so that names are parents, children and duplicates of each other, and look alike at
/// label boundaries.
fn name() -> impl Strategy<Value = String> {
    let label =
        prop::sample::select(vec!["a", "b", "ab", "evil", "notevil", "x-1", "bücher", "longer-label-than-eight"]);
    prop::collection::vec(label, 1..5).prop_map(|labels| format!("{}.example", labels.join(".")))
}

fn line() -> impl Strategy<Value = Line> {
    let kind = prop::sample::select(vec![Kind::Suffix, Kind::Suffix, Kind::Suffix, Kind::Below, Kind::Exception]);
    (name(), kind, any::<bool>(), any::<bool>()).prop_map(|(name, kind, capitals, dot)| Line {
        name,
        kind,
        capitals,
        dot,
    })
}

/// As documents write it.
fn canonical(name: &str) -> String {
    name.replace("bücher", "xn--bcher-kva")
}

fn write(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let name = if line.capitals { line.name.to_uppercase() } else { line.name.clone() };
        let dot = if line.dot { "." } else { "" };
        let _ = match line.kind {
            Kind::Suffix => writeln!(text, "||{name}{dot}^"),
            Kind::Below => writeln!(text, "||*.{name}{dot}^"),
            Kind::Exception => writeln!(text, "@@||{name}{dot}^"),
        };
    }
    text
}

/// Line and entry that a list gives for a name: straight from the definition.
fn naive(lines: &[Line], name: &str) -> Option<(u32, String)> {
    let mut best: Option<(u32, String)> = None;
    for (number, line) in (1..).zip(lines) {
        let entry = canonical(&line.name);
        let below = name.ends_with(&format!(".{entry}"));
        let matches = match line.kind {
            Kind::Suffix => below || name == entry,
            Kind::Below => below,
            Kind::Exception => false,
        };
        // A suffix and a wildcard of one name say the same below it; the wider one is kept.
        let better = best.as_ref().is_none_or(|(at, other)| {
            entry.len() > other.len()
                || entry == *other && lines[*at as usize - 1].kind == Kind::Below && line.kind == Kind::Suffix
        });
        if matches && better {
            best = Some((number, entry));
        }
    }
    best
}

fn excepted(lines: &[Line], name: &str) -> bool {
    lines.iter().filter(|line| line.kind == Kind::Exception).any(|line| {
        let entry = canonical(&line.name);
        name == entry || name.ends_with(&format!(".{entry}"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_name_hits_what_the_definition_says(
        lists in prop::collection::vec(prop::collection::vec(line(), 1..40), 1..4),
        names in prop::collection::vec(name(), 1..60),
    ) {
        let files: Vec<(String, String)> =
            lists.iter().enumerate().map(|(index, lines)| (format!("list{index}.txt"), write(lines))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let directory = directory(&files);
        let load = load(directory.path());
        // A list of exceptions only is a list, too.
        prop_assert!(load.lists.iter().all(|list| list.error.is_none()), "{:?}", load.lists);
        let entries: HashSet<(usize, Kind, &str)> = lists.iter().enumerate()
            .flat_map(|(index, lines)| lines.iter().map(move |line| (index, line.kind, line.name.as_str())))
            .collect();
        prop_assert!(load.rules.names() <= entries.len() as u64, "duplicates are one entry");
        let all = lists.iter().flatten().map(|line| line.name.clone()).chain(names);
        for name in all.map(|name| canonical(&name)) {
            let mut expected: Vec<(String, u32, String)> = Vec::new();
            for (index, lines) in lists.iter().enumerate().filter(|(_, lines)| !excepted(lines, &name)) {
                expected.extend(naive(lines, &name).map(|(line, entry)| (format!("list{index}"), line, entry)));
            }
            let found = hits(&load.rules, &name);
            prop_assert!(found.is_sorted_by_key(|hit| std::cmp::Reverse(hit.2.len())), "longest first: {found:?}");
            let mut found = found;
            found.sort();
            expected.sort();
            prop_assert_eq!(&found, &expected, "{}", name);
        }
    }

    #[test]
    fn no_text_stops_a_load(text in prop::collection::vec(any::<u8>(), 0..2000), start in 0..12_usize) {
        let starts = [
            "", "||", "@@||", "address=/", "local-zone: \"", "zone \"", "$TTL 1\n", "{\"value\":\"", "host,threat\n", "0.0.0.0 ",
            "*.", "a.example CNAME .\n",
        ];
        let mut bytes = starts[start].as_bytes().to_vec();
        bytes.extend(text);
        let load = super::load_text(&bytes);
        let report = &load.lists[0];
        prop_assert!(report.error.is_some() || report.counts.lines > 0);
    }

    #[test]
    fn no_name_stops_a_match(name in r"[a-z\\.0-9]{0,300}", lines in prop::collection::vec(line(), 1..10)) {
        let load = super::load_text(write(&lines));
        for (_, _, entry) in hits(&load.rules, &name) {
            let below = format!(".{entry}");
            prop_assert!(name == entry || name.ends_with(&below));
        }
    }
}
