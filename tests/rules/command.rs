//! `dnstrail rules check` and `dnstrail rules lookup`, as text and as JSON.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::{Value, json};

use super::{check, directory, dnstrail, load};

fn lookup(rules: &Path, names: &[&str]) -> String {
    let (code, out) = dnstrail(
        ["rules", "lookup", "--rules"]
            .map(OsStr::new)
            .into_iter()
            .chain([rules.as_os_str()])
            .chain(names.iter().map(OsStr::new)),
    );
    assert_eq!(code, 0, "{out}");
    out
}

#[test]
fn check_is_a_table_or_json() {
    let directory = directory(&[("good.txt", "evil.example\nbad..example\ntwo words\n"), ("bad.txt", "\0\0\0")]);
    let good = [directory.path().join("good.txt")];
    let (code, text) = check(&good, &[]);
    assert_eq!(code, 0);
    assert!(text.contains(&format!("{}:2: an empty label", good[0].display())), "{text}");
    assert!(text.contains("1 lists, 1 names and 0 addresses"), "{text}");

    let (code, text) = check(&[directory.path()], &["--json"]);
    assert_eq!(code, 1);
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["usable"], false);
    assert_eq!(json["lists"][1]["skipped"], 2);
    assert_eq!(json["lists"][1]["problems"][1]["line"], 3);
    assert!(json["lists"][0]["error"].as_str().unwrap().contains("binary"));
}

#[test]
fn lookup_takes_every_spelling_and_names_the_line() {
    let directory =
        directory(&[("l.txt", "# x\nb\u{fc}cher.example\n||evil.example^\n@@||ok.evil.example^\n192.0.2.0/24\n")]);
    let path = directory.path().join("l.txt");
    for name in ["BÜCHER.example.", "xn--bcher-kva.example", "www.b\u{fc}cher.example", "https://bücher.example/x"] {
        let text = lookup(&path, &[name]);
        assert!(text.contains(&format!("xn--bcher-kva.example in list l ({}:2)", path.display())), "{text}");
    }
    assert!(lookup(&path, &["EVIL.example"]).contains("evil.example in list l"));
    let text = lookup(&path, &["a.ok.evil.example"]);
    assert!(text.contains("no match of that list: ok.evil.example in list l") && text.contains(":4)"), "{text}");
    assert_eq!(lookup(&path, &["free.example"]), "free.example: not listed\n");
    assert!(lookup(&path, &["192.0.2.9"]).contains("192.0.2.0/24 in list l"));
    assert!(lookup(&path, &["192.0.2.0/25"]).contains("ask for one address"));
    assert!(lookup(&path, &["a..b"]).contains("no name"));
}

#[test]
fn lookup_as_json_is_an_object_a_name() {
    let manifest = "[[list]]\nid = \"k\"\npath = \"k.json\"\nseverity = 70\ncategory = \"c2\"\nfeed = \"Feed\"\n\
                    [[list]]\nid = \"a\"\npath = \"a.txt\"\n";
    let directory = directory(&[
        ("rules.toml", manifest),
        ("k.json", "{\"value\":\"evil.example\",\"uuid\":\"u\"}\n"),
        ("a.txt", "192.0.2.0/24\n@@||ok.evil.test^\n"),
    ]);
    let load = load(directory.path());
    let names = ["WWW.evil.example.", "192.0.2.9", "ok.evil.test", "free.example", "a..b"];
    let text = lookup(directory.path(), &[&names[..], &["--json"]].concat());
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let version = |id: &str| load.lists.iter().find(|list| list.id == id).unwrap().version.clone();
    let answer = |name: &str, listed, allowed, matches, exceptions| json!({"name": name, "listed": listed, "allowed": allowed, "matches": matches, "exceptions": exceptions});
    let none = json!([]);
    let evil = json!([{
        "indicator": "evil.example", "list": "k", "path": path("k.json"), "line": 1, "version": version("k"),
        "category": "c2", "feed": "Feed", "uuid": "u", "severity": 70,
    }]);
    let of_a = |indicator: &str, line| {
        json!([{
            "indicator": indicator, "list": "a", "path": path("a.txt"), "line": line, "version": version("a"),
        }])
    };
    assert_eq!(answers[0], answer(names[0], true, false, evil, none.clone()));
    assert_eq!(answers[1], answer(names[1], true, false, of_a("192.0.2.0/24", 1), none.clone()));
    assert_eq!(answers[2], answer(names[2], false, true, none.clone(), of_a("ok.evil.test", 2)));
    assert_eq!(answers[3], answer(names[3], false, false, none.clone(), none));
    assert!(answers[4]["listed"] == false && answers[4]["error"].as_str().unwrap().contains("no name"));
}

/// Characters that a terminal obeys: ESC, DEL, a C1 control, and marks that turn text around.
const OBEYED: [char; 5] = ['\u{1b}', '\u{7f}', '\u{9b}', '\u{202e}', '\u{2066}'];

/// Ids, file names, lines of lists and errors reached a terminal as they were.
#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let hostile: String = OBEYED.iter().collect();
    let file = format!("l{hostile}.txt");
    let manifest = format!(
        "[[list]]\nid = \"\\u001b\\u007f\\u009b\\u202e\\u2066\"\npath = \"{}\"\n[[list]]\nid = \"b\"\npath = \"b\\u001b\\u202e.txt\"\n",
        file.replace('\u{1b}', "\\u001b").replace('\u{7f}', "\\u007f")
    );
    let directory = directory(&[
        ("rules.toml", &manifest),
        (&file, &format!("evil.example\nwrong {hostile}\n{hostile}\n")),
        (
            &format!("m{hostile}.json"),
            &format!("{{\"value\":\"json.example\",\"comment\":\"{}\"}}\n", hostile.replace('\u{1b}', "\\u001b")),
        ),
    ]);
    let json_list = directory.path().join(format!("m{hostile}.json"));
    let outputs = [
        check(&[directory.path()], &[]).1,
        check(&[directory.path()], &["--json"]).1,
        lookup(&json_list, &["json.example", &format!("no{hostile}name")]),
        lookup(&json_list, &["json.example", &format!("no{hostile}name"), "--json"]),
    ];
    for out in outputs {
        let left: Vec<char> = OBEYED.into_iter().filter(|control| out.contains(*control)).collect();
        assert!(left.is_empty(), "{left:?} in {out}");
        assert!(out.contains("\\u{202e}") || out.contains("\\u202e"), "{out}");
    }
}

/// JSON gave up on a file name that is not UTF-8.
#[test]
fn json_takes_a_file_name_that_is_no_text() {
    let directory = directory(&[]);
    let path = directory.path().join(OsStr::from_bytes(b"caf\xe9.txt"));
    fs::write(&path, "evil.example\nno name\n").unwrap();
    fs::create_dir(directory.path().join(OsStr::from_bytes(b"d\xff"))).unwrap();
    let (code, text) = check(&[directory.path()], &["--json"]);
    assert_eq!(code, 0, "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert!(json["lists"][0]["path"].as_str().unwrap().ends_with("caf\u{fffd}.txt"), "{text}");
    assert!(json["ignored"][0].as_str().unwrap().ends_with("d\u{fffd}"), "{text}");
    let text = lookup(&path, &["evil.example", "--json"]);
    assert!(serde_json::from_str::<Value>(&text).unwrap()["listed"] == true, "{text}");
}

/// Directories below a directory of lists were passed over without a word.
#[test]
fn what_is_passed_over_is_named() {
    let directory = directory(&[("a.txt", "evil.example\n"), ("README.md", "x")]);
    for name in ["malware", ".git"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    let (code, text) = check(&[directory.path()], &[]);
    assert_eq!(code, 0);
    assert!(text.contains(&format!("{}/malware: is no list file", directory.path().display())), "{text}");
    assert!(!text.contains(".git") && !text.contains("README"), "{text}");
}

/// An error repeated the reason that the system gave.
#[test]
fn errors_say_once_what_is_wrong() {
    let directory = directory(&[("rules.toml", "[[list]]\nid = \"l\"\npath = \"gone.txt\"\n")]);
    for path in [directory.path().join("missing"), directory.path().to_owned()] {
        let (_, text) = check(std::slice::from_ref(&path), &[]);
        assert_eq!(text.matches("os error 2").count(), 1, "{text}");
        let (code, text) =
            dnstrail(["rules", "lookup", "x.example", "--rules"].map(OsStr::new).into_iter().chain([path.as_os_str()]));
        assert_eq!((code, text.matches("os error 2").count()), (2, 1), "{text}");
    }
}
