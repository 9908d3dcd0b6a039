//! The side of a conversation that is recorded: one choice, made on the command line and obeyed by the
//! kernel side and by the pipeline.

use serde::Deserialize;

/// The side whose sightings become documents. A capture has one sighting of each message, and that one
/// always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// The programs that ask.
    #[default]
    Clients,
    /// The resolvers that answer.
    Servers,
    All,
}

impl Observe {
    pub const EACH: [Self; 3] = [Self::Clients, Self::Servers, Self::All];

    /// The value of `--observe` and of the key `observe`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Servers => "servers",
            Self::All => "all",
        }
    }
}
