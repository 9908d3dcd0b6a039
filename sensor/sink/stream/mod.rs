//! Outputs that a reader reads as they are written: stdout, pipes, FIFOs and terminals.

pub(super) mod pipe;
pub(super) mod stdout;
