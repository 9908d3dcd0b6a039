//! The kernel edge: what this host allows (`support`), which way in is taken (`attach`), the
//! records that come out (`ring`), and the connections that are wanted (`watched`). What they mean is left to `event` and those above.

#[allow(unsafe_code, reason = "counts and flags that the kernel side shares through mapped memory")]
mod attach;
mod program;
#[allow(unsafe_code, reason = "the ring's descriptor is borrowed from libbpf")]
mod ring;
pub mod support;
mod watched;

pub use attach::{AttachError, Hooks, Observe, Probes, Settings, WayIn};
pub use ring::Ring;
pub use watched::Watched;
