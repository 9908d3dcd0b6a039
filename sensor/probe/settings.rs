//! The settings of the probes.

use serde::Deserialize;

use crate::event::program::Program;
pub use crate::observe::Observe;

/// The ways in that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hooks {
    /// The best that attaches.
    #[default]
    Auto,
    Fentry,
    Kprobe,
    Cgroup,
}

impl Hooks {
    pub const EACH: [Self; 4] = [Self::Auto, Self::Fentry, Self::Kprobe, Self::Cgroup];

    /// The value of `--hooks` and of the key `hooks`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Cgroup => "cgroup",
        }
    }
}

/// The settings of the probes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The programs of the kinds that are watched, besides those that all kinds need.
    pub programs: Vec<&'static Program>,
    /// Ports that carry DNS, UDP and TCP.
    pub ports: Vec<u16>,
    pub observe: Observe,
    pub hooks: Hooks,
    /// Bytes of the ring: a power of two of whole pages.
    pub ring_bytes: u32,
}
