//! The examples of the help can be typed as they stand.

use dnstrail::cli;

use crate::support::commands::commands;

#[test]
fn every_example_can_be_typed() {
    let mut tried = 0;
    for (words, command) in commands(&cli::command(), "dnstrail") {
        let examples = command.get_after_help().unwrap_or_else(|| panic!("{words} has no example")).to_string();
        for line in examples.replace("\\\n", " ").lines().filter_map(|line| line.strip_prefix("  ")) {
            if line.starts_with('#') {
                continue;
            }
            let typed = &line[line.find("dnstrail").unwrap_or_else(|| panic!("{line}"))..];
            let typed = typed.split(['|', '>']).next().unwrap_or_default().replace('\'', "");
            let parsed = cli::command().try_get_matches_from(typed.split_whitespace());
            assert!(typed.starts_with(&words) && parsed.is_ok(), "{typed}: {parsed:?}");
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried} examples");
}
