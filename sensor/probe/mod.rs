//! The kernel edge: what this host allows (`support`), what may be attached (`program`), which way in
//! is loaded (`load`) and taken (`attach`), what was refused (`refusal`). The part that holds it all is asked
//! (`serve`, `request`, `controls`); the reader has the records (`probes`, `ring`), and looks whether the kernel side
//! still sees (`check`, `canary`). The meaning of the records is left to `event` and the folders above.

#[allow(unsafe_code, reason = "facts about programs that only a plain system call gives")]
mod attach;
mod canary;
mod check;
mod controls;
mod load;
mod probes;
mod program;
mod refusal;
mod request;
#[allow(unsafe_code, reason = "the ring is mapped memory")]
mod ring;
mod serve;
mod settings;
#[allow(unsafe_code, reason = "flags and counts in mapped memory")]
mod shared;
pub mod support;

pub use attach::{AttachError, Times};
pub use check::Sight;
pub use probes::Probes;
pub use program::SHARED;
pub use refusal::{Refusal, WayIn};
pub use serve::serve;
pub use settings::{Hooks, Observe, Settings};
