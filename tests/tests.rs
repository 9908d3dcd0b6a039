//! `make quick`: the tests that need neither root, network, daemons nor another package, in one binary.

#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    clippy::format_collect,
    clippy::large_stack_arrays,
    clippy::naive_bytecount,
    clippy::needless_for_each,
    clippy::struct_field_names,
    clippy::zero_repeat_side_effects,
    reason = "what these cost or hide matters in the sensor, not in a test"
)]

mod bounded;
mod cases;
mod cli;
mod dns;
mod event;
mod journal;
mod layers;
mod net;
mod pipeline;
mod prose;
mod replay;
mod rules;
mod schema;
mod sink;
#[allow(dead_code, reason = "the system tests use the rest")]
mod support;
mod view;
mod walls;
