//! Records out of bytes: checked for length, then copied. `event` knows the meaning of their fields.

use std::mem::size_of;

use super::DecodeError;
use crate::skeleton::types::{
    connection_record, ends_record, exit_record, fork_record, packet_record, process_record, record_header,
};

/// The records of `event.h`: integers and arrays of integers, so any bytes are a valid value.
///
/// # Safety
/// Implement only for `repr(C)` structs of integers.
pub(super) unsafe trait Record: Copy {}
// SAFETY: generated `repr(C)` structs of integers and arrays of integers.
unsafe impl Record for record_header {}
// SAFETY: as above.
unsafe impl Record for packet_record {}
// SAFETY: as above.
unsafe impl Record for ends_record {}
// SAFETY: as above.
unsafe impl Record for process_record {}
// SAFETY: as above.
unsafe impl Record for fork_record {}
// SAFETY: as above.
unsafe impl Record for exit_record {}
// SAFETY: as above.
unsafe impl Record for connection_record {}

/// Copies a record out of the start of `bytes`, and gives what follows it.
pub(super) fn split<T: Record>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    let (head, rest) = bytes.split_at_checked(size_of::<T>()).ok_or(DecodeError::Short(bytes.len()))?;
    // SAFETY: `head` holds exactly the bytes of a `T`, for which every value is valid; the read
    // does not need them aligned.
    Ok((unsafe { head.as_ptr().cast::<T>().read_unaligned() }, rest))
}
