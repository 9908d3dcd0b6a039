//! The shape of the house: dependencies point down, a crate enters in one place, files stay small,
//! and the architecture's document names only what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

mod graph;
mod order;
mod shape;
mod small;

use graph::Tree;
use order::table;
use shape::{Shape, functions_of_c};

/// Each folder of `sensor/` (a file beside them counts as one), then the folders that it may use. A row names only
/// rows above its own, and only what it does use. `main` may use everything.
const FOLDERS: &str = "
    lib:
    skeleton:
    metrics:
    bounded:
    input:
    invariant:
    shown:
    json: invariant shown
    field:
    name:
    observe:
    walls: input
    part:
    event: skeleton
    dns: invariant
    net: invariant metrics
    host: event metrics part walls input
    process: invariant host event metrics
    rules: invariant name input shown
    alert: field process rules event metrics
    schema: invariant alert field json net process host rules event
    sighting: invariant observe dns name json schema alert field net process rules event metrics
    pipeline: sighting alert net process host rules event metrics
    probe: skeleton event metrics observe part walls
    replay: input event metrics
    sink: input metrics
    journal: schema sighting alert field json sink host metrics
    view: rules name input shown
    cli: sighting input metrics observe probe view
    command: cli view probe replay pipeline sink journal sighting host rules event metrics observe name shown part walls
";

/// Crates that are part of how Rust is written here, not of what one module does.
const EVERYWHERE: [&str; 4] = ["anyhow", "serde", "serde_json", "thiserror"];

/// A crate enters in one module. These crates enter in several, each for a reason of its own; a module that is not
/// named here, or that no longer uses the crate, fails the test.
const SHARED: [(&str, &[(&str, &str)]); 7] = [
    ("base64", &[("dns", "keys and signatures"), ("schema", "community id")]),
    (
        "chrono",
        &[
            ("dns", "times of signatures"),
            ("json", "@timestamp"),
            ("sink", "names of rotated files, RFC 3164 local time"),
            ("view", "@timestamp read back"),
        ],
    ),
    ("flate2", &[("input", "lists and captures may be gzipped"), ("sink", "rotated files are gzipped")]),
    ("memchr", &[("rules", "ends of lines"), ("view", "ends of lines")]),
    (
        "nix",
        &[
            ("command", "signals, clocks"),
            ("host", "clocks"),
            ("input", "how a file is opened"),
            ("part", "processes, sockets"),
            ("probe", "poll on the ring, clocks"),
            ("rules", "inotify"),
            ("sink", "files, pipes and sockets as the kernel has them"),
            ("walls", "no new privileges, numbers of system calls"),
        ],
    ),
    ("sha1", &[("rules", "versions of lists"), ("schema", "ids of hosts and conversations")]),
    ("toml", &[("cli", "dnstrail.toml"), ("rules", "rules.toml")]),
];

/// Past this a file is asked for its second concern (STYLE says about 400).
const MOST_LINES: usize = 500;

/// A longer function does two things.
const MOST_LINES_OF_A_FUNCTION: usize = 60;

/// The functions that are longer today: this list only shrinks.
const LONG_FUNCTIONS: &[&str] = &[
    "sensor/command/live.rs: run",
    "tests/dns/hostile.rs: bombs",
    "tests/pipeline/mod.rs: new",
    "tests/rules/manifest.rs: every_key_has_its_effect",
    "tests/schema/hostile.rs: everything_at_once",
    "tests/sink/files.rs: kill_nine_a_hundred_times",
    "tests/support/formats.rs: check_ocsf",
    "tests/system/clients/udp.c: main",
    "tests/system/clients/uring.c: main",
    "tests/system/live/lists.rs: live_reloads_under_load_miss_nothing",
    "tests/system/live/parity.rs: comparable",
    "tests/system/live/parity.rs: live_parity_documents_are_those_of_the_golden_file",
];

/// Where unsafe code may stand, each use with its `SAFETY` comment.
const UNSAFE: &[&str] = &["probe/", "event/", "part/", "skeleton.rs"];

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

/// The files of the sensor by their path inside `sensor/`.
fn sources() -> BTreeMap<String, String> {
    let folder = root().join("sensor");
    let read = |path: PathBuf| {
        let inside = path.strip_prefix(&folder).expect("it was found there").display().to_string();
        (inside, fs::read_to_string(&path).expect("a source file"))
    };
    files(&folder, &["rs"]).into_iter().map(read).collect()
}

/// All code of ours, by its path, that people read.
fn code() -> Vec<(String, String)> {
    let folders = ["sensor", "probes", "tests", "benches"].map(|folder| files(&root().join(folder), &["rs", "c", "h"]));
    let read = |path: PathBuf| {
        let inside = path.strip_prefix(root()).expect("it was found there").display().to_string();
        (inside, fs::read_to_string(&path).expect("a source file"))
    };
    folders.into_iter().flatten().chain([root().join("build.rs")]).map(read).collect()
}

fn tree() -> Tree {
    Tree::read(&sources(), "lib.rs")
}

#[test]
fn dependencies_point_down() {
    let complaints = order::complaints(&tree(), &table(FOLDERS));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn files_of_a_folder_use_each_other_in_no_circle() {
    let circles = order::circles(&tree());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn crate_enters_in_one_module() {
    let manifest: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let dependencies = manifest["dependencies"].as_table().expect("dependencies").keys();
    let names: BTreeSet<String> = dependencies.map(|name| name.replace('-', "_")).collect();
    let tree = tree();
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in tree.modules.values() {
        for name in tree.crates(module, &names) {
            users.entry(name).or_default().insert(order::folder_of(&module.path));
        }
    }
    for name in &names {
        let users: Vec<&str> = users.get(name.as_str()).into_iter().flatten().copied().collect();
        assert!(!users.is_empty(), "{name} is not used");
        if EVERYWHERE.contains(&&**name) {
            continue;
        }
        match SHARED.iter().find(|(shared, _)| shared == name) {
            Some((_, modules)) => {
                let modules: Vec<&str> = modules.iter().map(|(module, _)| *module).collect();
                assert_eq!(users, modules, "modules that {name} enters in, and those with a reason to");
            }
            None => assert_eq!(users.len(), 1, "{name} enters in {users:?}"),
        }
    }
}

#[test]
fn unsafe_code_stays_at_the_kernel_edge() {
    for (file, text) in sources().iter().filter(|(_, text)| Shape::of(text).has_unsafe_code) {
        assert!(UNSAFE.iter().any(|edge| file.starts_with(edge)), "sensor/{file} has unsafe code");
        assert!(text.contains("SAFETY:"), "sensor/{file}: unsafe code without SAFETY:");
    }
}

#[test]
fn files_stay_small() {
    for (file, text) in code() {
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{file} has {lines} lines: look for its second concern");
    }
}

#[test]
fn functions_stay_short() {
    let mut long = BTreeSet::new();
    for (file, text) in code() {
        let functions = if file.ends_with(".rs") { Shape::of(&text).functions } else { functions_of_c(&text) };
        for (name, lines) in functions.into_iter().filter(|(_, lines)| *lines > MOST_LINES_OF_A_FUNCTION) {
            let name = format!("{file}: {name}");
            assert!(LONG_FUNCTIONS.contains(&&*name), "{name} has {lines} lines: look for its second concern");
            long.insert(name);
        }
    }
    for name in LONG_FUNCTIONS {
        assert!(long.contains(*name), "{name} is short now: take it out of LONG_FUNCTIONS");
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
