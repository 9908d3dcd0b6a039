//! The kernel edge: what this host allows (`support`), what may be attached (`program`), which way in
//! is loaded (`load`) and taken (`attach`), what was refused (`refusal`), the records that come out
//! (`ring`), and the connections that are wanted (`watched`). What they mean is left to `event` and
//! those above.

#[allow(unsafe_code, reason = "counts and flags that the kernel side shares through mapped memory")]
mod attach;
mod load;
mod program;
mod refusal;
#[allow(unsafe_code, reason = "the ring's descriptor is borrowed from libbpf")]
mod ring;
mod settings;
pub mod support;
mod watched;

pub use attach::{AttachError, Probes, Times};
pub use refusal::{Refusal, WayIn};
pub use ring::Ring;
pub use settings::{Hooks, Observe, Settings};
pub use watched::Watched;
