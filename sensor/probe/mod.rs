//! The kernel edge: what this host allows (`support`), what may be attached (`program`), which way in
//! is loaded (`load`) and taken (`attach`), what was refused (`refusal`), the records that come out
//! (`ring`), whether the kernel side still sees (`check`), and what is asked of it
//! (`controls`). The meaning of the records is left to `event` and the folders above.

#[allow(unsafe_code, reason = "counts and flags that the kernel side shares through mapped memory")]
mod attach;
mod check;
#[allow(unsafe_code, reason = "a flag that the kernel side reads through mapped memory")]
mod controls;
mod load;
mod program;
mod refusal;
#[allow(unsafe_code, reason = "the ring is mapped memory")]
mod ring;
mod settings;
pub mod support;

pub use attach::{AttachError, Probes, Times};
pub use check::Sight;
pub use program::SHARED;
pub use refusal::{Refusal, WayIn};
pub use settings::{Hooks, Observe, Settings};
