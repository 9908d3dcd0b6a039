//! From the paths that a person gave to a set of lists in force.
//!
//! | module | is for |
//! |---|---|
//! | `refusal` | why a list cannot be used, and what to do |
//! | `directory` | the list files of a directory |
//! | `stamp` | whether a path has another content than before |
//! | `manifest` | which lists there are: a `rules.toml`, a directory, single files |
//! | `source` | a list file as lines: unpacked, bounded, its format recognised |
//! | `load` | all lists into a set, with a report of each |
//! | `reload` | the same beside the loop, on a thread of its own |
//! | `watch` | when a file has changed |
//! | `lookout` | the same beside the loop, on a thread of its own |
//! | `places` | the folders that all of these are read from |

mod directory;
mod load;
mod lookout;
mod manifest;
mod places;
mod refusal;
mod reload;
mod source;
mod stamp;
mod watch;

pub use load::{ListReport, Load, load};
pub use lookout::Lookout;
pub use manifest::Action;
pub use places::places;
pub use refusal::ListError;
pub use reload::Reload;
pub use stamp::Watched;
pub use watch::Watcher;
