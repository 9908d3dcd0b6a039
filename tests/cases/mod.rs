//! Cases as folders: one runner runs the program in each and compares its output. `tests/cases/README.md` says how
//! to add one.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::golden;

/// A document without the parts that depend on the host and its speed, its names in alphabetical order. Other lines are
/// left as they are.
fn comparable(line: &str) -> String {
    let Ok(Value::Object(mut document)) = serde_json::from_str(line) else { return line.to_owned() };
    for part in ["agent", "elapsed", "host"] {
        document.remove(part);
    }
    Value::Object(document).to_string()
}

fn run(case: &Path) -> Output {
    let file = case.join("command");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnstrail"));
    command.current_dir(case).args(text.split_whitespace());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DNSTRAIL_")) {
        command.env_remove(name);
    }
    command.output().expect("dnstrail starts")
}

/// The output of a case as its golden file has it: lines of standard output, then those of standard error, then the
/// exit status where it is not 0.
fn shown(output: &Output) -> String {
    let [said, complained] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let mut shown: Vec<String> = said.lines().map(comparable).collect();
    shown.extend(complained.lines().map(|line| format!("stderr: {line}")));
    if !output.status.success() {
        shown.push(output.status.to_string());
    }
    shown.join("\n") + "\n"
}

#[test]
fn every_case_gives_its_golden_lines() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = fs::read_dir(&folder).expect("tests/cases").map(|entry| entry.expect("an entry").path());
    let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} has no folder", folder.display());
    for case in cases {
        let name = case.file_name().expect("a name").to_string_lossy();
        assert!(
            case.join("README.md").exists(),
            "tests/cases/{name}/README.md is missing: say where the input comes from"
        );
        golden::compare(&format!("tests/cases/{name}/golden"), &shown(&run(&case)));
    }
}
