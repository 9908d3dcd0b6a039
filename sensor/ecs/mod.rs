//! The output documents: ECS 9.4, one JSON object a line; `cim` and `ocsf` say the same in the words
//! of Splunk and of OCSF, from the same fields after the same cuts. When a document is due is left to
//! `pipeline`; where it goes is left to `sink`. `schemas/event.schema.json` describes every line of ECS.

mod cim;
mod community_id;
mod connection;
mod dns;
mod event;
mod host;
mod json;
mod limits;
mod lookup;
mod network;
mod ocsf;
mod own;
mod process;
mod report;
mod text;
mod threat;
mod time;
mod writer;

pub use host::Agent;
pub use limits::{DEFAULT_LINE, LONGEST_LINE, SHORTEST_LINE};
pub use writer::{Schema, Writer};

/// `ecs.version`
pub const VERSION: &str = "9.4.0";
