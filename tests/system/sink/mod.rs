//! The outputs against real syslog daemons, and against a disk that is full.

mod disk;
pub mod receivers;
mod restarts;
mod syslog;
mod tls;
