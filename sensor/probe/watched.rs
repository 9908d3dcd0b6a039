//! The maps by which the sensor says which connections it means. What is to be watched is left to
//! `pipeline`.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapMut};

use crate::event::ConnectionId;
use crate::skeleton::types::connection_record;

/// The maps `watched` and `connections`. What is written counts at once.
#[derive(Debug)]
pub struct Watched {
    addresses: MapHandle,
    connections: MapHandle,
    /// Addresses that are watched.
    count: Rc<Cell<usize>>,
}

impl Watched {
    pub(super) fn new(
        addresses: &MapMut<'_>,
        connections: &MapMut<'_>,
        count: &Rc<Cell<usize>>,
    ) -> libbpf_rs::Result<Self> {
        let (addresses, connections) = (addresses.try_into()?, connections.try_into()?);
        Ok(Self { addresses, connections, count: Rc::clone(count) })
    }

    pub fn add(&self, address: IpAddr) {
        // It has room: the pipeline keeps to its bound, which is the map's.
        let _ = self.addresses.update(&key(address), &1u32.to_ne_bytes(), MapFlags::ANY);
        self.count.set(self.count.get() + 1);
    }

    pub fn remove(&self, address: IpAddr) {
        let _ = self.addresses.delete(&key(address));
        self.count.set(self.count.get().saturating_sub(1));
    }

    /// Follows this connection no more. A later one may have its socket's address by now: it stays.
    pub fn release(&self, id: ConnectionId) {
        let key = id.socket.to_ne_bytes();
        let begin = std::mem::offset_of!(connection_record, start);
        if let Ok(Some(record)) = self.connections.lookup(&key, MapFlags::ANY)
            && record.get(begin..begin + size_of::<u64>()) == Some(&id.begin.to_ne_bytes()[..])
        {
            let _ = self.connections.delete(&key);
        }
    }
}

fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
