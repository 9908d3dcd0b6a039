//! The meaning of the command line: flags over environment over file over defaults. The parser of the
//! command line has merged the environment already; each value was checked where it was read.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::{self, FileSettings};
use super::value::{RingSize, Watched};
use super::{ReplayArgs, RunArgs};
use crate::input::{self, Refusal};
use crate::metrics::MEMORY;
use crate::observe::Observe;
use crate::probe::Hooks;
use crate::sighting::Watch;

/// The configuration file where no `--config` names another; it need not exist.
const DEFAULT_FILE: &str = "/etc/dnstrail/dnstrail.toml";
/// Bytes of a configuration file that are read. A configuration has some hundred bytes; a larger file is some other
/// file.
const LARGEST_FILE: u64 = 1 << 20;
/// Ports that carry DNS, mDNS (RFC 6762) and LLMNR (RFC 4795).
pub const PORTS: [u16; 3] = [53, 5353, 5355];
/// glibc asks again after 5 s (RES_TIMEOUT), so a later answer is too late for the program.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Often enough that a sensor which died is noticed soon, and few lines beside those of a quiet host.
const HEARTBEAT: Duration = Duration::from_mins(5);

/// The settings of `run`.
#[derive(Debug, Clone)]
pub struct Run {
    pub common: Common,
    pub hooks: Hooks,
    pub observe: Observe,
    pub ready_file: Option<PathBuf>,
    pub duration: Option<Duration>,
    /// Seconds of an alert window. Zero: each lookup raises its own alert.
    pub alert_window: Duration,
    /// Zero: no document says that the sensor is alive.
    pub heartbeat: Duration,
    pub metrics: Option<SocketAddr>,
    /// The size of the ring in bytes.
    pub ring_bytes: u32,
}

/// The settings that `run` and `replay` share.
#[derive(Debug, Clone)]
pub struct Common {
    pub rules: Vec<PathBuf>,
    /// `OUT` texts; never empty.
    pub outputs: Vec<String>,
    /// Sorted, without duplicates.
    pub ports: Vec<u16>,
    pub timeout: Duration,
    pub watch: Watch,
    /// Bytes of the tables that other programs can fill.
    pub memory: usize,
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{path}: {cause}; give a TOML file with --config")]
    Refused { path: PathBuf, cause: Refusal },
    #[error("{path}: not a valid configuration")]
    Invalid { path: PathBuf, source: toml::de::Error },
}

impl Run {
    /// # Errors
    /// A configuration file that cannot be used.
    pub fn new(args: RunArgs) -> Result<Self, ConfigError> {
        let mut file = read(args.config.as_deref())?;
        let common = Common::new(args.common, &mut file);
        let live = args.live.over(&mut file);
        Ok(Self {
            common,
            hooks: live.hooks.unwrap_or_default(),
            observe: live.observe.unwrap_or_default(),
            ready_file: live.ready_file,
            duration: args.duration.map(Duration::from_secs),
            alert_window: live.alert_window.map_or(Duration::ZERO, |window| window.0),
            heartbeat: live.heartbeat.map_or(HEARTBEAT, |heartbeat| heartbeat.0),
            metrics: live.metrics.map(|metrics| metrics.0),
            ring_bytes: live.ring_size.unwrap_or(RingSize::DEFAULT).0,
        })
    }
}

impl Common {
    /// A replay has no configuration file: the same command gives the same lines on every host.
    #[must_use]
    pub fn of_replay(args: &ReplayArgs) -> Self {
        Self::new(args.common.clone(), &mut FileSettings::default())
    }

    fn new(typed: settings::Common, file: &mut FileSettings) -> Self {
        // Ports add up; of every other setting one value is in force.
        let more = [&*file.ports, &typed.ports].concat();
        let settings = typed.over(file);
        let mut ports: Vec<u16> = PORTS.into_iter().chain(more.into_iter().map(u16::from)).collect();
        ports.sort_unstable();
        ports.dedup();
        let mut outputs = settings.output;
        if outputs.is_empty() {
            outputs.push("stdout".into());
        }
        let timeout = settings.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        let watch = Watched::set(&settings.watch);
        let memory = settings.memory.map_or(MEMORY, |memory| memory.0);
        Self { rules: settings.rules, outputs, ports, timeout, watch, memory }
    }
}

fn read(path: Option<&Path>) -> Result<FileSettings, ConfigError> {
    let (path, is_required) = path.map_or((Path::new(DEFAULT_FILE), false), |path| (path, true));
    let text = match input::text(path, LARGEST_FILE) {
        Ok(text) => text,
        Err(Refusal::Unreadable(source)) if source.kind() == io::ErrorKind::NotFound && !is_required => {
            return Ok(FileSettings::default());
        }
        Err(cause) => return Err(ConfigError::Refused { path: path.into(), cause }),
    };
    toml::from_str(&text).map_err(|source| ConfigError::Invalid { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use nix::sys::stat::Mode;

    use super::super::value::Timeout;
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn with_file(path: &Path) -> RunArgs {
        RunArgs { config: Some(path.into()), ..RunArgs::default() }
    }

    fn error(path: &Path) -> String {
        format!("{:#}", anyhow::Error::from(Run::new(with_file(path)).unwrap_err()))
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = file(
            "ports = [5300]\ntimeout = 2.5\nalert-window = 0.5\nobserve = \"servers\"\noutput = [\"file:/tmp/a\"]\n",
        );
        let mut args = with_file(file.path());
        args.common.timeout = Some(Timeout::try_from(1.0).unwrap());
        args.common.ports = vec![5301.try_into().unwrap()];
        let run = Run::new(args).unwrap();
        assert_eq!(run.common.ports, [53, 5300, 5301, 5353, 5355]);
        assert_eq!(run.common.timeout, Duration::from_secs(1));
        assert_eq!((run.observe, run.hooks), (Observe::Servers, Hooks::Auto));
        assert_eq!(run.alert_window, Duration::from_millis(500));
        assert_eq!(run.common.outputs, ["file:/tmp/a"]);
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_line() {
        for (text, line, reason) in [
            ("ports = [53]\nobserv = \"all\"\n", "line 2", "unknown field `observ`"),
            ("ports = [70000]\n", "line 1", "u16"),
            ("\nports = [0]\n", "line 2", "nonzero"),
            ("ports = [53]\nobserve = \"everyone\"\n", "line 2", "`clients`, `servers`, `all`"),
            ("metrics = \"0.0.0.0:9\"\n", "line 1", "loopback only, for example on 127.0.0.1:9"),
            ("ring-size = 3\n", "line 1", "power of two"),
            ("timeout = 0\n", "line 1", "above 0 and up to 3600"),
            ("\nalert-window = -1\n", "line 2", "from 0 (off) to 86400"),
            ("memory = 63\n", "line 1", "MiB from 64 to 65536"),
            ("heartbeat = 86401\n", "line 1", "from 0 (off) to 86400"),
            ("alert-window = 86401\n", "line 1", "from 0 (off) to 86400"),
            ("alert-window = nan\n", "line 1", "from 0 (off) to 86400"),
        ] {
            let file = file(text);
            let error = error(file.path());
            assert!(error.contains(line) && error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = error(Path::new("/nonexistent/dnstrail.toml"));
        assert!(error.starts_with("/nonexistent/dnstrail.toml: cannot be read: No such file"), "{error}");
    }

    /// Only a regular file is a configuration: opening a FIFO would wait for its writer, and `/dev/zero` never ends.
    #[test]
    fn only_a_regular_file_of_some_size_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        for (path, kind) in [(&*fifo, "a pipe"), (Path::new("/dev/zero"), "a device"), (folder.path(), "a directory")] {
            let expected = format!("{}: is {kind}, not a file; give a TOML file with --config", path.display());
            assert_eq!(error(path), expected);
        }
        let large = file(&"#\n".repeat(1 << 19));
        assert!(Run::new(with_file(large.path())).is_ok());
        large.as_file().set_len(LARGEST_FILE + 1).unwrap();
        assert!(error(large.path()).contains("has more than 1048576 bytes"));
    }
}
