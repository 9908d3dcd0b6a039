//! From the paths that a person gave to a set of lists in force.
//!
//! | module | is for |
//! |---|---|
//! | `manifest` | which lists there are: a `rules.toml`, a directory, single files |
//! | `source` | a list file as lines: unpacked, bounded, its format recognised |
//! | `load` | all lists into a set, with a report of each |
//! | `reload` | the same beside the loop, on a thread of its own |
//! | `watch` | when a file has changed |

mod load;
mod manifest;
mod reload;
mod source;
mod watch;

pub use load::{ListReport, Load, Unusable, load};
pub use manifest::Action;
pub use reload::Reload;
pub use watch::{Watched, Watcher};
