//! The examples behind each command's help. A test types each of them.

pub const RUN: &str = "\
Examples:
  # Every message, to the terminal.
  dnstrail run
  # Documents to a file, with alerts for the names of some lists.
  dnstrail run --rules /etc/dnstrail/rules --output file:/var/log/dnstrail/dnstrail.json
  # Everything to a file that is rotated, alerts to syslog as well.
  dnstrail run --output 'file:/var/log/dnstrail/dnstrail.json?rotate_size=100MB&gzip=yes' \\
    --output 'syslog:tls://logs.example.org:6514?kind=alert'";

pub const REPLAY: &str = "\
Examples:
  dnstrail replay capture.pcapng.gz more.pcap --rules lists/
  tcpdump -w - port 53 | dnstrail replay -";

pub const RULES_CHECK: &str = "\
Examples:
  dnstrail rules check lists/";

pub const RULES_LOOKUP: &str = "\
Examples:
  dnstrail rules lookup www.evil.example 192.0.2.7 --rules lists/";

pub const TRAIL: &str = "\
Examples:
  # The processes that resolved this name or one below it, and what they did next.
  dnstrail trail evil.example /var/log/dnstrail/dnstrail.json
  # Indicators as a report has them, in one day of rotated files.
  dnstrail trail evil[.]example 192.0.2.0/24 old.json.gz new.json --since 2026-11-20 --until 2026-11-21
  # Lookups of what a new list names, before it was known.
  dnstrail trail --rules lists/new.txt old.json.gz --json";

pub const DOCTOR: &str = "\
Examples:
  dnstrail doctor
  dnstrail doctor --json";

pub const MAN: &str = "\
Examples:
  dnstrail man | man -l -";

pub const COMPLETIONS: &str = "\
Examples:
  dnstrail completions bash > ~/.local/share/bash-completion/completions/dnstrail";
