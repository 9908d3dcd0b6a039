//! Outputs that a reader reads while they are written: stdout, pipes, FIFOs and terminals.

mod pending;
mod pipe;
mod stdout;

pub(super) use pipe::{PipeConnector, stdout_never_waits};
pub(super) use stdout::Stdout;
