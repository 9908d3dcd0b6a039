//! Outputs: stdout, files, FIFOs and syslog receivers, several at once, none of which holds up another.
//! Bytes and their route are known here; their meaning is not: documents are made above, once for each
//! format in use.
//!
//! The only stdout of a run is written by the loop, so that a slow reader slows the loop and the kernel
//! counts the loss. Every other output has a thread and a bounded buffer of its own, because disks, name
//! resolution, TLS handshakes and stuck receivers block.

mod delivery;
mod error;
mod file;
mod health;
mod line;
mod open;
mod output;
mod outputs;
mod parameters;
mod reach;
mod remote;
mod stream;
mod target;

pub use error::OpenError;
pub use health::Tally;
pub use line::{Format, Kind, Kinds, Line};
pub use output::{Backlog, Stopping, WhenFull};
pub use outputs::{Change, Loss, OutputState, Outputs, TICK};
pub use parameters::{PARAMETERS, Parameter, Scheme};
pub use reach::Reach;
pub use target::{Address, Framing, Receiver, Rfc, Rotate, Rotation, Route, Syslog, Target, TargetError, Tls};
