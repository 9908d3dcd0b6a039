//! Lists that mean harm: too large, disguised, speaking for others, or no files at all.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use dnstrail::rules::{self, Format, Load, Rules};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{address_hits, directory, hits, load, load_text};

fn error(load: &Load, index: usize) -> String {
    load.lists[index].error.as_ref().expect("an error").to_string()
}

/// The lists that a name matches.
fn lists(rules: &Rules, name: &str) -> Vec<String> {
    hits(rules, name).into_iter().map(|(list, _, _)| list).collect()
}

/// A small gzip file of one name over and over took gigabytes. It is refused before that, with file,
/// size and bound, and the last good list stays.
#[test]
fn a_packed_list_that_repeats_itself_is_refused() {
    let directory = directory(&[("bomb.txt.gz", "good.example\n")]);
    let path = directory.path().join("bomb.txt.gz");
    let first = load(&path).complete().unwrap();
    let mut packed = GzEncoder::new(File::create(&path).unwrap(), Compression::best());
    let block = "evil.example\n".repeat(100_000);
    for _ in 0..20 {
        packed.write_all(block.as_bytes()).unwrap();
    }
    packed.finish().unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let second = rules::load(std::slice::from_ref(&path), Some(&first.rules));
    let error = error(&second, 0);
    assert!(error.starts_with(&format!("{}: ", path.display())), "{error}");
    assert!(error.contains(&format!("{size} bytes")) && error.contains("more than 16777216 bytes"), "{error}");
    assert_eq!(lists(&second.rules, "good.example"), ["bomb"]);
    assert_eq!(lists(&second.rules, "evil.example"), [""; 0]);
}

/// A list may repeat itself where it is small, and one that is packed well is read.
#[test]
fn a_packed_list_of_different_names_is_read() {
    let directory = directory(&[]);
    let path = directory.path().join("list.gz");
    let mut packed = GzEncoder::new(File::create(&path).unwrap(), Compression::best());
    for number in 0..50_000 {
        writeln!(packed, "name{number}.example").unwrap();
    }
    packed.write_all("name1.example\n".repeat(50_000).as_bytes()).unwrap();
    packed.finish().unwrap();
    let counts = load(&path).complete().unwrap().lists[0].counts;
    assert_eq!((counts.names, counts.duplicates), (50_000, 50_000));
}

/// One adblock rule among thousands of wildcards made all of them patterns, which mean nothing.
#[test]
fn the_majority_of_lines_decides_the_format() {
    let wildcards: String = (0..10_000).map(|number| format!("*.name{number}.example\n")).collect();
    for (text, format) in [
        (format!("||x^\n{wildcards}"), Format::Plain),
        (format!("{wildcards}@@||name7.example^\n"), Format::Plain),
        (format!("0.0.0.0 host.example\n{wildcards}"), Format::Plain),
    ] {
        let load = load_text(&text);
        let report = &load.lists[0];
        assert_eq!(report.format, Some(format));
        assert!(report.counts.names >= 10_000 && report.counts.not_applicable == 0, "{:?}", report.counts);
        assert_eq!(lists(&load.rules, "www.name9999.example"), ["list"]);
        // The lines of the minority mean what they say.
        assert_eq!(lists(&load.rules, "name7.example").is_empty(), text.contains("@@"));
        assert_eq!(lists(&load.rules, "host.example").is_empty(), !text.contains("0.0.0.0 host"));
    }
}

/// A list that says next to nothing is no list, and leaves the last good one in force.
#[test]
fn a_list_that_is_mostly_not_applicable_is_an_error() {
    let directory = directory(&[("l.txt", "||good.example^\n")]);
    let path = directory.path().join("l.txt");
    let first = load(&path).complete().unwrap();
    let rules: String = (0..1_000).map(|number| format!("||page.example/{number}^\n")).collect();
    fs::write(&path, format!("||evil.example^\n{rules}")).unwrap();
    let second = rules::load(std::slice::from_ref(&path), Some(&first.rules));
    let error = error(&second, 0);
    assert!(error.contains("mostly not applicable as adblock") && error.contains("1000 lines, beside 1 "), "{error}");
    assert_eq!(lists(&second.rules, "good.example"), ["l"]);
    // A rules.toml that names the format takes the list as it is.
    fs::write(directory.path().join("rules.toml"), "[[list]]\nid = \"l\"\npath = \"l.txt\"\nformat = \"adblock\"\n")
        .unwrap();
    let third = load(directory.path()).complete().unwrap();
    assert_eq!(lists(&third.rules, "evil.example"), ["l"]);
}

/// An exception of one feed switched off what another feed lists.
#[test]
fn exceptions_hold_for_their_own_list() {
    let directory = directory(&[
        ("feed.txt", "||evil.example^\n||bad.example^\n@@||x.evil.example^\n"),
        (
            "zone.rpz",
            "$TTL 60\nbad.example CNAME rpz-passthru.\n*.evil.example CNAME .\n32.7.2.0.192.rpz-ip CNAME rpz-passthru.\n",
        ),
        ("plain.txt", "bad.example\nevil.example\n192.0.2.0/24\n"),
    ]);
    let load = load(directory.path()).complete().unwrap();
    let of = |name: &str| lists(&load.rules, name);
    assert_eq!(of("bad.example"), ["feed", "plain"], "the zone's passthru is the zone's own");
    assert_eq!(of("x.evil.example"), ["plain", "zone"], "the feed's exception is the feed's own");
    assert_eq!(of("y.evil.example"), ["feed", "plain", "zone"]);
    assert_eq!(address_hits(&load.rules, "192.0.2.7"), [(3, "192.0.2.0/24".into())]);
    let exceptions = load.rules.exceptions_of_name("x.evil.example");
    assert_eq!(exceptions.iter().map(|found| found.for_all_lists).collect::<Vec<_>>(), [false]);
}

#[test]
fn rules_toml_lets_exceptions_hold_for_all() {
    let manifest = |more: &str| {
        format!("[[list]]\nid = \"feed\"\npath = \"feed.txt\"\n{more}\n[[list]]\nid = \"b\"\npath = \"b.txt\"\n")
    };
    let directory = directory(&[("feed.txt", "||evil.example^\n@@||x.evil.example^\n"), ("b.txt", "evil.example\n")]);
    for (more, expected) in
        [("", &["b"][..]), ("exceptions = \"own\"", &["b"]), ("exceptions = \"all\"", &[]), ("action = \"allow\"", &[])]
    {
        fs::write(directory.path().join("rules.toml"), manifest(more)).unwrap();
        let load = load(directory.path()).complete().unwrap();
        assert_eq!(lists(&load.rules, "x.evil.example"), expected, "{more}");
    }
}

/// One line of a feed excepted every address, or every name below a suffix.
#[test]
fn an_exception_may_not_be_broad_either() {
    let zone = "$TTL 60\nevil.example CNAME .\n32.7.2.0.192.rpz-ip CNAME .\n0.0.0.0.0.rpz-ip CNAME rpz-passthru.\n0.zz.rpz-ip CNAME rpz-passthru.\n*.com CNAME rpz-passthru.\n";
    let load = load_text(zone);
    let lines: Vec<u32> = load.lists[0].problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [4, 5, 6], "{:?}", load.lists[0].problems);
    assert_eq!(address_hits(&load.rules, "192.0.2.7"), [(3, "192.0.2.7".into())]);
    let directory = directory(&[
        (
            "rules.toml",
            "[[list]]\nid = \"never\"\npath = \"a.txt\"\naction = \"allow\"\n[[list]]\nid = \"l\"\npath = \"l.txt\"\n",
        ),
        ("a.txt", "com\n::/0\n0.0.0.0/0\n127.0.0.1\nok.example\n"),
        ("l.txt", "evil.com\nok.example\n"),
    ]);
    let load = super::load(directory.path()).complete().unwrap();
    assert_eq!(load.lists[0].counts.skipped, 3, "the address of this host alone is no broad exception");
    assert_eq!((lists(&load.rules, "evil.com"), lists(&load.rules, "ok.example")), (vec!["l".to_owned()], vec![]));
}

/// Loads in another thread: one that waits for ever fails the test instead of stopping it.
fn load_in_time(path: &Path, previous: Option<&Load>) -> Load {
    let (paths, previous) = (vec![PathBuf::from(path)], previous.map(|load| load.rules.clone()));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(rules::load(&paths, previous.as_deref())));
    receiver.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("{}: the load hangs", path.display()))
}

type Special = (&'static str, fn(&Path), &'static str);

const SPECIAL: [Special; 4] = [
    ("a pipe", |path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(), "is a pipe, not a file"),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap()), "is a socket, not a file"),
    ("an endless device", |path| symlink("/dev/zero", path).unwrap(), "is a device, not a file"),
    ("a terminal", |path| symlink("/dev/ptmx", path).unwrap(), "is a device, not a file"),
];

/// A pipe as list or as rules.toml hung start and reload, and a device filled the memory.
#[test]
fn what_is_no_file_hangs_nothing() {
    let manifest = "[[list]]\nid = \"a\"\npath = \"a.txt\"\n[[list]]\nid = \"b\"\npath = \"b.txt\"\n";
    for (what, make, reason) in SPECIAL {
        for special in ["b.txt", "rules.toml"] {
            let directory = directory(&[("rules.toml", manifest), ("a.txt", "a.example\n"), ("b.txt", "b.example\n")]);
            let path = directory.path().join(special);
            let first = load_in_time(directory.path(), None).complete().unwrap();
            fs::remove_file(&path).unwrap();
            make(&path);
            let start = load_in_time(directory.path(), None);
            assert!(start.complete().unwrap_err().to_string().contains(reason), "{what} as {special}");
            let reload = load_in_time(directory.path(), Some(&first));
            assert!(error(&reload, 1).contains(reason), "{what} as {special}: {}", error(&reload, 1));
            assert_eq!(lists(&reload.rules, "a.example"), ["a"], "{what} as {special}");
            assert_eq!(lists(&reload.rules, "b.example"), ["b"], "{what} as {special}");
        }
        // Given by itself; and in a directory of lists, where it is passed over.
        let directory = directory(&[("a.txt", "a.example\n")]);
        let path = directory.path().join("special");
        make(&path);
        assert!(error(&load_in_time(&path, None), 0).contains(reason), "{what}");
        let load = load_in_time(directory.path(), None).complete().unwrap();
        assert_eq!(load.ignored, [path], "{what}");
    }
}

/// The size of a rules.toml is bounded by what is read, not by what the file says.
#[test]
fn a_huge_rules_toml_is_refused() {
    let directory = directory(&[]);
    let path = directory.path().join("rules.toml");
    File::create(&path).unwrap().set_len(3 << 30).unwrap();
    let text = error(&load_in_time(directory.path(), None), 0);
    assert!(text.contains("rules.toml: has more than 4194304 bytes"), "{text}");
}

/// An empty directory under one list stopped the updates of all.
#[test]
fn a_directory_without_lists_concerns_its_own_list_only() {
    let manifest = "[[list]]\nid = \"a\"\npath = \"a.txt\"\n[[list]]\nid = \"many\"\npath = \"many\"\n[[list]]\nid = \"b\"\npath = \"b.txt\"\n";
    let directory = directory(&[("rules.toml", manifest), ("a.txt", "a.example\n"), ("b.txt", "b.example\n")]);
    let many = directory.path().join("many");
    fs::create_dir(&many).unwrap();
    fs::write(many.join("x.txt"), "x.example\n").unwrap();
    fs::write(many.join("y.txt"), "y.example\n").unwrap();
    let first = load(directory.path()).complete().unwrap();
    for name in ["x.txt", "y.txt"] {
        fs::remove_file(many.join(name)).unwrap();
    }
    fs::write(directory.path().join("a.txt"), "changed.example\n").unwrap();
    let paths = [directory.path().to_owned()];
    let mut previous = first.rules;
    for _ in 0..2 {
        let load = rules::load(&paths, Some(&previous));
        let ids: Vec<(&str, bool)> =
            load.lists.iter().map(|list| (list.id.as_str(), list.error.is_some() && list.kept)).collect();
        assert_eq!(ids, [("a", false), ("many/x", true), ("many/y", true), ("b", false)]);
        assert!(error(&load, 1).contains("many: holds no list file"), "{}", error(&load, 1));
        assert_eq!(lists(&load.rules, "changed.example"), ["a"]);
        assert_eq!(lists(&load.rules, "a.example"), [""; 0]);
        assert_eq!(lists(&load.rules, "x.example"), ["many/x"]);
        previous = load.rules;
    }
    // At the first start there is nothing to keep, and the error names the directory.
    let start = load(directory.path());
    assert_eq!(lists(&start.rules, "b.example"), ["b"]);
    assert!(error(&start, 1).contains("many: holds no list file"));
}
