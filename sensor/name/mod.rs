//! Names: their labels, their public suffix, and every spelling of them. Lists, people and packets
//! share this one reader, so that a name means the same wherever it comes from.
//!
//! A name in *document form* is lower case and without the trailing dot. An internationalised name
//! stands there as punycode. Bytes outside 0x20–0x7e are `\DDD`, and a dot, a quote or a backslash
//! inside of a label has a backslash before it. `dns` gives names in this form, and [`canonical`]
//! brings every other spelling into it.
//!
//! | module | is for |
//! |---|---|
//! | `labels` | where the labels of a name begin and end |
//! | `suffix` | the public suffix of a name, and its registered domain |
//! | `spelling` | a name as people write it, in document form |
//! | `network` | an address, or a range of addresses |
//! | `indicator` | what a list or a person names: a name, an address, a range, a URL |
//! | `flaw` | why a text is none of these |

mod flaw;
mod indicator;
mod labels;
mod network;
mod spelling;
mod suffix;

pub use flaw::Flaw;
pub use indicator::{Indicator, Urls, address};
pub use labels::{Labels, label_start};
pub use network::Network;
pub use spelling::canonical;
pub use suffix::{Suffix, is_registry};
