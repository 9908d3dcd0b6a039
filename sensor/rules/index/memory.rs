//! Memory for the large parts of a rule set, which goes back to the kernel after a reload.
//!
//! glibc gives memory back to the kernel at once only if it was mapped for itself, and its threshold for
//! that climbs up to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`). A larger piece is always mapped, and pages
//! that are never touched cost nothing but address space.

/// From this size on, memory is asked for in one piece of at least [`OWN_MAPPING`].
const LARGE: usize = 1 << 20;
/// More than the highest threshold.
const OWN_MAPPING: usize = 40 << 20;

/// An empty vector with space for so many items.
pub(in crate::rules) fn roomy<T>(items: usize) -> Vec<T> {
    let mut empty = Vec::new();
    make_space(&mut empty, items);
    empty
}

/// Makes sure that so many more items fit.
#[inline]
pub(in crate::rules) fn make_space<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() >= more {
        return;
    }
    let enough = OWN_MAPPING / size_of::<T>();
    if (items.len() + more) * size_of::<T>() > LARGE && items.len() + more < enough {
        items.reserve_exact(enough - items.len());
    } else {
        items.reserve(more);
    }
}
