//! The tests that need root, daemons, other packages or virtual machines, in one binary. `make test` runs
//! it after the quick tests. A test fails where something is missing; none skips.

mod kits;
mod live;
mod manual;
mod package;
mod sink;
#[allow(dead_code, reason = "the quick tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
