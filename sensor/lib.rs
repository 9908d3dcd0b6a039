//! dnstrail: which binary resolved that domain?
//!
//! The modules depend downwards only (`tests/layers.rs` checks it):
//! `command → {cli, view, probe, replay, pipeline, sink}`,
//! `pipeline → sighting → schema → alert → {process, rules} → {event, field, json, metrics}`.

pub mod alert;
pub mod bounded;
pub mod cli;
pub mod command;
pub mod dns;
pub mod event;
pub mod field;
pub mod host;
pub mod input;
pub mod invariant;
pub mod journal;
pub mod json;
pub mod metrics;
pub mod name;
pub mod net;
pub mod observe;
#[allow(unsafe_code, reason = "processes of its own, and their descriptors")]
pub mod part;
pub mod pipeline;
pub mod probe;
pub mod process;
pub mod replay;
pub mod rules;
pub mod schema;
pub mod shown;
pub mod sighting;
pub mod sink;
#[doc(hidden)]
#[allow(unsafe_code, reason = "generated")]
pub mod skeleton;

pub mod view;
pub mod walls;
