//! The README's outputs and configuration, against the program.

use std::fs;
use std::path::Path;

use dnstrail::cli::{RunArgs, config};
use dnstrail::sink::{PARAMETERS, Target};

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

#[test]
fn every_parameter_of_an_output_has_its_row() {
    let text = readme();
    let rows: Vec<Vec<String>> = text
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.replace("\\|", "¦").split('|').map(|cell| cell.trim().replace('¦', "|")).collect())
        .collect();
    assert_eq!(rows.len(), PARAMETERS.len());
    for (row, parameter) in rows.iter().zip(PARAMETERS) {
        assert_eq!(row[1], format!("`{}`", parameter.name));
        let expected = [&parameter.of(), parameter.values, parameter.default, parameter.meaning];
        assert_eq!([&*row[2], &row[3], &row[4], &row[5]], expected);
    }
}

#[test]
fn the_configuration_is_accepted() {
    let text = readme();
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a TOML block");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), block).unwrap();
    let run = config::Run::new(RunArgs { config: Some(file.path().into()), ..RunArgs::default() }).unwrap();
    assert_eq!(run.common.ports, [53, 5300, 5353, 5355]);
    assert_eq!(run.common.outputs.len(), 2);
    for output in &run.common.outputs {
        output.parse::<Target>().unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_output_that_is_named_is_one() {
    let text = readme();
    let named: Vec<&str> =
        text.split("--output ").skip(1).filter_map(|rest| rest.split([' ', '`', '\n']).next()).collect();
    assert!(named.len() > 2, "{named:?}");
    for output in named.into_iter().filter(|output| !output.starts_with("OUT")) {
        let output = output.trim_end_matches([',', '.']).replace("HOST", "logs.example.org");
        output.parse::<Target>().unwrap_or_else(|error| panic!("{error}"));
    }
}
