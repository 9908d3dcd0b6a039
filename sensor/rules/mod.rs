//! Blocklists: read every public format, compile, match a name by suffix and an address by prefix.
//! Which names of a message are looked up, and what a match becomes, is left to the folders above.
//!
//! # Matching
//! - An entry matches its name and everything below it, at label boundaries. Lists with `match = "exact"`,
//!   and the formats that mean the name alone (a response policy zone without `*.`, `local-data`),
//!   match the name only.
//! - The longest match of each list counts; every list that has one is named, the longest first.
//! - Exceptions win, whether they are the longer match or not. An allow list of a `rules.toml` holds for
//!   all lists; an `@@` rule or `rpz-passthru` holds for its own list, unless the `rules.toml` says more.
//!
//! # Where what is
//! | module | is for |
//! |---|---|
//! | `list` | a list, and an entry of it that matched |
//! | `index` | entries in a read-only form: names, networks, hashes |
//! | `lists` | the formats of list files, and the checks of what they hold |
//! | `set` | one compiled set of lists, and what matches it |
//! | `read` | from paths to a set: `rules.toml`, sources, loading, reload, watching |
//!
//! Each uses those above it in this table only. A set is never changed: a reload makes a new one on
//! another thread, and the loop swaps one pointer.

mod index;
mod list;
mod lists;
mod read;
mod set;

pub use index::names::EntryRef;
pub use list::{Entry, List, Metadata};
pub use lists::{Counts, Format, Problem};
pub use read::{Action, ListError, ListReport, Load, Lookout, Reload, Watched, Watcher, load, places};
pub use set::{Exception, Rules};
