//! Applies the sensor's commands to the maps of the kernel side. The modules above decide them.

use std::collections::VecDeque;
use std::net::IpAddr;

use libbpf_rs::{MapCore, MapFlags};

use super::load::Skeleton;
use crate::event::{Command, ConnectionId, TaskKey};
use crate::skeleton::types::{connection_record, task_key};

/// Sockets muted at a time, as many as the map `muted` holds.
const MUTED: usize = 4_096;

/// Connections that are judged at once, as many as the map `unjudged` holds. The kernel begins anew where the key at
/// hand is deleted meanwhile, so a client that opens and closes connections could make the list endless.
const UNJUDGED: usize = 4_096;

/// Sampled processes that are taken at once, as many as a message holds.
const SAMPLES: usize = 512;

/// The commands that were applied so far.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Sockets that were muted, oldest first.
    muted: VecDeque<u64>,
}

impl Controls {
    pub(super) fn apply(&mut self, skeleton: &Skeleton, command: &Command) {
        let maps = &skeleton.maps;
        match *command {
            // A flag in the memory that the reader shares with the kernel.
            Command::FollowConnections => {}
            // The map has space: the pipeline keeps to its bound, which is the map's.
            Command::Watch(address) => {
                let _ = maps.watched.update(&key(address), &1u32.to_ne_bytes(), MapFlags::ANY);
            }
            Command::Forget(address) => {
                let _ = maps.watched.delete(&key(address));
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
    /// address: all answers that the kernel side had seen until then are read. Whether any connection is left.
    pub(super) fn judge(skeleton: &Skeleton, begun: u64) -> bool {
        let maps = &skeleton.maps;
        let mut is_any_left = false;
        for key in maps.unjudged.keys().take(UNJUDGED).collect::<Vec<_>>() {
            let Ok(Some(record)) = maps.unjudged.lookup(&key, MapFlags::ANY) else { continue };
            let destination = std::mem::offset_of!(connection_record, destination);
            let Some(destination) = record.get(destination..destination + 16) else { continue };
            let is_watched = || matches!(maps.watched.lookup(destination, MapFlags::ANY), Ok(Some(_)));
            if start_of(&record).is_some_and(|start| start < begun) && !is_watched() {
                let _ = maps.unjudged.delete(&key);
            } else {
                is_any_left = true;
            }
        }
        is_any_left
    }

    /// The processes whose packets were sampled since the last call, with the number of packets that were left out.
    pub(super) fn take_sampled(skeleton: &Skeleton) -> Vec<(TaskKey, u64)> {
        let sampled = &skeleton.maps.sampled;
        let keys: Vec<_> = sampled.keys().take(SAMPLES).collect();
        let taken = keys.iter().filter_map(|key| {
            let count = sampled.lookup(key, MapFlags::ANY).ok()??;
            let _ = sampled.delete(key);
            Some((task_of(key)?, u64::from_ne_bytes(*count.first_chunk()?)))
        });
        taken.collect()
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
