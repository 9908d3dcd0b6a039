//! What was typed: the commands and flags, as one table that feeds the parser, `--help`, the manual
//! and the completions. What it means is left to `config`.

pub mod config;
mod manual;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::Deserialize;

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
    /// What this process was started with. Help, and what cannot be understood, ends it here.
    #[must_use]
    pub fn typed() -> Self {
        Self::parse()
    }

    /// The manual as a page of man(7). `parameters` are those that an `OUT` takes.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn manual(parameters: &[manual::Parameter], out: &mut impl Write) -> io::Result<()> {
        manual::write(Self::command(), parameters, out)
    }

    pub fn completions(shell: Shell, out: &mut impl Write) {
        clap_complete::generate(shell, &mut Self::command(), "dnstrail", out);
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host and write a document for each DNS message
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Read captures (pcap, pcapng, gzip) and write the same documents
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayArgs),
    /// Check blocklists, or look names up in them
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Tell which processes resolved a name or an address, and what they did next
    #[command(after_help = TRAIL_EXAMPLES)]
    Trail(TrailArgs),
    /// Tell what this host allows, which ways in are taken, and how to mend what is missing
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Print the manual (roff)
    #[command(after_help = "Examples:\n  dnstrail man | man -l -")]
    Man,
    /// Print shell completions
    #[command(
        after_help = "Examples:\n  dnstrail completions bash > ~/.local/share/bash-completion/completions/dnstrail"
    )]
    Completions {
        /// The shell to complete in
        shell: Shell,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  # Every message, to the terminal.
  dnstrail run
  # Documents to a file, with alerts for the names of some lists.
  dnstrail run --rules /etc/dnstrail/rules --output file:/var/log/dnstrail/dnstrail.json
  # Everything to a file that is rotated, alerts to syslog as well.
  dnstrail run --output 'file:/var/log/dnstrail/dnstrail.json?rotate_size=100MB&gzip=yes' \\
    --output 'syslog:tls://logs.example.org:6514?kind=alert'";

const REPLAY_EXAMPLES: &str = "\
Examples:
  dnstrail replay capture.pcapng.gz more.pcap --rules lists/
  tcpdump -w - port 53 | dnstrail replay -";

const TRAIL_EXAMPLES: &str = "\
Examples:
  # Who resolved this name or one below it, and what they asked for next?
  dnstrail trail evil.example /var/log/dnstrail/dnstrail.json
  dnstrail trail 192.0.2.7 old.json.gz --json";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  dnstrail doctor
  dnstrail doctor --json";

#[derive(Debug, Args, Default)]
pub struct RunArgs {
    /// Configuration file [default: /etc/dnstrail/dnstrail.toml where it exists]
    #[arg(long, value_name = "FILE", env = "DNSTRAIL_CONFIG")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub common: CommonArgs,
    /// Which kernel hooks to use
    #[arg(long, value_enum, env = "DNSTRAIL_HOOKS")]
    pub hooks: Option<HooksArg>,
    /// Whose side of a conversation to record [default: clients]
    #[arg(long, value_enum, env = "DNSTRAIL_OBSERVE")]
    pub observe: Option<ObserveArg>,
    /// Write this file once the probes are attached
    #[arg(long, value_name = "PATH", env = "DNSTRAIL_READY_FILE")]
    pub ready_file: Option<PathBuf>,
    /// Stop after this many seconds
    #[arg(long, value_name = "SECONDS", env = "DNSTRAIL_DURATION")]
    pub duration: Option<u64>,
    /// Of one process and one listed name or address, raise one alert in this many seconds, and then
    /// say how often it was repeated [default: 0, each lookup is an alert]
    #[arg(long, value_name = "SECONDS", env = "DNSTRAIL_ALERT_WINDOW")]
    pub alert_window: Option<f64>,
    /// Serve Prometheus metrics on this loopback address, e.g. 127.0.0.1:9153
    #[arg(long, value_name = "ADDR", env = "DNSTRAIL_METRICS")]
    pub metrics: Option<String>,
    /// Room between kernel and sensor, in MiB [default: 16]
    #[arg(long, value_name = "MIB", env = "DNSTRAIL_RING_SIZE")]
    pub ring_size: Option<u32>,
}

/// What `run` and `replay` share.
#[derive(Debug, Args, Default)]
pub struct CommonArgs {
    /// A blocklist file, a directory of them, or a rules.toml; may be given several times
    #[arg(long, value_name = "PATH", env = "DNSTRAIL_RULES", value_delimiter = ',')]
    pub rules: Vec<PathBuf>,
    /// Where documents go: stdout, file:PATH, syslog, syslog:unix:PATH, syslog:udp://HOST:PORT,
    /// syslog:tcp://HOST:PORT, syslog:tls://HOST:PORT; may be given several times, in the environment
    /// with `;` between [default: stdout]
    #[arg(long, value_name = "OUT", env = "DNSTRAIL_OUTPUT", value_delimiter = ';')]
    pub output: Vec<String>,
    /// More ports that carry DNS, besides 53, 5353 and 5355
    #[arg(long, value_name = "PORT", env = "DNSTRAIL_PORTS", value_delimiter = ',')]
    pub ports: Vec<u16>,
    /// Report a query that has no answer after this many seconds [default: 5]
    #[arg(long, value_name = "SECONDS", env = "DNSTRAIL_TIMEOUT")]
    pub timeout: Option<f64>,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// pcap or pcapng, also gzipped; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub common: CommonArgs,
}

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Read lists and tell what was read, what was not, and why
    #[command(after_help = "Examples:\n  dnstrail rules check lists/")]
    Check {
        /// A list, a directory of them, or a rules.toml
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Tell which list and line a name or address hits
    #[command(after_help = "Examples:\n  dnstrail rules lookup www.evil.example 192.0.2.7 --rules lists/")]
    Lookup {
        /// A name or an IP address
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// A list, a directory of them, or a rules.toml; may be given several times
        #[arg(long, required = true, value_name = "PATH", env = "DNSTRAIL_RULES", value_delimiter = ',')]
        rules: Vec<PathBuf>,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct TrailArgs {
    /// A name, a suffix of names, or an IP address
    pub indicator: String,
    /// Files of documents that dnstrail wrote, also gzipped; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
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

/// Also in the configuration file.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HooksArg {
    Auto,
    Fentry,
    Kprobe,
    Cgroup,
}

/// Also in the configuration file.
#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObserveArg {
    Clients,
    Servers,
    All,
}
