//! Applies the sensor's commands to the kernel side, by the maps and flags that both share. The modules above
//! decide them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libbpf_rs::{MapCore, MapFlags};

use super::load::Skeleton;
use crate::event::{Command, ConnectionId, TaskKey};
use crate::skeleton::types::{connection_record, task_key};

/// Sockets muted at a time, as many as the map `muted` holds.
const MUTED: usize = 4_096;

/// Nanoseconds between two readings of the map `sampled`.
const SAMPLED: u64 = 500_000_000;

/// The commands that were applied so far.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Addresses that are watched.
    watched: usize,
    /// Sockets that were muted, oldest first.
    muted: VecDeque<u64>,
    /// How many connections had been put into the map `unjudged` when it was looked through last, and whether
    /// any was left there.
    unjudged: u64,
    has_unjudged: bool,
    /// When the map `sampled` was read last, and how many packets had been left out until then.
    sampled: u64,
    left_out: u64,
}

impl Controls {
    pub(super) fn apply(&mut self, skeleton: &Skeleton, command: &Command) {
        let maps = &skeleton.maps;
        match *command {
            Command::FollowConnections => follow_connections(skeleton),
            // The map has space: the pipeline keeps to its bound, which is the map's.
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

    /// Lets go of the connections that were begun before this moment (CLOCK_MONOTONIC), if they go to no watched
    /// address: all answers that the kernel side had seen until then are read.
    pub(super) fn judge(&mut self, skeleton: &Skeleton, begun: u64) {
        let Some(bss) = skeleton.maps.bss_data.as_deref() else { return };
        // SAFETY: mapped, aligned, and written by the kernel side with atomic adds only.
        let count = unsafe { AtomicU64::from_ptr((&raw const bss.connections_unjudged).cast_mut()) };
        let count = count.load(Ordering::Relaxed);
        if count == self.unjudged && !self.has_unjudged {
            return;
        }
        (self.unjudged, self.has_unjudged) = (count, false);
        let maps = &skeleton.maps;
        for key in maps.unjudged.keys().collect::<Vec<_>>() {
            let Ok(Some(record)) = maps.unjudged.lookup(&key, MapFlags::ANY) else { continue };
            let destination = std::mem::offset_of!(connection_record, destination);
            let Some(destination) = record.get(destination..destination + 16) else { continue };
            let is_watched = || matches!(maps.watched.lookup(destination, MapFlags::ANY), Ok(Some(_)));
            if start_of(&record).is_some_and(|start| start < begun) && !is_watched() {
                let _ = maps.unjudged.delete(&key);
            } else {
                self.has_unjudged = true;
            }
        }
    }

    /// The processes whose packets were sampled since the last call, with the number of packets that were left out.
    /// Reading them takes a moment, so it is done twice a second (`now`: CLOCK_MONOTONIC) and where `left_out`, the
    /// number of all of them, has grown.
    pub(super) fn take_sampled(&mut self, skeleton: &Skeleton, now: u64, left_out: u64) -> Vec<(TaskKey, u64)> {
        if left_out == self.left_out || now.saturating_sub(self.sampled) < SAMPLED {
            return Vec::new();
        }
        (self.left_out, self.sampled) = (left_out, now);
        let sampled = &skeleton.maps.sampled;
        let keys: Vec<_> = sampled.keys().collect();
        let taken = keys.iter().filter_map(|key| {
            let count = sampled.lookup(key, MapFlags::ANY).ok()??;
            let _ = sampled.delete(key);
            Some((task_of(key)?, u64::from_ne_bytes(*count.first_chunk()?)))
        });
        taken.collect()
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
    if let Ok(Some(record)) = connections.lookup(&key, MapFlags::ANY)
        && start_of(&record) == Some(id.begin)
    {
        let _ = connections.delete(&key);
    }
}

/// The key of a process as the kernel side writes it.
fn task_of(key: &[u8]) -> Option<TaskKey> {
    let number = |offset: usize| key.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    let start = key.get(std::mem::offset_of!(task_key, start)..)?.first_chunk()?;
    Some(TaskKey {
        pid: number(std::mem::offset_of!(task_key, pid))?,
        exec_id: number(std::mem::offset_of!(task_key, exec_id))?,
        start: u64::from_ne_bytes(*start),
    })
}

/// The time at which a connection was begun, from a record of the kernel side.
fn start_of(record: &[u8]) -> Option<u64> {
    let start = std::mem::offset_of!(connection_record, start);
    record.get(start..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

fn key(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
