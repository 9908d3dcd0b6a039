//! Changes of lists that a watcher notices.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dnstrail::rules::{self, Watcher};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::directory;

/// Whether a change is noticed within `patience`, as the loop would notice it.
fn notices(watcher: &mut Watcher, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let now = Instant::now();
        if watcher.is_due(now) {
            return true;
        }
        if now >= end {
            return false;
        }
        let wait = watcher.timeout(now).unwrap_or(patience).min(end - now) + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(wait).unwrap();
        if poll(&mut [PollFd::new(watcher.as_fd(), PollFlags::POLLIN)], timeout).unwrap() > 0 {
            watcher.read(Instant::now());
        }
    }
}

fn watcher(path: &Path) -> Watcher {
    let load = rules::load(&[PathBuf::from(path)], None).complete().unwrap();
    let mut watcher = Watcher::new(load.watch, Instant::now()).unwrap();
    assert!(!notices(&mut watcher, Duration::from_millis(400)), "nothing has changed yet");
    watcher
}

/// A change of a list: its name, and how it is made.
type Change = (&'static str, fn(&Path));

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(700);

#[test]
fn a_list_written_in_place_or_replaced_is_noticed_and_its_neighbours_are_not() {
    let directory = directory(&[("list.txt", "a.example\n")]);
    let path = directory.path().join("list.txt");
    let changes: [Change; 5] = [
        ("written in place", |path| fs::write(path, "b.example\n").unwrap()),
        ("an editor's rename", |path| {
            let backup = path.with_file_name("list.txt~");
            fs::rename(path, backup).unwrap();
            fs::write(path, "c.example\n").unwrap();
        }),
        ("a download's rename", |path| {
            let part = path.with_file_name("part");
            fs::write(&part, "d.example\n").unwrap();
            fs::rename(part, path).unwrap();
        }),
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("there again", |path| fs::write(path, "e.example\n").unwrap()),
    ];
    let mut watcher = watcher(&path);
    for (what, change) in changes {
        fs::write(directory.path().join("neighbour"), what).unwrap();
        assert!(!notices(&mut watcher, SHORT), "{what}: only a neighbour has changed");
        change(&path);
        assert!(notices(&mut watcher, LONG), "{what}");
        let load = rules::load(std::slice::from_ref(&path), None);
        watcher.renew(load.watch, Instant::now());
    }
}

#[test]
fn a_directory_gains_and_loses_lists() {
    let directory = directory(&[("a.txt", "a.example\n")]);
    let mut watcher = watcher(directory.path());
    fs::write(directory.path().join("b.txt"), "b.example\n").unwrap();
    assert!(notices(&mut watcher, LONG));
    let load = rules::load(&[directory.path().to_owned()], None);
    assert_eq!(load.lists.len(), 2);
    watcher.renew(load.watch, Instant::now());
    fs::write(directory.path().join("b.txt"), "bb.example\n").unwrap();
    assert!(notices(&mut watcher, LONG), "a list in the directory");
    watcher.renew(rules::load(&[directory.path().to_owned()], None).watch, Instant::now());
    fs::remove_file(directory.path().join("a.txt")).unwrap();
    assert!(notices(&mut watcher, LONG), "a list less");
}

#[test]
fn rules_toml_and_the_lists_it_names_are_watched() {
    let directory = directory(&[("rules.toml", "[[list]]\nid = \"l\"\npath = \"lists/l.txt\"\n")]);
    fs::create_dir(directory.path().join("lists")).unwrap();
    let list = directory.path().join("lists/l.txt");
    fs::write(&list, "a.example\n").unwrap();
    let manifest = directory.path().join("rules.toml");
    let mut first = watcher(&manifest);
    fs::write(&list, "b.example\n").unwrap();
    assert!(notices(&mut first, LONG), "the list");
    let mut second = watcher(&manifest);
    fs::write(&manifest, "[[list]]\nid = \"m\"\npath = \"lists/l.txt\"\n").unwrap();
    assert!(notices(&mut second, LONG), "rules.toml");
}

/// As Kubernetes replaces a `ConfigMap`: `list.txt → ..data/list.txt`, `..data → ..1`, then one rename.
#[test]
fn a_link_that_is_swapped_is_noticed() {
    let directory = directory(&[]);
    let at = |name: &str| directory.path().join(name);
    for (version, text) in [("..1", "a.example\n"), ("..2", "b.example\n")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("list.txt"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/list.txt", at("list.txt")).unwrap();
    for path in [at("list.txt"), directory.path().to_owned()] {
        let mut watcher = watcher(&path);
        let target = if fs::read_link(at("..data")).unwrap() == Path::new("..1") { "..2" } else { "..1" };
        symlink(target, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(notices(&mut watcher, LONG), "{}", path.display());
    }
}

/// A change between reading the lists and watching them is not lost.
#[test]
fn a_change_before_the_watch_is_noticed() {
    let directory = directory(&[("list.txt", "a.example\n")]);
    let path = directory.path().join("list.txt");
    let load = rules::load(std::slice::from_ref(&path), None);
    fs::write(&path, "changed.example\n").unwrap();
    let mut watcher = Watcher::new(load.watch, Instant::now()).unwrap();
    assert!(notices(&mut watcher, LONG));
}

#[test]
fn a_directory_that_is_replaced_is_found_again() {
    let directory = directory(&[]);
    let lists = directory.path().join("lists");
    fs::create_dir(&lists).unwrap();
    fs::write(lists.join("l.txt"), "a.example\n").unwrap();
    let mut watcher = watcher(&lists);
    fs::rename(&lists, directory.path().join("old")).unwrap();
    assert!(notices(&mut watcher, LONG), "gone");
    let gone = rules::load(std::slice::from_ref(&lists), None);
    watcher.renew(gone.watch, Instant::now());
    fs::create_dir(&lists).unwrap();
    fs::write(lists.join("l.txt"), "b.example\n").unwrap();
    assert!(notices(&mut watcher, LONG), "there again");
}

#[test]
fn the_first_list_of_an_empty_directory_is_noticed() {
    for name in ["list.txt", "rules.toml"] {
        let directory = directory(&[]);
        let mut watcher = watcher(directory.path());
        fs::write(directory.path().join(name), "evil.example\n").unwrap();
        assert!(notices(&mut watcher, LONG), "{name}");
    }
}
