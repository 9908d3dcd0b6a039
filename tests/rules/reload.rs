//! Reloads: good lists stay in force, no match is missed meanwhile, memory comes back.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dnstrail::rules::{self, ListReport, Load, Reload, Rules};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{address_hits, directory, hit, load};
use crate::support::memory::{is_alone, resident};

#[path = "../../benches/listed_names.rs"]
mod listed_names;

/// A way to spoil a list: its name, how it is done, and a part of the report.
type Spoil = (&'static str, fn(&Path), &'static str);

const SPOILS: &[Spoil] = &[
    ("gone", |path| fs::remove_file(path).unwrap(), "cannot be read"),
    (
        "a directory",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "no list file",
    ),
    ("empty", |path| fs::write(path, "").unwrap(), "is empty"),
    ("only remarks", |path| fs::write(path, "# none today\n\n").unwrap(), "is empty"),
    ("binary", |path| fs::write(path, b"\x7fELF\x02\x01\x01\0\0\0\0").unwrap(), "binary"),
    ("an error page", |path| fs::write(path, "<html>\n<body>Not found</body>\n</html>\n").unwrap(), "no known format"),
    ("packed and cut", |path| fs::write(path, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 75]).unwrap(), "cannot be read"),
    ("1 GB of one line of zeros", |path| File::create(path).unwrap().set_len(1 << 30).unwrap(), "binary"),
    ("1 GB of one line", one_line, "16 MiB"),
];

/// A line that begins like a list and does not end: 40 MB of text, then a hole up to 1 GB.
fn one_line(path: &Path) {
    let mut file = File::create(path).unwrap();
    file.write_all(b"first.example\n").unwrap();
    for _ in 0..40 {
        file.write_all(&vec![b'a'; 1 << 20]).unwrap();
    }
    file.set_len(1 << 30).unwrap();
}

#[test]
fn a_spoilt_list_leaves_the_last_good_one_in_force() {
    for (what, spoil, reason) in SPOILS {
        let directory = directory(&[("bad.txt", "evil.example\n192.0.2.7\n"), ("other.txt", "other.example\n")]);
        let paths = [directory.path().join("bad.txt"), directory.path().join("other.txt")];
        let first = rules::load(&paths, None).complete().unwrap();
        spoil(&paths[0]);
        fs::write(&paths[1], "changed.example\n").unwrap();
        let start = Instant::now();
        let second = rules::load(&paths, Some(&first.rules));
        assert!(start.elapsed() < Duration::from_secs(5), "{what}: {:?}", start.elapsed());
        let report = &second.lists[0];
        assert!(report.kept && report.error.as_ref().unwrap().to_string().contains(reason), "{what}: {report:?}");
        assert_eq!((report.counts.names, report.counts.addresses), (1, 1), "{what}");
        assert_eq!(report.version, first.lists[0].version);
        for rules in [&second.rules, &rules::load(&paths, Some(&second.rules)).rules] {
            assert_eq!(hit(rules, "evil.example"), Some((1, "evil.example".into())), "{what}");
            assert_eq!(address_hits(rules, "192.0.2.7"), [(2, "192.0.2.7".into())], "{what}");
            assert_eq!(hit(rules, "changed.example").map(|hit| hit.0), Some(1), "{what}: the other list is new");
            assert_eq!(hit(rules, "other.example"), None);
        }
    }
}

#[test]
fn metadata_and_exceptions_survive_with_their_list() {
    let directory = directory(&[
        ("l.json", "{\"value\":\"evil.example\",\"uuid\":\"u\"}\n"),
        ("a.txt", "||evil.example^\n@@||ok.evil.example^\n"),
    ]);
    let first = load(directory.path());
    fs::write(directory.path().join("l.json"), "").unwrap();
    fs::write(directory.path().join("a.txt"), "").unwrap();
    let second = rules::load(&[directory.path().to_owned()], Some(&first.rules));
    let matches = second.rules.matches_of_name("x.evil.example");
    assert_eq!(matches.iter().map(|entry| entry.list.id.as_str()).collect::<Vec<_>>(), ["a", "l"]);
    assert_eq!(matches[1].metadata.as_ref().unwrap().uuid.as_deref(), Some("u"));
    assert_eq!(second.rules.matches_of_name("ok.evil.example")[0].list.id, "l");
}

#[test]
fn an_empty_list_is_taken_where_that_is_wanted() {
    let directory = directory(&[
        ("rules.toml", "[[list]]\nid = \"l\"\npath = \"l.txt\"\nallow_empty = true\n"),
        ("l.txt", "evil.example\n"),
    ]);
    let first = load(directory.path());
    fs::write(directory.path().join("l.txt"), "").unwrap();
    let second = rules::load(&[directory.path().to_owned()], Some(&first.rules));
    assert!(second.lists[0].error.is_none());
    assert_eq!(hit(&second.rules, "evil.example"), None);
}

#[test]
fn a_broken_rules_toml_keeps_every_list_and_a_removed_list_goes() {
    let text = "[[list]]\nid = \"a\"\npath = \"a.txt\"\n[[list]]\nid = \"b\"\npath = \"b.txt\"\n";
    let directory = directory(&[("rules.toml", text), ("a.txt", "a.example\n"), ("b.txt", "b.example\n")]);
    let manifest = directory.path().join("rules.toml");
    let first = load(&manifest);
    fs::write(&manifest, "[[list]\n").unwrap();
    let second = rules::load(std::slice::from_ref(&manifest), Some(&first.rules));
    assert!(
        second
            .lists
            .iter()
            .all(|list: &ListReport| list.kept && list.error.as_ref().unwrap().to_string().contains("rules.toml:1:"))
    );
    assert!(hit(&second.rules, "a.example").is_some() && hit(&second.rules, "b.example").is_some());
    fs::write(&manifest, "[[list]]\nid = \"b\"\npath = \"b.txt\"\n").unwrap();
    let third = rules::load(&[manifest], Some(&second.rules));
    assert_eq!(hit(&third.rules, "a.example"), None);
    assert!(hit(&third.rules, "b.example").is_some());
}

fn wait(reload: &Reload) {
    let mut descriptors = [PollFd::new(reload.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut descriptors, PollTimeout::from(10_000_u16)).unwrap(), 1, "a reload that does not end");
}

/// 1,000 reloads while names are looked up without pause: what is listed in every version hits every
/// time, and memory does not grow.
#[test]
fn a_thousand_reloads_miss_nothing_and_give_memory_back() {
    const RELOADS: u32 = 1_000;
    const NAMES: u32 = 500;
    if !is_alone("rules::reload::a_thousand_reloads_miss_nothing_and_give_memory_back") {
        return;
    }
    let directory = directory(&[]);
    let path = directory.path().join("list.txt");
    let write = |version: u32| {
        let mut text = format!("version{version}.example\n");
        for number in 0..NAMES {
            text.push_str(&listed_names::name(number));
            text.push('\n');
        }
        let new = directory.path().join("new.tmp");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
    };
    write(0);
    let paths = vec![path.clone()];
    let mut rules: Arc<Rules> = rules::load(&paths, None).complete().unwrap().rules;
    let listed: Vec<String> = (0..NAMES).map(|number| format!("www.{}", listed_names::name(number))).collect();
    let mut hits = Vec::new();
    let (mut lookups, mut matched) = (0_u64, 0_u64);
    let mut settled = 0;
    let start = Instant::now();
    for version in 1..=RELOADS {
        write(version);
        let reload = Reload::start(paths.clone(), rules.clone()).unwrap();
        let mut turn = 0;
        // At 20,000 lookups a second and more, as long as the reload takes.
        while !reload.is_finished() || turn < 20 {
            for name in listed.iter().cycle().skip(turn * 97 % listed.len()).take(100) {
                rules.match_name(name, &mut hits);
                matched += hits.len() as u64;
                hits.clear();
                lookups += 1;
            }
            turn += 1;
        }
        wait(&reload);
        let Load { rules: new, lists, .. } = reload.finish().expect("a reload");
        assert!(lists[0].error.is_none());
        rules = new;
        assert!(hit(&rules, &format!("version{version}.example")).is_some(), "the newest version is in force");
        if version == RELOADS / 10 {
            settled = resident();
        }
    }
    assert_eq!(matched, lookups, "a lookup missed");
    let seconds = start.elapsed().as_secs() + 1;
    assert!(lookups / seconds > 20_000, "only {} lookups a second", lookups / seconds);
    assert_at_most(settled + (8 << 20));
}

/// A large set replaced by a small one gives its memory back at once.
#[test]
fn a_large_set_gives_its_memory_back() {
    if !is_alone("rules::reload::a_large_set_gives_its_memory_back") {
        return;
    }
    let directory = directory(&[]);
    let path = directory.path().join("list.txt");
    let paths: Vec<PathBuf> = vec![path.clone()];
    // The memory that any load leaves behind does not count, nor that of code which runs for the first time.
    fs::write(&path, "warm.example\n").unwrap();
    let warm = rules::load(&paths, None).rules;
    let text: String = (0..500_000).map(|number| listed_names::name(number) + "\n").collect();
    fs::write(&path, text).unwrap();
    let before = resident();
    let large = rules::load(&paths, Some(&warm)).complete().unwrap();
    assert_eq!(large.rules.names(), 500_000);
    let size = resident() - before;
    assert!(size > 8 << 20, "a set of {size} bytes shows nothing");
    fs::write(&path, "small.example\n").unwrap();
    let small = rules::load(&paths, Some(&large.rules)).rules;
    drop(large);
    assert!(hit(&small, "small.example").is_some());
    assert_at_most(before + size / 2);
}

fn assert_at_most(bytes: u64) {
    let now = resident();
    assert!(now <= bytes, "{now} bytes, and not {bytes}");
}
