//! A syslog receiver over a local socket, UDP, TCP or TLS, and what any receiver behind a connection
//! needs: a thread that connects, sends and connects again, and lines kept until they are confirmed.

pub(super) mod backlog;
pub(super) mod link;
pub(super) mod syslog;
mod tls;
mod transport;
pub(super) mod worker;
