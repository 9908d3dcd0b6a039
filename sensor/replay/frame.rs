//! The place of IP in a captured frame.

/// The content of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// IP, behind so many bytes.
    Ip(usize),
    /// A protocol that carries no IP: ARP, spanning tree and the like.
    Other,
    /// A protocol that may carry IP, and is not read here.
    Unread,
    /// The frame ends in its link-layer header.
    Short,
}
