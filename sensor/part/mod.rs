//! The parts of the sensor: processes of their own with the few privileges that one task needs, asked by fixed messages
//! over a socket. The process that asks has no privilege, and reads what attackers write; a part therefore does
//! what it was started for, and takes no path and no address from a message. The task of each part is left to the
//! folder that needs it.

mod channel;
mod process;

pub use channel::{Channel, Lost, Message, SIZE};
pub use process::Part;
