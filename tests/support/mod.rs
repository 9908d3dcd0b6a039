//! Builders of input and checks of output, for both test binaries.

pub mod bytes;
pub mod commands;
pub mod conformance;
pub mod formats;
pub mod golden;
pub mod memory;
pub mod outputs;
pub mod samples;
