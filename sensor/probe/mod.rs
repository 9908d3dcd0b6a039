//! The kernel edge: what this host allows (`support`), which way in is taken (`attach`), and the
//! records that come out (`ring`). What they mean is left to `event` and those above.

mod attach;
mod program;
mod ring;
pub mod support;

pub use attach::{AttachError, Hooks, Observe, Probes, Settings, WayIn};
pub use ring::Ring;
