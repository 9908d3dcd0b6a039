//! The commands: each joins the modules below and gives its outcome. `cli` knows what was typed and what it
//! means.

mod chain;
mod doctor;
mod exposition;
mod heartbeat;
mod live;
mod parts;
mod replay;
mod rulebook;
mod rules;
mod service;
mod signals;
mod trail;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Result, anyhow};

use crate::cli::{self, Cli, Command, config};
use crate::shown::Shown;
use crate::sink::{PARAMETERS, Parameter};

/// The end of a command that does not end well.
#[derive(Debug)]
enum Failure {
    /// Exit code 1: something failed that may succeed on another try.
    AtRunTime(anyhow::Error),
    /// Exit code 2: wrong usage or configuration, which fails on every other try as well.
    Usage(anyhow::Error),
    /// Exit code 1: the answer itself is bad news, and was printed.
    Answered,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::AtRunTime(error.into())
    }
}

/// Parses the command line, does what it says, and turns the outcome into an exit code.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::typed().command {
        Command::Run(args) => config::Run::new(args)
            .map_err(|error| Failure::Usage(error.into()))
            .and_then(|settings| live::run(&settings)),
        Command::Replay(args) => replay::replay(&args.files, &config::Common::of_replay(&args)),
        Command::Rules(command) => rules::rules(command),
        Command::Trail(args) => trail::trail(&args),
        Command::Doctor(args) => doctor::doctor(args.json),
        Command::Man => print(|out| cli::write_manual(&parameters(), out)),
        Command::Completions { shell } => print(|out| {
            cli::write_completions(shell, out);
            Ok(())
        }),
    };
    let (error, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Answered) => return ExitCode::FAILURE,
        // A reader that closes the pipe has read all that it wants.
        Err(Failure::AtRunTime(error) | Failure::Usage(error)) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Err(Failure::AtRunTime(error)) => (error, 1),
        Err(Failure::Usage(error)) => (error, 2),
    };
    // A path or a line of a file may hold characters that a terminal obeys. A line break is kept where it stands
    // alone.
    for line in format!("dnstrail: {}", sentence(&error)).lines() {
        eprintln!("{}", Shown(line));
    }
    ExitCode::from(code)
}

/// A run that lost lines has failed: its outputs said which lines above.
fn all_arrived(lost: u64) -> Result<(), Failure> {
    if lost > 0 { Err(anyhow!("{lost} lines were lost: see the outputs above").into()) } else { Ok(()) }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// An error with its causes, from the outermost on. Some errors repeat their cause in their own text; the
/// sentence has it once.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if !sentence.ends_with(&cause) {
            if !sentence.is_empty() {
                sentence.push_str(": ");
            }
            sentence.push_str(&cause);
        }
    }
    sentence
}

/// Writes to stdout at once, so that a reader that closed the pipe is noticed here.
fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), Failure> {
    let mut text = Vec::new();
    write(&mut text)?;
    io::stdout().lock().write_all(&text)?;
    Ok(())
}

/// The parameters of an output, for the manual.
fn parameters() -> Vec<(String, String)> {
    let of = |parameter: &Parameter| {
        let meaning = format!("Of {}: {}. Without it: {}", parameter.of(), parameter.meaning, parameter.default);
        (format!("{}={}", parameter.name, parameter.values), meaning)
    };
    PARAMETERS.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_stands_once_in_a_sentence() {
        let cause = || io::Error::from_raw_os_error(2);
        let repeated = anyhow::Error::from(cause()).context(format!("a.pcap: cannot be opened: {}", cause()));
        assert_eq!(sentence(&repeated), "a.pcap: cannot be opened: No such file or directory (os error 2)");
        let plain = anyhow::Error::from(cause()).context("a.pcap: cannot be opened");
        assert_eq!(sentence(&plain), sentence(&repeated));
    }
}
