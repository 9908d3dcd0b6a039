//! Blocklists, from files to matches.

mod command;
mod formats;
mod hostile;
mod manifest;
mod property;
mod reload;
mod watch;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dnstrail::rules::{self, Load, Rules};

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    directory
}

fn load(path: &Path) -> Load {
    rules::load(&[PathBuf::from(path)], None)
}

/// One list of this text.
fn load_text(text: impl AsRef<[u8]>) -> Load {
    let directory = directory(&[]);
    let path = directory.path().join("list.txt");
    fs::write(&path, text).expect("a list");
    load(&path)
}

/// List, line and entry of each hit.
fn hits(rules: &Rules, name: &str) -> Vec<(String, u32, String)> {
    rules.matches_of_name(name).iter().map(|hit| (hit.list.id.clone(), hit.line, hit.indicator.to_string())).collect()
}

/// Line and entry of the only hit of a name.
fn hit(rules: &Rules, name: &str) -> Option<(u32, String)> {
    let mut hits = hits(rules, name);
    assert!(hits.len() <= 1, "{hits:?}");
    hits.pop().map(|(_, line, indicator)| (line, indicator))
}

fn address_hits(rules: &Rules, address: &str) -> Vec<(u32, String)> {
    let hits = rules.matches_of_address(address.parse().expect("an address"));
    hits.iter().map(|hit| (hit.line, hit.indicator.to_string())).collect()
}

/// Exit code, and what the program wrote to both outputs.
fn dnstrail(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_dnstrail")).args(arguments).output().expect("dnstrail");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("an exit code"), String::from_utf8(text).expect("UTF-8"))
}

fn check(paths: &[impl AsRef<OsStr>], options: &[&str]) -> (i32, String) {
    let words = ["rules", "check"].into_iter().chain(options.iter().copied()).map(OsStr::new);
    dnstrail(words.chain(paths.iter().map(AsRef::as_ref)))
}
