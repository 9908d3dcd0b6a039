//! Outputs against real syslog daemons, a full disk, and a file system that hangs.

mod disk;
mod hang;
pub mod receivers;
mod restarts;
mod syslog;
mod tls;
