//! Sequence numbers of TCP, which count modulo 2^32.

/// How far `a` is after `b`, modulo 2^32.
pub(super) fn after(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b).cast_signed()
}

/// The length of a segment. No packet is longer than a `u32` counts: the length of a datagram is a `u32` itself (RFC
/// 2675).
pub(super) fn length32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
