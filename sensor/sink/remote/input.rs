//! Steps that every kind of socket shares: a name becomes addresses, the socket's buffer is waited for, and bytes from a
//! receiver are read and dropped.

use std::io::{self, Read};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

use super::super::error::LinkError;
use super::super::target::Address;
use super::wait::{Ready, wait_writable};

/// Bytes read at once from a receiver: syslog has no answers.
const IGNORED: usize = 4096;

pub(super) fn resolve(address: &Address) -> Result<impl Iterator<Item = SocketAddr>, LinkError> {
    let addresses = (address.host.as_str(), address.port).to_socket_addrs();
    addresses.map_err(|error| LinkError::Unresolved { host: address.host.clone(), error })
}

pub(super) fn wait_for_space(descriptor: impl AsFd, limit: Duration) -> Result<(), LinkError> {
    // A peer that has gone is met by the next send or check, with its own error.
    if wait_writable(descriptor, limit)? == Ready::Broken {
        std::thread::yield_now();
    }
    Ok(())
}

/// Reads once and drops the bytes: a receiver that talks without end does not hold the thread.
pub(super) fn discard_input(stream: &mut impl Read) -> Result<(), LinkError> {
    match stream.read(&mut [0; IGNORED]) {
        Ok(0) => Err(LinkError::Ended),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
