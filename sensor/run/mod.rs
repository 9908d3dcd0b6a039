//! The commands: each ties the parts below together and gives its outcome. What was typed is `cli`'s,
//! what it means `config`'s.

mod chain;
mod exposition;
mod live;
mod offline;
mod rulebook;
mod service;
mod signals;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command, RulesCommand, TrailArgs};
use crate::config;
use crate::doctor::Diagnosis;
use crate::probe::{Hooks, Observe, Settings};
use crate::sink::{PARAMETERS, Parameter};
use crate::{rules, trail};
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
            .and_then(|settings| offline::replay(&args.files, &settings)),
        Command::Rules(command) => rules(command),
        Command::Trail(args) => follow(&args),
        Command::Doctor(args) => doctor(args.json),
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

fn follow(args: &TrailArgs) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let summary = trail::follow(&args.indicator, &args.files, args.json, &mut out)?;
    out.flush()?;
    if summary.skipped > 0 {
        eprintln!("dnstrail: {} of {} lines are no documents, and were skipped", summary.skipped, {
            summary.skipped + summary.documents
        });
    }
    Ok(())
}

fn doctor(json: bool) -> Result<(), Failure> {
    let settings = Settings {
        ports: config::PORTS.to_vec(),
        observe: Observe::Clients,
        hooks: Hooks::Auto,
        ring_bytes: config::RING_MIB << 20,
    };
    let diagnosis = Diagnosis::make(&settings);
    print(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &diagnosis)?;
            writeln!(out)
        } else {
            diagnosis.write(out)
        }
    })?;
    if diagnosis.is_well() { Ok(()) } else { Err(Failure::Told) }
}
