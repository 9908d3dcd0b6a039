//! Does what the sensor asks of the kernel side, by the maps and flags that both share. What is asked for is
//! decided above.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use libbpf_rs::{MapCore, MapFlags};

use super::load::Skeleton;
use crate::event::{Command, ConnectionId};
use crate::skeleton::types::connection_record;

/// Sockets muted at a time, as many as the map `muted` holds.
const MUTED: usize = 4_096;

/// What was asked for so far.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Addresses that are watched.
    watched: usize,
    /// Sockets that were muted, oldest first.
    muted: VecDeque<u64>,
}

impl Controls {
    pub(super) fn apply(&mut self, skeleton: &Skeleton, command: &Command) {
        let maps = &skeleton.maps;
        match *command {
            Command::FollowConnections => follow_connections(skeleton),
            // The map has room: the pipeline keeps to its bound, which is the map's.
            Command::Watch(address) => {
                let _ = maps.watched.update(&key(address), &1u32.to_ne_bytes(), MapFlags::ANY);
                self.watched += 1;
            }
            Command::Forget(address) => {
                let _ = maps.watched.delete(&key(address));
                self.watched = self.watched.saturating_sub(1);
            }
            Command::Release(id) => release(&maps.connections, id),
            Command::Mute { socket, .. } => {
                // The packets of the oldest are looked at again, and nothing is lost.
                if self.muted.len() >= MUTED
                    && let Some(oldest) = self.muted.pop_front()
                {
                    let _ = maps.muted.delete(&oldest.to_ne_bytes());
                }
                if maps.muted.update(&socket.to_ne_bytes(), &1u32.to_ne_bytes(), MapFlags::ANY).is_ok() {
                    self.muted.push_back(socket);
                }
            }
        }
    }

    /// Whether connections to any address are followed.
    pub(super) fn watches(&self) -> bool {
        self.watched > 0
    }
}

fn follow_connections(skeleton: &Skeleton) {
    if let Some(bss) = skeleton.maps.bss_data.as_deref() {
        // SAFETY: mapped and aligned as long as the skeleton lives; the kernel side only reads it.
        let wanted = unsafe { AtomicU32::from_ptr((&raw const bss.connections_wanted).cast_mut()) };
        wanted.store(1, Ordering::Relaxed);
    }
}

/// A later connection may have the socket's address by now: that one stays.
fn release(connections: &impl MapCore, id: ConnectionId) {
    let key = id.socket.to_ne_bytes();
    let begin = std::mem::offset_of!(connection_record, start);
    if let Ok(Some(record)) = connections.lookup(&key, MapFlags::ANY)
        && record.get(begin..begin + size_of::<u64>()) == Some(&id.begin.to_ne_bytes()[..])
    {
        let _ = connections.delete(&key);
    }
}

fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
