//! The command line, the configuration, and the README that explains both.

mod configuration;
mod examples;
mod readme;
