//! The tests that need root, daemons, other packages or virtual machines, in one binary. `make test` runs
//! it after the quick tests. A test fails where something is missing; none skips.

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

mod hung;
mod kits;
mod lists;
mod live;
mod manual;
mod package;
mod sink;
#[allow(dead_code, reason = "the quick tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
