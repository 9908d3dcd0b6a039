//! The settings of `run` and `replay`: one table. Each entry is at once a flag (`--ring-size`), an
//! environment variable (`DNSTRAIL_RING_SIZE`), a key of the configuration file (`ring-size`), and an entry
//! of `--help`, the manual and the completions. The parser checks each value, so that an error names the
//! flag, or the line of the file. A new setting is an entry here, and its meaning in `config`.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::value::{AlertWindow, Heartbeat, Loopback, Memory, Port, RingSize, Timeout, Watched};
use crate::observe::Observe;
use crate::probe::Hooks;

macro_rules! settings {
    ($(
        $(#[$about:meta])*
        $group:ident { $($(#[$entry:meta])* $name:ident: $type:ty,)+ }
    )+) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, Default, Args)]
            pub struct $group { $($(#[$entry])* #[arg(long)] pub $name: $type,)+ }

            impl $group {
                /// The value from the command line or the environment wins over the file's.
                pub(super) fn over(self, file: &mut FileSettings) -> Self {
                    Self { $($name: self.$name.or_given(std::mem::take(&mut file.$name)),)+ }
                }
            }
        )+

        /// The configuration file. Every key may be left out.
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        pub(super) struct FileSettings { $($(pub(super) $name: $type,)+)+ }

        /// The keys of the configuration file, with `_` for `-`.
        pub const NAMES: &[&str] = &[$($(stringify!($name),)+)+];
    };
}

settings! {
    /// The settings that `run` and `replay` share.
    Common {
        /// A blocklist file, a directory of them, or a rules.toml; may be given several times
        #[arg(value_name = "PATH", value_delimiter = ',')]
        rules: Vec<PathBuf>,
        /// Where documents go: stdout, file:PATH, syslog, syslog:unix:PATH, syslog:udp://HOST:PORT,
        /// syslog:tcp://HOST:PORT, syslog:tls://HOST:PORT; may be given several times, in the environment
        /// separated by `;` [default: stdout]
        #[arg(value_name = "OUT", value_delimiter = ';')]
        output: Vec<String>,
        /// More ports that carry DNS, besides 53, 5353 and 5355
        #[arg(value_name = "PORT", value_delimiter = ',')]
        ports: Vec<Port>,
        /// The kinds of sightings to emit, or `all` [default: dns,connection]
        #[arg(value_name = "KIND", value_enum, value_delimiter = ',')]
        watch: Vec<Watched>,
        /// Report a query that has no answer after this many seconds [default: 5]
        #[arg(value_name = "SECONDS")]
        timeout: Option<Timeout>,
        /// Memory for the tables that other programs can fill, in MiB. Lists, the buffers of outputs and the
        /// ring have bounds of their own [default: 192]
        #[arg(value_name = "MIB")]
        memory: Option<Memory>,
    }

    /// The settings of `run` alone.
    Live {
        /// The kernel hooks to use [default: auto, the best that this kernel allows]
        #[arg(value_name = "HOOKS", value_enum)]
        hooks: Option<Hooks>,
        /// The side of a conversation to record [default: clients]
        #[arg(value_name = "SIDE", value_enum)]
        observe: Option<Observe>,
        /// Write this file once the probes are attached
        #[arg(value_name = "PATH")]
        ready_file: Option<PathBuf>,
        /// Raise one alert per process and listed name or address in this many seconds, then report how often
        /// it was repeated [default: 0, each lookup is an alert]
        #[arg(value_name = "SECONDS")]
        alert_window: Option<AlertWindow>,
        /// Write a document about the sensor's own state in this interval [default: 300; 0 is off]
        #[arg(value_name = "SECONDS")]
        heartbeat: Option<Heartbeat>,
        /// Serve Prometheus metrics on this loopback address, for example 127.0.0.1:9153
        #[arg(value_name = "ADDR")]
        metrics: Option<Loopback>,
        /// Size of the buffer between kernel and sensor, in MiB [default: 16]
        #[arg(value_name = "MIB")]
        ring_size: Option<RingSize>,
    }
}

/// A value that may have been left out.
trait Given {
    /// `self` if it was given, else `other`.
    fn or_given(self, other: Self) -> Self;
}

impl<T> Given for Option<T> {
    fn or_given(self, other: Self) -> Self {
        self.or(other)
    }
}

impl<T> Given for Vec<T> {
    fn or_given(self, other: Self) -> Self {
        if self.is_empty() { other } else { self }
    }
}
