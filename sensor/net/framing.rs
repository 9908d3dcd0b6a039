//! The part of reading a stream that knows its protocol: where a message begins and ends.

/// Cuts the bytes of one flow direction into messages. Bytes come in order, and [`gap`](Self::gap)
/// says where some will never come.
pub trait Framing: Default + Clone {
    /// Begins anew, at the first byte of a connection (`exact`) or somewhere in it.
    fn restart(&mut self, exact: bool);

    /// Takes the next bytes, which begin at the start of a packet where that matters. Returns how many
    /// of them, and of the bytes before, were passed over.
    fn push(&mut self, bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64;

    /// Takes note of `bytes` that will never come. Returns how many bytes the gap costs so far, the
    /// gap itself included.
    fn gap(&mut self, bytes: u64) -> u64;

    /// Gives up the message that is not complete, and returns how many bytes of it were there.
    fn close(&mut self) -> u64;

    /// Bytes that were taken and neither handed out nor passed over.
    fn unread(&self) -> u64;

    /// Bytes of memory in use beside the value itself.
    fn capacity(&self) -> usize;

    /// Gives back memory beyond `capacity` bytes.
    fn shrink(&mut self, capacity: usize);

    /// Begins the count that [`trial`](Self::trial) returns.
    fn begin_trial(&mut self) {}

    /// How many messages since [`begin_trial`](Self::begin_trial) did not begin as messages do, counted as
    /// soon as the beginning is there. A framing that cannot judge counts none.
    fn trial(&self) -> u32 {
        0
    }

    /// Whether the flow carries another protocol. `true` is returned once.
    fn is_foreign(&mut self) -> bool;
}

/// Something known of the bytes of a stream besides the bytes, such as who wrote them.
pub trait Mark: Copy + Default {
    /// The mark of a message whose bytes have `self`, and then `later`.
    #[must_use]
    fn joined(self, later: Self) -> Self;
}

impl Mark for () {
    fn joined(self, _later: Self) -> Self {}
}

/// The framing of a kind that takes no TCP flows.
impl Framing for () {
    fn restart(&mut self, _exact: bool) {}

    fn push(&mut self, bytes: &[u8], _message: &mut dyn FnMut(&[u8])) -> u64 {
        bytes.len() as u64
    }

    fn gap(&mut self, bytes: u64) -> u64 {
        bytes
    }

    fn close(&mut self) -> u64 {
        0
    }

    fn unread(&self) -> u64 {
        0
    }

    fn capacity(&self) -> usize {
        0
    }

    fn shrink(&mut self, _capacity: usize) {}

    fn is_foreign(&mut self) -> bool {
        true
    }
}

/// The judgement on a flow that one segment leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The flow carries what its framing is for, or nothing speaks against it.
    Expected,
    /// The flow carries something else. Given once for a flow, so that its socket can be muted.
    Foreign,
}
