//! The flags and counts that the reader and the kernel side share: the object's `.bss`, mapped into this process.

use std::os::fd::OwnedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use nix::sys::mman::ProtFlags;

use super::ring::{Mapping, page_size};
use crate::metrics::Metrics;
use crate::skeleton::types::{bss, loss};

pub(super) struct Shared(Mapping);

impl Shared {
    pub(super) fn new(map: &OwnedFd) -> nix::Result<Self> {
        let length = size_of::<bss>().next_multiple_of(page_size());
        Mapping::new(map, 0, length, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE).map(Self)
    }

    /// Set while the reader sleeps, so that the kernel side wakes it.
    pub(super) fn idle(&self) -> NonNull<AtomicU32> {
        // SAFETY: within the mapping, and aligned as the object's type says.
        unsafe { NonNull::new_unchecked(&raw mut (*self.start()).reader_idle) }.cast()
    }

    /// The kernel side follows connections from now on.
    pub(super) fn follow_connections(&self) {
        // SAFETY: mapped and aligned as long as `self` lives; the kernel side only reads it.
        let wanted = unsafe { AtomicU32::from_ptr(&raw mut (*self.start()).connections_wanted) };
        wanted.store(1, Ordering::Relaxed);
    }

    /// How many connections were put into the map `unjudged`.
    pub(super) fn unjudged(&self) -> u64 {
        // SAFETY: mapped, aligned, and written by the kernel side with atomic adds only.
        let count = unsafe { AtomicU64::from_ptr(&raw mut (*self.start()).connections_unjudged) };
        count.load(Ordering::Relaxed)
    }

    /// Copies the kernel side's loss counts into `metrics`.
    pub(super) fn count_losses(&self, metrics: &Metrics) {
        for (place, count) in [
            (loss::LOSS_PACKET_RING, &metrics.losses.kernel_packet_ring),
            (loss::LOSS_PROCESS_RING, &metrics.losses.kernel_process_ring),
            (loss::LOSS_PACKET_READ, &metrics.losses.kernel_packet_read),
            (loss::LOSS_PACKET_CUT, &metrics.losses.kernel_packet_cut),
            (loss::LOSS_CONNECTION_RING, &metrics.losses.kernel_connection_ring),
            (loss::LOSS_CONNECTION_TABLE, &metrics.losses.kernel_connection_table),
            (loss::LOSS_PACKET_MUTED, &metrics.losses.kernel_packet_muted),
            (loss::LOSS_PACKET_BUDGET, &metrics.losses.kernel_packet_budget),
            (loss::LOSS_SOCKET_TABLE, &metrics.losses.kernel_socket_table),
        ] {
            // SAFETY: the array is mapped and aligned as long as `self` lives; it is not read here.
            let losses = unsafe { &raw mut (*self.start()).losses };
            if (place.0 as usize) < length(losses) {
                // SAFETY: within the array, and written by the kernel side with atomic adds only.
                let lost = unsafe { AtomicU64::from_ptr(losses.cast::<u64>().add(place.0 as usize)) };
                count.set(lost.load(Ordering::Relaxed));
            }
        }
    }

    fn start(&self) -> *mut bss {
        self.0.start.as_ptr().cast()
    }
}

fn length<T, const LENGTH: usize>(_: *mut [T; LENGTH]) -> usize {
    LENGTH
}
