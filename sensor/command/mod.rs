//! The commands: each ties the parts below together and gives its outcome. What was typed is `cli`'s,
//! what it means `config`'s.

mod chain;
mod doctor;
mod exposition;
mod live;
mod replay;
mod rulebook;
mod service;
mod signals;
mod trail;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command, RulesCommand, config};
use crate::rules;
use crate::sink::{PARAMETERS, Parameter};
use rulebook::Rulebook;

/// How a command ends when it does not end well.
#[derive(Debug)]
enum Failure {
    /// Exit code 1: something went wrong that another try may do without.
    AtRunTime(anyhow::Error),
    /// Exit code 2: what was asked for makes no sense, and will not on another try.
    Usage(anyhow::Error),
    /// Exit code 1: the answer itself is bad news, and has been told.
    Told,
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
        Command::Run(args) => config::Run::new(args).map_err(Failure::Usage).and_then(|settings| live::run(&settings)),
        Command::Replay(mut args) => config::Common::replay(&mut args)
            .map_err(Failure::Usage)
            .and_then(|settings| replay::replay(&args.files, &settings)),
        Command::Rules(command) => rules(command),
        Command::Trail(args) => trail::trail(&args),
        Command::Doctor(args) => doctor::doctor(args.json),
        Command::Man => print(|out| Cli::manual(&parameters(), out)),
        Command::Completions { shell } => print(|out| {
            Cli::completions(shell, out);
            Ok(())
        }),
    };
    let (error, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Told) => return ExitCode::FAILURE,
        // A reader that went away has all it wanted.
        Err(Failure::AtRunTime(error) | Failure::Usage(error)) if is_broken_pipe(&error) => return ExitCode::SUCCESS,
        Err(Failure::AtRunTime(error)) => (error, 1),
        Err(Failure::Usage(error)) => (error, 2),
    };
    eprintln!("dnstrail: {error:#}");
    ExitCode::from(code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// Writes to stdout at once, so that a reader that went away is met here.
fn print(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), Failure> {
    let mut text = Vec::new();
    write(&mut text)?;
    io::stdout().lock().write_all(&text)?;
    Ok(())
}

/// Those of an output, for the manual.
fn parameters() -> Vec<(String, String)> {
    let of = |parameter: &Parameter| {
        let meaning = format!("Of {}: {}. Without it: {}", parameter.of(), parameter.meaning, parameter.default);
        (format!("{}={}", parameter.name, parameter.values), meaning)
    };
    PARAMETERS.iter().map(of).collect()
}

fn rules(command: RulesCommand) -> Result<(), Failure> {
    let mut good = true;
    match command {
        RulesCommand::Check { paths, json } => print(|out| {
            good = rules::check(&paths, json, out)?;
            Ok(())
        })?,
        RulesCommand::Lookup { names, rules: paths, json } => {
            let (rulebook, _) = Rulebook::open(&paths).map_err(|error| Failure::Usage(error.into()))?;
            print(|out| rules::lookup(&rulebook.current(), &names, json, out).map(|_| ()))?;
        }
    }
    if good { Ok(()) } else { Err(Failure::Told) }
}
