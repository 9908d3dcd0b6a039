//! Lists that are named by a `rules.toml`, a directory or a single file, and the settings of each.

use dnstrail::rules::{self, Metadata};

use super::{check, directory, hit, hits, load};

const LISTS: &[(&str, &str)] = &[
    ("a.txt", "evil.example\nx.deep.evil.example\nok.example\n"),
    ("b.txt", "0.0.0.0 deep.evil.example\n"),
    ("allow.txt", "good.evil.example\nok.example\n192.0.2.1\n"),
];

#[test]
fn every_key_has_its_effect() {
    let directory = directory(LISTS);
    let path = directory.path().join("rules.toml");
    let text = r#"
[[list]]
id = "a"
name = "List A"
path = "a.txt"
severity = 70
category = "malware"
reference = "https://feed.example/a"
feed = "Feed"

[[list]]
id = "b"
path = "b.txt"
format = "hosts"
match = "exact"

[[list]]
id = "off"
path = "missing.txt"
enabled = false

[[list]]
id = "never"
path = "allow.txt"
action = "allow"

[[list]]
id = "kunai"
path = "k.json"
severity_max = 10

[[list]]
id = "broad"
path = "broad.txt"
allow_broad = true
url_hosts = true

[[list]]
id = "empty"
path = "empty.txt"
allow_empty = true

[[list]]
id = "second-column"
path = "c.csv"
format = "csv"
column = "2"
"#;
    for (name, text) in [
        ("rules.toml", text),
        ("k.json", "{\"value\":\"k.example\",\"severity\":7}\n"),
        ("broad.txt", "zip\nhttps://page.example/x\n"),
        ("empty.txt", "# nothing\n"),
        ("c.csv", "1,column.example\n"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let load = load(&path).complete().unwrap();
    let rules = &load.rules;
    // Every list with a match is named, the longest match first, and each list with its longest match only.
    assert_eq!(
        hits(rules, "deep.evil.example"),
        [("b".into(), 1, "deep.evil.example".into()), ("a".into(), 1, "evil.example".into())]
    );
    assert_eq!(hits(rules, "x.deep.evil.example"), [("a".into(), 2, "x.deep.evil.example".into())]);
    // Exceptions win over longer and over shorter entries.
    assert_eq!(hits(rules, "good.evil.example"), []);
    assert_eq!(hits(rules, "x.good.evil.example"), []);
    assert_eq!(hits(rules, "ok.example"), []);
    assert_eq!(hit(rules, "any.zip").map(|hit| hit.1), Some("zip".into()));
    assert_eq!(hit(rules, "page.example").map(|hit| hit.0), Some(2));
    assert_eq!(hit(rules, "column.example").map(|hit| hit.0), Some(1));
    let found = rules.matches_of_name("evil.example");
    let list = &found[0].list;
    assert_eq!((list.id.as_str(), list.name.as_str(), list.severity), ("a", "List A", Some(70)));
    assert_eq!((list.category.as_deref(), list.feed.as_deref()), (Some("malware"), Some("Feed")));
    assert_eq!(list.reference.as_deref(), Some("https://feed.example/a"));
    assert_eq!(list.version, load.lists[0].version);
    assert_eq!(list.version.len(), 16);
    let found = rules.matches_of_name("k.example");
    assert_eq!(found[0].metadata.as_deref(), Some(&Metadata { severity: Some(70), ..Metadata::default() }));
    assert_eq!(found[0].list.name, "kunai", "a list without a name is called by its id");
    assert!(load.lists.iter().all(|list| list.id != "off"));
}

#[test]
fn what_is_wrong_in_rules_toml_is_named_by_its_line() {
    for (text, line, part) in [
        ("[[list]]\nid = \"a\"\npath = \"a.txt\"\nseverty = 5\n", 4, "severty"),
        ("# x\n[[lists]]\n", 2, "lists"),
        ("[[list]]\nid = \"a\"\npath = \"a.txt\"\nmatch = \"prefix\"\n", 4, "prefix"),
        ("[[list]]\nid = \"a\"\npath = \"a.txt\"\n\n[[list]]\nid = \"a\"\npath = \"b.txt\"\n", 5, "id"),
        ("[[list]]\nid = \"a\"\npath = \"a.txt\"\nseverity = 101\n", 1, "0 to 100"),
        ("[[list]]\nid = \"a\n", 2, ""),
    ] {
        let directory = directory(LISTS);
        let path = directory.path().join("rules.toml");
        std::fs::write(&path, text).unwrap();
        let error = load(&path).complete().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}:{line}: ", path.display())) && error.contains(part), "{error}");
    }
}

#[test]
fn a_directory_is_its_lists_and_its_rules_toml_goes_first() {
    let directory = directory(LISTS);
    for other in ["README.md", ".hidden", "a.txt~", "notes.bak"] {
        std::fs::write(directory.path().join(other), "other.example\n").unwrap();
    }
    let ids = |load: &rules::Load| load.lists.iter().map(|list| list.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&load(directory.path()).complete().unwrap()), ["a", "allow", "b"]);
    std::fs::write(directory.path().join("rules.toml"), "[[list]]\nid = \"one\"\npath = \"b.txt\"\n").unwrap();
    assert_eq!(ids(&load(directory.path()).complete().unwrap()), ["one"]);
    // The same file twice: each has its own id.
    let path = directory.path().join("a.txt");
    assert_eq!(ids(&rules::load(&[path.clone(), path], None)), ["a", "a-2"]);
}

#[test]
fn the_first_start_names_the_file_and_the_remedy() {
    let directory = directory(&[("empty.txt", "# nothing\n"), ("prose.txt", "Sorry, this page is gone.\n")]);
    for (name, remedy) in
        [("missing.txt", "correct the path"), ("empty.txt", "allow_empty"), ("prose.txt", "set its format")]
    {
        let path = directory.path().join(name);
        let error = load(&path).complete().unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains(remedy), "{error}");
    }
}

#[test]
fn an_empty_directory_waits_for_its_first_list() {
    let directory = directory(&[("README.md", "# Lists go here\n")]);
    let paths = [directory.path().to_owned()];
    let first = rules::load(&paths, None).complete().unwrap();
    assert_eq!(first.empty, paths);
    assert_eq!(hits(&first.rules, "evil.example"), []);
    let (code, out) = check(&paths, &[]);
    assert_eq!(code, 1, "nothing to check is bad news");
    assert!(out.contains("holds no list file"));

    let list = directory.path().join("list.txt");
    std::fs::write(&list, "evil.example\n").unwrap();
    let second = rules::load(&paths, Some(&first.rules)).complete().unwrap();
    assert_eq!(second.empty, [""; 0].map(std::path::PathBuf::from));
    assert_eq!(hits(&second.rules, "evil.example").len(), 1);

    // One that held a list and becomes empty has lost it.
    std::fs::remove_file(&list).unwrap();
    let third = rules::load(&paths, Some(&second.rules));
    assert!(third.lists[0].kept && third.lists[0].error.as_ref().unwrap().to_string().contains("holds no list file"));
    assert_eq!(hits(&third.rules, "evil.example").len(), 1);

    // A directory that a rules.toml names is meant to hold lists.
    std::fs::create_dir(directory.path().join("named")).unwrap();
    std::fs::write(directory.path().join("rules.toml"), "[[list]]\nid = \"l\"\npath = \"named\"\n").unwrap();
    assert!(rules::load(&paths, None).complete().unwrap_err().to_string().contains("holds no list file"));
}

#[test]
fn the_shipped_examples_are_read_without_a_flaw() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let load = load(&directory).complete().unwrap();
    for list in &load.lists {
        assert_eq!(list.problems, [], "{}", list.path.display());
    }
    let formats: std::collections::HashSet<String> =
        load.lists.iter().filter_map(|list| list.format).map(|format| format.to_string()).collect();
    assert_eq!(formats.len(), rules::Format::ALL.len(), "an example of every format: {formats:?}");
    for (name, list) in [
        ("www.malware.example", "example-plain"),
        ("exact.rpz.example", "example-rpz"),
        ("c2.json.example", "example-json"),
        ("panel.csv.test", "example-csv"),
        ("a.bind.test", "example-bind"),
    ] {
        assert_eq!(hits(&load.rules, name).first().map(|hit| hit.0.as_str()), Some(list), "{name}");
    }
    assert_eq!(hits(&load.rules, "good.malware.example"), []);
    let reserved = ["example", "test", "invalid", "localhost"];
    let text = std::fs::read_to_string(directory.join("examples/plain.txt")).unwrap();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let host = line.rsplit("://").next().unwrap_or_default().split(':').next().unwrap_or_default();
        assert!(host.rsplit('.').next().is_some_and(|top| reserved.contains(&top)), "{line}");
    }
}
