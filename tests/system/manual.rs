//! `dnstrail man` and `completions`: complete, and well formed for the programs that read them.

use std::io::Write;
use std::process::{Command, Stdio};

use dnstrail::cli;
use dnstrail::sink::PARAMETERS;

use crate::support::commands::commands;

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_dnstrail")).args(arguments).output().expect("dnstrail");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text")
}

/// The output of a program for an input, and its messages.
fn through(program: &[&str], input: &str) -> [String; 2] {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}: run packaging/needs test"));
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("a text"))
}

#[test]
fn the_manual_names_everything_that_can_be_typed() {
    let [manual, _] = through(&["groff", "-man", "-Tascii", "-P-cbou", "-rLL=200n"], &printed(&["man"]));
    let commands = commands(&cli::command(), "dnstrail");
    assert!(commands.len() >= 8, "{commands:?}");
    for (words, command) in &commands {
        let section = manual.split(&format!("\n   {words}")).nth(1).unwrap_or_else(|| panic!("{words} is missing"));
        let section = section.split("\n   dnstrail ").next().unwrap_or_default();
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            let name = argument
                .get_long()
                .map_or_else(|| argument.get_value_names().unwrap()[0].to_string(), |flag| format!("--{flag}"));
            // An argument stands in brackets: <FILE>.
            let first = |line: &str| {
                line.trim_start().trim_start_matches(['<', '[']).split([' ', '.', '>', ']']).next() == Some(&name)
            };
            let line = section.lines().find(|line| first(line));
            assert!(line.is_some(), "{name} of {words} is missing:\n{section}");
            assert!(argument.get_help().is_some(), "{name} of {words} has no help");
            if let Some(variable) = argument.get_env() {
                assert!(manual.contains(&format!(" {}\n", variable.to_string_lossy())), "{variable:?} is missing");
            }
        }
        assert!(section.contains("Examples:"), "{words} has no example");
    }
    for parameter in PARAMETERS {
        assert!(manual.contains(&format!(" {}=", parameter.name)), "{} is missing", parameter.name);
    }
    for section in ["SIGNALS", "EXIT STATUS", "FILES", "ENVIRONMENT"] {
        assert!(manual.contains(&format!("\n{section}\n")), "{section} is missing");
    }
}

#[test]
fn the_manual_is_well_formed() {
    let page = printed(&["man"]);
    let [_, messages] = through(&["groff", "-ww", "-man", "-Tutf8", "-z"], &page);
    assert_eq!(messages, "");
    // mandoc writes its findings to the standard output.
    assert_eq!(through(&["mandoc", "-T", "lint", "-W", "warning"], &page), [String::new(), String::new()]);
    let [found, _] = through(&["mandoc", "-T", "lint", "-W", "warning"], &page.replacen(".TP", ".TQP", 1));
    assert!(found.contains("TQP"), "{found}");
}

#[test]
fn shells_complete_flags() {
    let asks = [
        (
            "bash",
            "source $FILE; COMP_WORDS=(dnstrail run --ru) COMP_CWORD=2; _dnstrail dnstrail --ru run; echo ${COMPREPLY[@]}",
        ),
        ("fish", "source $FILE; complete --do-complete 'dnstrail run --ru'"),
        // The completion of zsh needs a terminal: the test asks for the function, which names the flag.
        ("zsh", "autoload -U compinit; compinit -D; source $FILE; functions _dnstrail"),
    ];
    for (shell, ask) in asks {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), printed(&["completions", shell])).expect("it is ours");
        let output =
            Command::new(shell).args(["-c", ask]).env("FILE", file.path()).env("HOME", "/nonexistent").output();
        let output = output.unwrap_or_else(|error| panic!("{shell}: {error}: run packaging/needs test"));
        let output_text = String::from_utf8_lossy(&output.stdout);
        assert!(output_text.contains("--rules"), "{shell}: {output:?}");
    }
}
