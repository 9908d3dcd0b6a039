//! The allowed edges between folders: the table against the modules.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{Module, Tree, Written};

/// Each folder of `sensor/`, and the folders that it may use. Lower ones stand first.
pub type Table<'a> = Vec<(&'a str, Vec<&'a str>)>;

/// Reads rows of the form `folder: used used`.
pub fn table(text: &str) -> Table<'_> {
    text.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

fn row(line: &str) -> (&str, Vec<&str>) {
    let (folder, below) = line.split_once(':').unwrap_or_else(|| panic!("{line}: a row is `folder: used used`"));
    (folder.trim(), below.split_whitespace().collect())
}

/// Everything that is wrong with the modules or with the table, a sentence each.
pub fn complaints(tree: &Tree, table: &Table) -> Vec<String> {
    let edges = edges(tree);
    let mut complaints = Vec::new();
    for (at, (folder, below)) in table.iter().enumerate() {
        if !tree.modules.keys().any(|path| folder_of(path) == *folder) {
            complaints.push(format!("{folder} is in the table, and not in sensor/: take it out"));
        }
        for used in below {
            if !table[..at].iter().any(|(lower, _)| lower == used) {
                complaints.push(format!("{folder} may use {used}, which does not stand above it in the table"));
            }
            if !edges.contains_key(&((*folder).to_owned(), (*used).to_owned())) {
                complaints.push(format!("{folder} may use {used}, and does not: take {used} out of its row"));
            }
        }
    }
    let named: BTreeSet<&str> = tree.modules.keys().map(|path| folder_of(path)).collect();
    for folder in named.iter().filter(|folder| !table.iter().any(|(name, _)| name == *folder)) {
        complaints.push(format!("sensor/{folder} has no row in the table: give it one"));
    }
    for ((folder, used), files) in &edges {
        if table.iter().any(|(name, below)| name == folder && !below.contains(&used.as_str())) {
            complaints.push(format!("{files:?} in {folder} uses {used}, which is not in its row"));
        }
    }
    complaints
}

/// Groups of files of one folder that use each other, a sentence for each group.
pub fn circles(tree: &Tree) -> Vec<String> {
    circles_of(&files(tree))
}

pub fn folder_of(path: &[String]) -> &str {
    path.first().map_or("lib", String::as_str)
}

/// Folder and used folder, with the files that use it.
fn edges(tree: &Tree) -> BTreeMap<(String, String), BTreeSet<&str>> {
    let mut edges: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
    for module in tree.modules.values() {
        let from = folder_of(&module.path);
        for written in &module.uses {
            let Written::Absolute(names) = written else { continue };
            let to = names.first().filter(|name| tree.modules.contains_key(std::slice::from_ref(*name)));
            if let Some(to) = to.filter(|to| *to != from && !module.path.is_empty()) {
                edges.entry((from.to_owned(), to.clone())).or_default().insert(&module.file);
            }
        }
    }
    edges
}

/// Each file with the files of its own folder that it uses. A module and its children are one unit and may use
/// each other, so an edge between a file and its parent does not count.
fn files(tree: &Tree) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in tree.modules.values() {
        for written in &module.uses {
            let Some(home) = tree.home(&module.path, written) else { continue };
            if counts(module, home) {
                edges.entry(&module.file).or_default().insert(&home.file);
            }
        }
    }
    edges
}

fn counts(from: &Module, to: &Module) -> bool {
    let is_related = from.path.starts_with(&to.path) || to.path.starts_with(&from.path);
    from.file != to.file && folder_of(&from.path) == folder_of(&to.path) && !is_related
}

fn circles_of(edges: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = edges.keys().map(|file| (*file, reached(edges, file))).collect();
    let mut groups: BTreeSet<Vec<&str>> = BTreeSet::new();
    for (file, there) in reach.iter().filter(|(file, there)| there.contains(*file)) {
        groups.insert(
            there.iter().copied().filter(|other| reach.get(other).is_some_and(|back| back.contains(file))).collect(),
        );
    }
    groups.into_iter().map(|group| format!("{} use each other in a circle", group.join(", "))).collect()
}

fn reached<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&str> = edges.get(from).into_iter().flatten().copied().collect();
    while let Some(file) = waiting.pop() {
        if reached.insert(file) {
            waiting.extend(edges.get(file).into_iter().flatten());
        }
    }
    reached
}
