//! The shape of the house: dependencies point down, a crate enters in one place, files stay small,
//! and the architecture's document names only what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of `sensor/`, and the modules that it may use. `main` may use everything.
const MODULES: [(&str, &[&str]); 27] = [
    ("lib", &[]),
    ("skeleton", &[]),
    ("metrics", &[]),
    ("bounded", &[]),
    ("input", &[]),
    ("shown", &[]),
    ("name", &[]),
    ("observe", &[]),
    ("event", &["skeleton"]),
    ("dns", &["metrics"]),
    ("net", &["metrics"]),
    ("host", &["event", "metrics"]),
    ("process", &["host", "event", "metrics"]),
    ("rules", &["name", "input", "shown"]),
    ("schema", &[]),
    ("alert", &["schema", "process", "rules", "event", "metrics"]),
    ("sighting", &["observe", "alert", "schema", "net", "process", "rules", "event", "dns", "metrics"]),
    ("report", &["sighting", "alert", "metrics"]),
    (
        "ecs",
        &[
            "report", "sighting", "alert", "schema", "net", "process", "host", "rules", "name", "event", "dns",
            "metrics",
        ],
    ),
    ("journal", &["report", "ecs", "sighting", "sink", "host", "metrics"]),
    ("pipeline", &["sighting", "alert", "net", "process", "host", "rules", "event", "metrics"]),
    ("probe", &["skeleton", "event", "metrics", "observe"]),
    ("replay", &["input", "event", "metrics"]),
    ("sink", &["metrics"]),
    ("cli", &["sighting", "observe", "probe", "view"]),
    ("view", &["name"]),
    (
        "command",
        &[
            "cli", "view", "probe", "replay", "pipeline", "sink", "journal", "sighting", "host", "rules", "event",
            "metrics", "observe", "name", "shown",
        ],
    ),
];

/// Crates that are part of how Rust is written here, not of what one module does.
const EVERYWHERE: [&str; 4] = ["anyhow", "serde", "serde_json", "thiserror"];

/// A crate enters in one module. These enter in several, each for a reason of its own; who is not
/// named here, or no longer uses it, fails the test.
const SHARED: [(&str, &[(&str, &str)]); 6] = [
    (
        "chrono",
        &[
            ("ecs", "@timestamp"),
            ("sink", "names of rotated files, RFC 3164 local time"),
            ("view", "@timestamp read back"),
        ],
    ),
    (
        "flate2",
        &[
            ("input", "lists and captures may be gzipped"),
            ("sink", "rotated files are gzipped"),
            ("view", "and read again"),
        ],
    ),
    ("memchr", &[("rules", "ends of lines"), ("view", "ends of lines")]),
    (
        "nix",
        &[
            ("cli", "opening a configuration without waiting"),
            ("command", "signals, clocks"),
            ("host", "clocks"),
            ("input", "how a file is opened"),
            ("probe", "poll on the ring, clocks"),
            ("rules", "inotify"),
            ("sink", "files, pipes and sockets as the kernel has them"),
        ],
    ),
    ("sha1", &[("ecs", "ids of hosts and conversations"), ("rules", "versions of lists")]),
    ("toml", &[("cli", "dnstrail.toml"), ("rules", "rules.toml")]),
];

/// Past this a file is asked for its second concern (STYLE says about 400).
const MOST_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with one of these endings.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if path.extension().is_some_and(|ending| endings.iter().any(|wanted| ending == *wanted)) {
            found.push(path);
        }
    }
    found
}

/// The text of each file of the sensor under its module, without its unit tests.
fn sensor() -> BTreeMap<String, String> {
    let folder = root().join("sensor");
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for file in files(&folder, &["rs"]) {
        let inside = file.strip_prefix(&folder).expect("it was found there");
        let module = inside.components().next().expect("a name").as_os_str().to_string_lossy();
        let text = fs::read_to_string(&file).expect("a source file");
        let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        modules.entry(module.trim_end_matches(".rs").to_owned()).or_default().push_str(shipped);
    }
    modules
}

/// The names that follow `prefix` in code: comments are passed over.
fn names_after<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut names = BTreeSet::new();
    for line in code {
        for (at, _) in line.match_indices(prefix) {
            let rest = &line[at + prefix.len()..];
            let end = rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(rest.len());
            names.insert(&rest[..end]);
        }
    }
    names
}

fn allowed(module: &str) -> &'static [&'static str] {
    let known = MODULES.iter().find(|(name, _)| *name == module);
    known.unwrap_or_else(|| panic!("sensor/{module} has no place among the layers yet: give it one here")).1
}

#[test]
fn dependencies_point_down() {
    for (module, text) in sensor().into_iter().filter(|(module, _)| module != "main") {
        for prefix in ["crate::", "dnstrail::"] {
            for used in names_after(&text, prefix) {
                let is_module = MODULES.iter().any(|(name, _)| *name == used);
                assert!(
                    !is_module || used == module || allowed(&module).contains(&used),
                    "sensor/{module} uses {used}, which is not below it"
                );
            }
        }
        allowed(&module);
    }
}

#[test]
fn layers_have_no_circle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    while let Some((next, _)) = MODULES
        .iter()
        .find(|(name, below)| !settled.contains(name) && below.iter().all(|module| settled.contains(module)))
    {
        settled.insert(next);
    }
    assert_eq!(settled.len(), MODULES.len(), "a circle among the rest: {settled:?}");
}

#[test]
fn crate_enters_in_one_module() {
    let manifest: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let sensor = sensor();
    for dependency in manifest["dependencies"].as_table().expect("dependencies").keys() {
        let name = dependency.replace('-', "_");
        let path = format!("{name}::");
        let users: Vec<&str> = sensor
            .iter()
            .filter(|(_, text)| {
                let mut code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
                code.any(|line| {
                    line.match_indices(&path).any(|(at, _)| {
                        let before = line[..at].chars().next_back();
                        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                    })
                })
            })
            .map(|(module, _)| module.as_str())
            .collect();
        assert!(!users.is_empty(), "{dependency} is not used");
        if EVERYWHERE.contains(&&*name) {
            continue;
        }
        match SHARED.iter().find(|(shared, _)| *shared == name) {
            Some((_, modules)) => {
                let modules: Vec<&str> = modules.iter().map(|(module, _)| *module).collect();
                assert_eq!(users, modules, "modules that {dependency} enters in, and those with a reason to");
            }
            None => assert_eq!(users.len(), 1, "{dependency} enters in {users:?}"),
        }
    }
}

#[test]
fn unsafe_code_stays_at_the_kernel_edge() {
    for (module, text) in sensor() {
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        let blocks = code.filter(|line| line.contains("unsafe {") || line.contains("unsafe impl")).count();
        assert!(blocks == 0 || ["probe", "event"].contains(&&*module), "sensor/{module} has unsafe code");
        assert!(text.matches("SAFETY:").count() > 0 || blocks == 0, "sensor/{module}: unsafe without SAFETY:");
    }
}

#[test]
fn files_stay_small() {
    for folder in ["sensor", "probes", "tests"] {
        for file in files(&root().join(folder), &["rs", "c", "h"]) {
            let lines = fs::read_to_string(&file).expect("a source file").lines().count();
            assert!(lines <= MOST_LINES, "{} has {lines} lines: look for its second concern", file.display());
        }
    }
}

#[test]
fn architecture_names_only_what_is_there() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    let tops: Vec<String> = fs::read_dir(root())
        .expect("the root")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let mut named = 0;
    for path in text.split('`').skip(1).step_by(2) {
        let top = path.split('/').next().unwrap_or_default();
        let is_path = path.contains('/') && !path.contains(' ') && tops.iter().any(|name| name == top);
        if is_path && !path.contains(['*', '<']) {
            named += 1;
            assert!(root().join(path).exists(), "docs/ARCHITECTURE.md names {path}, which is not there");
        }
    }
    assert!(named > 10, "docs/ARCHITECTURE.md names {named} paths: too few to find one's way");
}

/// The table of bounds names each constant and its file.
#[test]
fn bounds_of_the_architecture_are_there() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).expect("docs/ARCHITECTURE.md");
    let table = text.split("\n## Bounds\n").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let losses = fs::read_to_string(root().join("sensor/metrics.rs")).expect("sensor/metrics.rs");
    let mut rows = 0;
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        let [name, file] = [1, 2].map(|cell| cells[cell].split('`').nth(1).expect("a name"));
        let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(name), "{file} has no {name}");
        for count in cells[4].split('`').skip(1).step_by(2).filter(|count| !count.contains('.')) {
            assert!(losses.contains(&format!(" {count},")), "{count} of {name} is no count");
        }
        rows += 1;
    }
    assert!(rows > 10, "{rows} bounds: where is the table?");
}
