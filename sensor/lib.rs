//! dnstrail: which binary resolved that domain?
//!
//! The modules depend downwards only (`tests/layers.rs` checks it):
//! `command → {cli, view, probe, replay, pipeline, sink}`,
//! `pipeline → ecs → {stream, process, rules} → {event, packet, dns, metrics}`.

pub mod cli;
pub mod command;
pub mod dns;
pub mod ecs;
pub mod event;
pub mod metrics;
pub mod packet;
pub mod pipeline;
pub mod probe;
pub mod process;
pub mod replay;
pub mod rules;
pub mod sink;
#[doc(hidden)]
#[allow(unsafe_code, reason = "generated")]
pub mod skeleton;
pub mod stream;
pub mod transaction;
pub mod view;
