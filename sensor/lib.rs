//! dnstrail: which binary resolved that domain?
//!
//! The modules depend downwards only (`tests/layers.rs` checks it):
//! `run → {cli, config, probe, replay, pipeline, sink}`,
//! `pipeline → ecs → {stream, process, rules} → {event, packet, dns, metrics}`.

pub mod dns;
pub mod ecs;
pub mod event;
pub mod metrics;
pub mod packet;
pub mod pipeline;
pub mod process;
pub mod replay;
pub mod rules;
pub mod sink;
pub mod stream;
pub mod transaction;
