//! `make quick`: the tests that need neither root, network, daemons nor another package, in one binary.

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
