//! Golden files: a normal run compares with them, `make golden` writes them anew.

use std::fs;
use std::path::Path;

/// Stands in golden files for the version of the program.
const VERSION: &str = "%VERSION%";

/// Compares with the file at `path` (from the root of the repository), or writes it when `DNSTRAIL_GOLDEN` says
/// `renew`. A text that differs is left in the target folder. The file has no version of the program.
#[track_caller]
pub fn compare(path: &str, actual: &str) {
    compare_with(path, actual, without_version);
}

/// The same, for a file in which every byte counts.
#[track_caller]
pub fn compare_exactly(path: &str, actual: &str) {
    compare_with(path, actual, str::to_owned);
}

#[track_caller]
fn compare_with(path: &str, actual: &str, kept: fn(&str) -> String) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if is_renewed() {
        let folder = golden.parent().expect("a folder");
        fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        fs::write(&golden, kept(actual)).unwrap_or_else(|error| panic!("{path}: {error}"));
        return;
    }
    let (expected, compared) = (fs::read_to_string(&golden).unwrap_or_default(), kept(actual));
    if expected != compared {
        let left = Path::new(env!("CARGO_TARGET_TMPDIR")).join(path);
        fs::create_dir_all(left.parent().expect("a folder")).expect("the target folder can be written");
        fs::write(&left, actual).expect("the target folder can be written");
        let at = expected.bytes().zip(compared.bytes()).take_while(|(one, other)| one == other).count();
        panic!("{} is not {path}, from byte {at} on; make golden renews it", left.display());
    }
}

/// Whether golden files are written in this run.
pub fn is_renewed() -> bool {
    match std::env::var("DNSTRAIL_GOLDEN") {
        Ok(value) if value == "renew" => true,
        Ok(value) => panic!("DNSTRAIL_GOLDEN={value}: only `renew` has a meaning"),
        Err(_) => false,
    }
}

/// The version is replaced only where documents and messages carry it, so that no other number is taken for it.
fn without_version(text: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    text.replace(&format!("version\":\"{version}\""), &format!("version\":\"{VERSION}\""))
        .replace(&format!("dnstrail {version} "), &format!("dnstrail {VERSION} "))
}

#[test]
fn versions_are_replaced_where_they_are_versions() {
    let text = concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\",\"ip\":\"", env!("CARGO_PKG_VERSION"), "\"}");
    let wanted = concat!("{\"version\":\"%VERSION%\",\"ip\":\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(without_version(text), wanted);
}
