//! Matches of rules, and the alerts that follow from them.

mod matches;
mod watch;
mod windows;

use crate::field::Field;
use crate::process::Actor;
use crate::rules::{Entry, Metadata};
pub use matches::Matches;
pub use watch::{Lookup, Resolution, WatchList};
pub use windows::{Ended, Windows};

/// An entry of a list, and the field of a document that the entry matches.
#[derive(Debug, Clone)]
pub struct Match {
    pub hit: Entry,
    pub field: &'static Field,
    /// The value of the field.
    pub atomic: String,
}

impl Match {
    /// Bytes of memory, those of its texts included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = self.hit.metadata.as_deref().map_or(0, |metadata| {
            let texts = [&metadata.uuid, &metadata.source, &metadata.description];
            size_of::<Metadata>() + texts.into_iter().flatten().map(String::capacity).sum::<usize>()
        });
        size_of::<Self>() + self.atomic.capacity() + self.hit.indicator.len() + texts
    }

    /// The severity of the entry, else of its list: 0 to 100.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        self.hit.metadata.as_deref().and_then(|metadata| metadata.severity).or(self.hit.list.severity)
    }
}

/// The highest severity of several matches: `event.severity` of their document.
#[must_use]
pub fn severity(matches: &[Match]) -> Option<u8> {
    matches.iter().filter_map(Match::severity).max()
}

/// The repeats of one alert: the same actor matched the same entry again within the alert window.
#[derive(Debug)]
pub struct Summary<'a> {
    /// The actor of the alert.
    pub actor: &'a Actor,
    pub matched: &'a Match,
    /// Further matches, none of which was an alert.
    pub repeats: u64,
    /// The times of the alert and of its last repeat: nanoseconds since the Unix epoch.
    pub first: u64,
    pub last: u64,
    /// The reason why the window ended.
    pub reason: &'static str,
}
