//! What it means: flags over environment over file over defaults, checked as a whole. Parsing the
//! command line is left to `cli`, doing it to `run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::{CommonArgs, HooksArg, ObserveArg, ReplayArgs, RunArgs};

/// Read where no `--config` names another, if it exists.
const DEFAULT_FILE: &str = "/etc/dnstrail/dnstrail.toml";
/// Ports that carry DNS, mDNS (RFC 6762) and LLMNR (RFC 4795).
pub const PORTS: [u16; 3] = [53, 5353, 5355];
/// Room for half a second of a million messages a second.
pub const RING_MIB: u32 = 16;
/// glibc asks again after 5 s (RES_TIMEOUT): what came later was too late for the program.
const TIMEOUT: f64 = 5.0;

/// What is repeated is told at the end of a window; later than a day nobody waits for it.
const LONGEST_ALERT_WINDOW: Duration = Duration::from_hours(24);

/// Everything that `run` needs to know.
#[derive(Debug, Clone)]
pub struct Run {
    pub common: Common,
    pub hooks: HooksArg,
    pub observe: ObserveArg,
    pub ready_file: Option<PathBuf>,
    pub duration: Option<Duration>,
    /// Zero: each lookup raises its own alert.
    pub alert_window: Duration,
    pub metrics: Option<std::net::SocketAddr>,
    /// Bytes.
    pub ring_bytes: u32,
}

/// What `run` and `replay` share.
#[derive(Debug, Clone)]
pub struct Common {
    pub rules: Vec<PathBuf>,
    /// `OUT` texts; never empty.
    pub outputs: Vec<String>,
    /// Sorted, without duplicates.
    pub ports: Vec<u16>,
    pub timeout: Duration,
}

/// The file; every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileSettings {
    #[serde(default)]
    rules: Vec<PathBuf>,
    #[serde(default)]
    output: Vec<String>,
    #[serde(default)]
    ports: Vec<u16>,
    timeout: Option<f64>,
    hooks: Option<HooksArg>,
    observe: Option<ObserveArg>,
    ready_file: Option<PathBuf>,
    alert_window: Option<f64>,
    metrics: Option<String>,
    ring_size: Option<u32>,
}

impl Run {
    /// # Errors
    /// Names the file and line, or the flag, and what it takes.
    pub fn new(args: RunArgs) -> Result<Self> {
        let file = read(args.config.as_deref())?;
        let metrics = args.metrics.or(file.metrics.clone());
        Ok(Self {
            hooks: args.hooks.or(file.hooks).unwrap_or(HooksArg::Auto),
            observe: args.observe.or(file.observe).unwrap_or(ObserveArg::Clients),
            ready_file: args.ready_file.or(file.ready_file.clone()),
            duration: args.duration.map(Duration::from_secs),
            alert_window: alert_window(args.alert_window.or(file.alert_window).unwrap_or_default())?,
            metrics: metrics.map(|text| loopback(&text)).transpose()?,
            ring_bytes: ring_bytes(args.ring_size.or(file.ring_size).unwrap_or(RING_MIB))?,
            common: Common::new(args.common, file)?,
        })
    }
}

impl Common {
    /// # Errors
    /// As [`Run::new`].
    pub fn replay(args: &mut ReplayArgs) -> Result<Self> {
        Self::new(std::mem::take(&mut args.common), FileSettings::default())
    }

    fn new(args: CommonArgs, file: FileSettings) -> Result<Self> {
        let seconds = args.timeout.or(file.timeout).unwrap_or(TIMEOUT);
        let timeout = Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero() && *timeout <= Duration::from_hours(1))
            .ok_or_else(|| anyhow!("--timeout {seconds}: give seconds above 0 and up to 3600"))?;
        let mut ports: Vec<u16> = PORTS.into_iter().chain(file.ports).chain(args.ports).collect();
        ports.sort_unstable();
        ports.dedup();
        let mut outputs = if args.output.is_empty() { file.output } else { args.output };
        if outputs.is_empty() {
            outputs.push("stdout".into());
        }
        Ok(Self { rules: if args.rules.is_empty() { file.rules } else { args.rules }, outputs, ports, timeout })
    }
}

fn read(path: Option<&Path>) -> Result<FileSettings> {
    let (path, required) = path.map_or((Path::new(DEFAULT_FILE), false), |path| (path, true));
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => return Ok(FileSettings::default()),
        Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
    };
    toml::from_str(&text).with_context(|| format!("{}: not a valid configuration", path.display()))
}

fn alert_window(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|window| *window <= LONGEST_ALERT_WINDOW)
        .ok_or_else(|| anyhow!("--alert-window {seconds}: give seconds from 0 (off) to 86400"))
}

fn loopback(text: &str) -> Result<std::net::SocketAddr> {
    let address: std::net::SocketAddr =
        text.parse().map_err(|_| anyhow!("--metrics {text}: give an address and a port, as 127.0.0.1:9153"))?;
    if !address.ip().is_loopback() {
        bail!("--metrics {text}: metrics are served on loopback only, as 127.0.0.1:{}", address.port());
    }
    Ok(address)
}

fn ring_bytes(mebibytes: u32) -> Result<u32> {
    if !(1..=1024).contains(&mebibytes) || !mebibytes.is_power_of_two() {
        bail!("--ring-size {mebibytes}: give MiB as a power of two from 1 to 1024");
    }
    Ok(mebibytes << 20)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file(
            "ports = [5300]\ntimeout = 2.5\nalert-window = 0.5\nobserve = \"servers\"\noutput = [\"file:/tmp/a\"]\n",
        );
        let mut args = RunArgs { config: Some(file.path().into()), ..RunArgs::default() };
        args.common.timeout = Some(1.0);
        let run = Run::new(args).unwrap();
        assert_eq!(run.common.ports, [53, 5300, 5353, 5355]);
        assert_eq!(run.common.timeout, Duration::from_secs(1));
        assert!(matches!(run.observe, ObserveArg::Servers));
        assert!(matches!(run.hooks, HooksArg::Auto));
        assert_eq!(run.alert_window, Duration::from_millis(500));
        assert_eq!(run.common.outputs, ["file:/tmp/a"]);
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_line() {
        let wrong = |text: &str| {
            let file = file(text);
            format!("{:#}", Run::new(RunArgs { config: Some(file.path().into()), ..RunArgs::default() }).unwrap_err())
        };
        assert!(wrong("ports = [53]\nobserv = \"all\"\n").contains("line 2"));
        assert!(wrong("ports = [70000]\n").contains("line 1"));
        let everyone = wrong("ports = [53]\nobserve = \"everyone\"\n");
        assert!(everyone.contains("line 2") && everyone.contains("`clients`, `servers`, `all`"), "{everyone}");
        assert!(wrong("metrics = \"0.0.0.0:9\"\n").contains("loopback"));
        assert!(wrong("ring-size = 3\n").contains("power of two"));
        assert!(wrong("timeout = 0\n").contains("above 0"));
        for seconds in ["-1", "86401", "nan"] {
            assert!(wrong(&format!("alert-window = {seconds}\n")).contains("from 0 (off) to 86400"));
        }
    }

    #[test]
    fn a_named_file_must_exist_and_the_default_need_not() {
        let args = RunArgs { config: Some("/nonexistent/dnstrail.toml".into()), ..RunArgs::default() };
        assert!(format!("{:#}", Run::new(args).unwrap_err()).starts_with("/nonexistent/dnstrail.toml: cannot be read"));
    }
}
