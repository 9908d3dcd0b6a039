//! The manual as one page of man(7). `clap_mangen` writes the sections that follow from the table of
//! commands; the examples, the parameters of outputs and the variables stand between them; `manual.roff`
//! has the sections that no table holds.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::Command;
use clap::builder::PossibleValue;
use clap_mangen::Man;

/// The day of the last change to `manual.roff`.
const DATE: &str = "2026-11-21";

const SECTIONS: &str = include_str!("manual.roff");

/// One parameter of an `OUT`: how it is written, and its meaning.
pub type Parameter = (String, String);

/// A flag and the variable that stands for it.
type Variable = (String, String);

pub(super) fn write(mut top: Command, parameters: &[Parameter], out: &mut impl Write) -> io::Result<()> {
    top.build();
    let version = top.get_version().unwrap_or_default().to_owned();
    let page = Man::new(top.clone())
        .title("DNSTRAIL")
        .section("1")
        .date(DATE)
        .source(format!("dnstrail {version}"))
        .manual("User Commands");
    out.write_all(rendered(|out| page.render_title(out))?.as_bytes())?;
    // No word is broken at a line's end, because most long words are there to be copied.
    writeln!(out, ".nr HY 0\n.nh\n.ad l")?;
    out.write_all(rendered(|out| page.render_name_section(out))?.as_bytes())?;
    writeln!(out, ".SH SYNOPSIS\n.B dnstrail\n.I COMMAND\n.RI [ OPTIONS ]")?;
    out.write_all(rendered(|out| page.render_description_section(out))?.as_bytes())?;
    writeln!(out, ".SH COMMANDS\nEach command also has\n.BR \\-\\-help .")?;
    let mut variables = Vec::new();
    commands(&top, out, &mut variables)?;

    writeln!(out, ".SH \"PARAMETERS OF AN OUTPUT\"")?;
    writeln!(out, "{}", text("Behind the ? of an OUT, joined by &: file:PATH?rotate_size=100MB&gzip=yes."))?;
    for (parameter, meaning) in parameters {
        paragraph(out, parameter, meaning)?;
    }
    writeln!(out, ".SH ENVIRONMENT\nEach variable stands for a flag. The flag wins over the variable.")?;
    variables.sort();
    variables.dedup();
    for (variable, flag) in variables {
        paragraph(out, &variable, &flag)?;
    }
    write!(out, "{SECTIONS}")
}

/// The commands that do something. A group, as `rules`, only holds other commands.
fn commands(parent: &Command, out: &mut impl Write, variables: &mut Vec<Variable>) -> io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            commands(command, out, variables)?;
            continue;
        }
        let usage = command.clone().render_usage().to_string();
        writeln!(out, ".SS \"{}\"", text(usage.trim_start_matches("Usage: ").trim()).replace('"', "\\(dq"))?;
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(out, "{}.", text(&about))?;
        let arguments = command.get_arguments().filter(|argument| argument.get_id() != "help");
        variables.extend(arguments.filter_map(|argument| {
            Some((argument.get_env()?.to_string_lossy().into_owned(), format!("--{}", argument.get_long()?)))
        }));
        out.write_all(options(command)?.as_bytes())?;
        if let Some(examples) = command.get_after_help() {
            let examples = examples.to_string();
            writeln!(out, ".PP\nExamples:\n.PP\n.RS 4\n.EX")?;
            for line in examples.lines().filter_map(|line| line.strip_prefix("  ")) {
                writeln!(out, "{}", text(line))?;
            }
            writeln!(out, ".EE\n.RE")?;
        }
    }
    Ok(())
}

/// The flags and arguments of a command, below its own heading.
fn options(command: &Command) -> io::Result<String> {
    let shown = command.clone().mut_args(|argument| {
        let is_help = argument.get_id() == "help";
        let values = argument.get_possible_values();
        if values.is_empty() || !argument.get_action().takes_values() {
            return argument.hide(is_help);
        }
        // The values of `clap_mangen` take a line each, with paragraphs that mandoc warns of.
        let values: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let help = format!("{help}. One of: {}", values.join(", "));
        argument.help(help).hide_possible_values(true)
    });
    let section = rendered(|out| Man::new(shown).render_options_section(out))?;
    let heading_ends = section.find(".TP").unwrap_or(section.len());
    Ok(section.get(heading_ends..).unwrap_or_default().to_owned())
}

/// A section of `clap_mangen`, which writes the characters that roff takes for typographic ones as they are.
fn rendered(section: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<String> {
    let mut bytes = Vec::new();
    section(&mut bytes)?;
    let mut roff = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(&bytes).chars() {
        push_typed(&mut roff, character);
    }
    Ok(roff)
}

fn paragraph(out: &mut impl Write, tag: &str, meaning: &str) -> io::Result<()> {
    writeln!(out, ".TP\n\\fB{}\\fR\n{}", text(tag), text(meaning))
}

/// A text in roff: nothing in it is a request, and a dash stays the one that a shell takes.
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
                other => push_typed(&mut roff, other),
            }
        }
    }
    roff
}

/// Adds a character so that the page shows what was typed here.
fn push_typed(roff: &mut String, character: char) {
    match character {
        '`' => roff.push_str("\\(ga"),
        '~' => roff.push_str("\\(ti"),
        '^' => roff.push_str("\\(ha"),
        ascii if ascii.is_ascii() => roff.push(ascii),
        other => {
            // Writing into a text cannot fail.
            let _ = write!(roff, "\\[u{:04X}]", u32::from(other));
        }
    }
}
