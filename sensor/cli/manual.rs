//! The manual as one page of man(7): every command with its options and examples, made of the same table
//! as `--help`, and the sections of `manual.roff`, which no table holds.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::{Arg, Command};

/// Of the last change to `manual.roff`.
const DATE: &str = "2026-11-21";

const SECTIONS: &str = include_str!("manual.roff");

/// What is said of one parameter of an `OUT`: how it is written, and what it means.
pub type Parameter = (String, String);

pub(super) fn write(mut top: Command, parameters: &[Parameter], out: &mut impl Write) -> io::Result<()> {
    top.build();
    let version = top.get_version().unwrap_or_default();
    writeln!(out, ".TH DNSTRAIL 1 {DATE} \"dnstrail {version}\" \"User Commands\"")?;
    // No word is torn apart, for most of what is long is to be copied.
    writeln!(out, ".nr HY 0\n.nh\n.ad l\n.SH NAME\ndnstrail \\- {}", text(&first_line(&top)))?;
    writeln!(out, ".SH SYNOPSIS\n.B dnstrail\n.I COMMAND\n.RI [ OPTIONS ]")?;
    let about = top.get_long_about().map(ToString::to_string).unwrap_or_default();
    writeln!(out, ".SH DESCRIPTION")?;
    for paragraph in about.split("\n\n").skip(1) {
        writeln!(out, "{}", text(paragraph))?;
    }
    writeln!(out, ".SH COMMANDS")?;
    let mut environment = Vec::new();
    commands(&top, out, &mut environment)?;

    writeln!(out, ".SH \"PARAMETERS OF AN OUTPUT\"")?;
    writeln!(out, "{}", text("Behind the ? of an OUT, joined by &: file:PATH?rotate_size=100MB&gzip=yes."))?;
    for (parameter, meaning) in parameters {
        paragraph(out, &bold(parameter), meaning)?;
    }
    writeln!(out, ".SH ENVIRONMENT\nEach variable stands for a flag, which wins over it.")?;
    environment.sort();
    environment.dedup();
    for (variable, flag) in environment {
        paragraph(out, &bold(&variable), &flag)?;
    }
    write!(out, "{SECTIONS}")
}

/// Those that do something, each with what it takes; a group only holds others.
fn commands(parent: &Command, out: &mut impl Write, environment: &mut Vec<(String, String)>) -> io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            commands(command, out, environment)?;
            continue;
        }
        let usage = command.clone().render_usage().to_string();
        writeln!(out, ".SS \"{}\"", text(usage.trim_start_matches("Usage: ").trim()).replace('"', "\\(dq"))?;
        writeln!(out, "{}.", text(&first_line(command)))?;
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            paragraph(out, &name(argument), &meaning(argument))?;
            if let (Some(variable), Some(flag)) = (argument.get_env(), argument.get_long()) {
                environment.push((variable.to_string_lossy().into_owned(), format!("--{flag}")));
            }
        }
        if let Some(examples) = command.get_after_help() {
            let examples = examples.to_string();
            let lines = examples.lines().filter_map(|line| line.strip_prefix("  "));
            writeln!(out, ".PP\nExamples:\n.PP\n.RS 4\n.EX")?;
            for line in lines {
                writeln!(out, "{}", text(line))?;
            }
            writeln!(out, ".EE\n.RE")?;
        }
    }
    Ok(())
}

fn first_line(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default().trim_end_matches('.').to_owned()
}

/// `--rules PATH`, and a positional argument as it is.
fn name(argument: &Arg) -> String {
    let values: Vec<&str> =
        argument.get_value_names().unwrap_or_default().iter().map(clap::builder::Str::as_str).collect();
    let value = values.join(" ");
    match argument.get_long() {
        Some(flag) if argument.get_action().takes_values() => {
            format!("{} \\fI{}\\fR", bold(&format!("--{flag}")), text(&value))
        }
        Some(flag) => bold(&format!("--{flag}")),
        None => format!("\\fI{}\\fR", text(&value)),
    }
}

fn meaning(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<String> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if values.is_empty() || !argument.get_action().takes_values() {
        help
    } else {
        format!("{help}. One of: {}", values.join(", "))
    }
}

fn paragraph(out: &mut impl Write, tag: &str, meaning: &str) -> io::Result<()> {
    writeln!(out, ".TP\n{tag}\n{}", text(meaning))
}

fn bold(word: &str) -> String {
    format!("\\fB{}\\fR", text(word))
}

/// A text as roff takes it: nothing in it is a request, and a dash is what a shell takes for one.
fn text(plain: &str) -> String {
    let mut roff = String::with_capacity(plain.len());
    for line in plain.lines() {
        if !roff.is_empty() {
            roff.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            roff.push_str("\\&");
        }
        for character in line.chars() {
            match character {
                '\\' => roff.push_str("\\e"),
                '-' => roff.push_str("\\-"),
                '\'' => roff.push_str("\\(aq"),
                '`' => roff.push_str("\\(ga"),
                '~' => roff.push_str("\\(ti"),
                '^' => roff.push_str("\\(ha"),
                ascii if ascii.is_ascii() => roff.push(ascii),
                other => {
                    let _ = write!(roff, "\\[u{:04X}]", u32::from(other));
                }
            }
        }
    }
    roff
}
