//! The values of settings, each with its bounds. The same check serves the command line, the environment
//! and the file, and each of the three adds where the value stands.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use serde::Deserialize;

use crate::observe::Observe;
use crate::probe::Hooks;
use crate::sighting::{Name, Watch};

/// Port 0 is not a port.
pub type Port = NonZeroU16;

/// `--timeout`: the longest wait is an hour, because no program waits longer for an answer.
pub type Timeout = Seconds<false, 3600>;

/// `--alert-window`: repeats are reported at the end of the window, and a report that is a day late is of no use.
pub type AlertWindow = Seconds<true, 86_400>;

/// `--heartbeat`: a sensor that says nothing for longer than a day is not known to be alive.
pub type Heartbeat = Seconds<true, 86_400>;

/// A value outside its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("give seconds above 0 and up to {0}")]
    SecondsAboveZero(u64),
    #[error("give seconds from 0 (off) to {0}")]
    SecondsFromZero(u64),
    #[error("give MiB as a power of two from 1 to 1024")]
    RingSize,
    #[error("give MiB from 64 to 65536")]
    Memory,
    #[error("give kinds of sightings, or all: {}", Watched::EACH.map(Watched::name).join(", "))]
    Kind,
    #[error("give an address and a port, for example 127.0.0.1:9153")]
    Address,
    #[error("metrics are served on loopback only, for example on 127.0.0.1:{0}")]
    NotLoopback(u16),
}

/// Seconds up to `MOST`; 0 only where `ZERO` allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Seconds<const ZERO: bool, const MOST: u64>(pub Duration);

impl<const ZERO: bool, const MOST: u64> TryFrom<f64> for Seconds<ZERO, MOST> {
    type Error = ValueError;

    fn try_from(seconds: f64) -> Result<Self, ValueError> {
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|duration| (ZERO || !duration.is_zero()) && *duration <= Duration::from_secs(MOST))
            .map(Self)
            .ok_or(if ZERO { ValueError::SecondsFromZero(MOST) } else { ValueError::SecondsAboveZero(MOST) })
    }
}

impl<const ZERO: bool, const MOST: u64> FromStr for Seconds<ZERO, MOST> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // A text that is no number lies outside of the bounds as well.
        Self::try_from(text.parse().unwrap_or(f64::NAN))
    }
}

/// `--ring-size`, in bytes: the kernel takes powers of two of whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct RingSize(pub u32);

impl RingSize {
    /// Half a second of a million messages a second.
    pub const DEFAULT: Self = Self(16 << 20);
}

impl TryFrom<u32> for RingSize {
    type Error = ValueError;

    fn try_from(mebibytes: u32) -> Result<Self, ValueError> {
        let is_size = (1..=1024).contains(&mebibytes) && mebibytes.is_power_of_two();
        is_size.then_some(Self(mebibytes << 20)).ok_or(ValueError::RingSize)
    }
}

impl FromStr for RingSize {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.parse::<u32>().map_err(|_| ValueError::RingSize)?)
    }
}

/// `--memory`, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Memory(pub usize);

impl TryFrom<u32> for Memory {
    type Error = ValueError;

    fn try_from(mebibytes: u32) -> Result<Self, ValueError> {
        let bytes = (64..=65_536).contains(&mebibytes).then(|| usize::try_from(u64::from(mebibytes) << 20));
        bytes.and_then(Result::ok).map(Self).ok_or(ValueError::Memory)
    }
}

impl FromStr for Memory {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::try_from(text.parse::<u32>().map_err(|_| ValueError::Memory)?)
    }
}

/// `--metrics`: a loopback address only, because the counts are of no concern to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Loopback(pub SocketAddr);

impl FromStr for Loopback {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let address: SocketAddr = text.parse().map_err(|_| ValueError::Address)?;
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err(ValueError::NotLoopback(address.port())) }
    }
}

impl TryFrom<String> for Loopback {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

/// `--watch`: one kind of sightings, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Watched {
    Kind(Name),
    All,
}

impl Watched {
    const EACH: [Self; Name::ALL.len() + 1] = {
        let mut each = [Self::All; Name::ALL.len() + 1];
        let mut place = 0;
        while place < Name::ALL.len() {
            each[place] = Self::Kind(Name::ALL[place]);
            place += 1;
        }
        each
    };

    const fn name(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.name(),
            Self::All => "all",
        }
    }

    /// The set that several values make; the default where there is none.
    #[must_use]
    pub fn set(values: &[Self]) -> Watch {
        let with = |set: Watch, value: &Self| match value {
            Self::Kind(kind) => set.with(*kind),
            Self::All => Watch::ALL,
        };
        if values.is_empty() { Watch::default() } else { values.iter().fold(Watch::NONE, with) }
    }
}

impl TryFrom<String> for Watched {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        Self::EACH.into_iter().find(|value| value.name() == text).ok_or(ValueError::Kind)
    }
}

impl ValueEnum for Watched {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::EACH
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Observe {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::EACH
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}

impl ValueEnum for Hooks {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::EACH
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()))
    }
}
