//! The command line: commands and flags as one table, which feeds the parser, `--help`, the manual and the
//! completions. `settings` has the flags that the environment and the configuration file can give as well.

pub mod config;
mod examples;
mod manual;
pub mod settings;
pub mod value;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::view::Moment;

/// Which binary resolved that domain?
///
/// Kernel probes see every DNS message that a process on this host sends or receives; dnstrail
/// matches the names against blocklists and writes one ECS document per line.
#[derive(Debug, Parser)]
#[command(name = "dnstrail", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the arguments and the environment of this process. A request for help, or an argument that cannot be
    /// understood, ends the process here.
    #[must_use]
    pub fn typed() -> Self {
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

/// The table of commands, as the parser has it.
#[must_use]
pub fn command() -> clap::Command {
    let table = Cli::command();
    let names: Vec<String> = table.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    // Each in its turn, because a subcommand that is changed moves behind the others.
    names.iter().fold(table, |table, name| {
        table.mut_subcommand(name, |command| match name.as_str() {
            "run" | "replay" => with_environment(command),
            "rules" => command.mut_subcommand("lookup", with_environment),
            _ => command,
        })
    })
}

/// Gives each flag that takes a value its variable: `--ring-size` is `DNSTRAIL_RING_SIZE`.
fn with_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        let flag = argument.get_long().filter(|_| argument.get_action().takes_values());
        match flag.map(|flag| format!("DNSTRAIL_{}", flag.to_uppercase().replace('-', "_"))) {
            Some(variable) => argument.env(variable),
            None => argument,
        }
    })
}

/// Writes the manual as a page of man(7). `parameters` are those of an `OUT`.
///
/// # Errors
/// `out` cannot be written.
pub fn write_manual(parameters: &[manual::Parameter], out: &mut impl Write) -> io::Result<()> {
    manual::write(command(), parameters, out)
}

pub fn write_completions(shell: Shell, out: &mut impl Write) {
    clap_complete::generate(shell, &mut command(), "dnstrail", out);
}

/// The command line of this process as one text. Bytes that are no UTF-8 appear as U+FFFD.
#[must_use]
pub fn command_line() -> String {
    joined(std::env::args_os())
}

fn joined(arguments: impl Iterator<Item = OsString>) -> String {
    arguments.map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host and write a document for each DNS message
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Read captures (pcap, pcapng, gzip) and write the same documents
    #[command(after_help = examples::REPLAY)]
    Replay(ReplayArgs),
    /// Check blocklists, or look names up in them
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Show the processes that resolved a name or an address, and what they did next
    #[command(after_help = examples::TRAIL)]
    Trail(TrailArgs),
    /// Show what this host allows, the ways in that are taken, and the remedy for each lack
    #[command(after_help = examples::DOCTOR)]
    Doctor(DoctorArgs),
    /// Print the manual (roff)
    #[command(after_help = examples::MAN)]
    Man,
    /// Print shell completions
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
}

#[derive(Debug, Args, Default)]
pub struct RunArgs {
    /// Configuration file [default: /etc/dnstrail/dnstrail.toml where it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub common: settings::Common,
    #[command(flatten)]
    pub live: settings::Live,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub duration: Option<u64>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// pcap or pcapng, also gzipped; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub common: settings::Common,
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Read lists and report what was read, what was not, and why
    #[command(after_help = examples::RULES_CHECK)]
    Check {
        /// A list, a directory of them, or a rules.toml
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Show the list and line that a name or address matches
    #[command(after_help = examples::RULES_LOOKUP)]
    Lookup {
        /// A name or an IP address
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// A list, a directory of them, or a rules.toml; may be given several times
        #[arg(long, required = true, value_name = "PATH", value_delimiter = ',')]
        rules: Vec<PathBuf>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(override_usage = "dnstrail trail [OPTIONS] INDICATOR... FILE...")]
pub struct TrailArgs {
    /// Names, suffixes of names, addresses, networks (192.0.2.0/24) or URLs, also defanged
    /// (hxxp://evil[.]example); then files of documents that dnstrail wrote in ECS, also gzipped, oldest
    /// first, `-` for the standard input. The first argument is an indicator; of the others each that
    /// exists is a file
    #[arg(required = true, value_names = ["INDICATOR", "FILE"], num_args = 1..)]
    pub arguments: Vec<OsString>,
    /// Follow the entries of these lists as well; a list, a directory of them, or a rules.toml. No other
    /// indicator is needed then, and the first argument may be a file
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub rules: Vec<PathBuf>,
    /// Read documents from this time on, for example 2026-11-21 or 2026-11-21T03:10:30Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<Moment>,
    /// Read documents before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<Moment>,
    /// As JSON lines, for programs
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// As JSON, for programs
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        command().debug_assert();
        let commands = command();
        let names: Vec<&str> = commands.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, ["run", "replay", "rules", "trail", "doctor", "man", "completions"]);
    }

    #[test]
    fn a_command_line_that_is_no_utf_8_is_shown_as_far_as_it_is() {
        let arguments = [&b"run"[..], b"--rules", b"/lists/\xff"].map(|bytes| OsString::from_vec(bytes.to_vec()));
        assert_eq!(joined(arguments.into_iter()), "run --rules /lists/\u{fffd}");
    }

    #[test]
    fn each_setting_is_a_flag_of_run_and_a_variable() {
        let run = command().find_subcommand("run").cloned().unwrap();
        for name in settings::NAMES {
            let flag = run.get_arguments().find(|argument| argument.get_id() == name).unwrap();
            assert_eq!(flag.get_long(), Some(&*name.replace('_', "-")));
            assert_eq!(flag.get_env().unwrap().to_str().unwrap(), format!("DNSTRAIL_{}", name.to_uppercase()));
            assert!(flag.get_help().is_some(), "{name}");
        }
    }

    #[test]
    fn values_outside_their_bounds_name_the_flag() {
        for (arguments, reason) in [
            (&["run", "--ports", "0"][..], "'0' for '--ports <PORT>'"),
            (&["run", "--timeout", "0"], "'0' for '--timeout <SECONDS>': give seconds above 0 and up to 3600"),
            (&["replay", "a", "--timeout", "x"], "'x' for '--timeout <SECONDS>': give seconds above 0"),
            (&["run", "--alert-window=-1"], "give seconds from 0 (off) to 86400"),
            (&["run", "--ring-size", "3"], "give MiB as a power of two from 1 to 1024"),
            (&["run", "--metrics", "192.0.2.1:9"], "loopback only, for example on 127.0.0.1:9"),
            (&["run", "--metrics", "9153"], "give an address and a port"),
            (&["run", "--duration", "18446744073709551616"], "'--duration <SECONDS>'"),
        ] {
            let error = command().try_get_matches_from([&["dnstrail"], arguments].concat()).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(reason), "{error}");
        }
    }
}
