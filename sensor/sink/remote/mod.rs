//! Receivers behind a connection: a thread that connects, sends and connects again, lines that are kept
//! until they are confirmed, and syslog over a local socket, UDP, TCP and TLS.
//!
//! A line that the peer's kernel had not confirmed when a connection was lost is sent again. A line that
//! the peer's kernel had confirmed, but its program had not read, is gone with a receiver that is
//! killed, and no sender can know: a reset connection is the sign, and the number of lines concerned is
//! counted as uncertain. A connection that the receiver ended in order leaves no doubt.

mod backlog;
mod input;
mod link;
mod syslog;
mod tcp;
mod tls;
mod udp;
mod unix;
mod wait;
mod worker;

pub(super) use link::{Connector, Doubt, Link, Lost, Message};
pub(super) use syslog::connector;
pub(super) use wait::{Ready, wait_writable};
pub(super) use worker::Worker;
