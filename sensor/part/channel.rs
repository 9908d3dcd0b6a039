//! Messages between two parts: bounded, whole, with at most a few descriptors.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, send, sendmsg,
    socketpair,
};

/// The longest message in bytes: two paths and a page of arguments.
pub const SIZE: usize = 16 << 10;
/// Descriptors in one message at most.
const DESCRIPTORS: usize = 4;

/// One end of the connection between two parts.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// The other end is gone, or sent what is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the part that serves it has ended; start dnstrail again")]
pub struct Lost;

/// A message as it came.
#[derive(Debug, Default)]
pub struct Message {
    pub bytes: Vec<u8>,
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(one), Self(other)))
    }

    pub(super) fn of(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }

    /// Another owner of the same end.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Sends a message without descriptors.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Lost> {
        loop {
            match send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Lost),
            }
        }
    }

    /// Sends a message with descriptors, which the sender keeps as well.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Lost> {
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
        loop {
            match sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], rights, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Lost),
            }
        }
    }

    /// Waits for the next message. `deadline`: past it there is none; without one the wait has no end.
    ///
    /// # Errors
    /// The other end is gone.
    pub fn receive(&self, deadline: Option<Instant>) -> Result<Option<Message>, Lost> {
        if let Some(deadline) = deadline
            && !self.is_ready(deadline)
        {
            return Ok(None);
        }
        let mut bytes = vec![0; SIZE];
        let mut room = nix::cmsg_space!([RawFd; DESCRIPTORS]);
        let (length, descriptors, is_cut) = loop {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            match recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::MSG_CMSG_CLOEXEC) {
                Ok(received) => {
                    let descriptors = received.cmsgs().map(|messages| messages.flat_map(owned).collect::<Vec<_>>());
                    let is_cut = received.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
                    break (received.bytes, descriptors.unwrap_or_default(), is_cut);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return Err(Lost),
            }
        };
        if length == 0 || is_cut {
            return Err(Lost);
        }
        bytes.truncate(length);
        Ok(Some(Message { bytes, descriptors }))
    }

    /// Asks, and waits for the one answer.
    ///
    /// # Errors
    /// The other end is gone, or does not answer within `patience`.
    pub fn ask(&self, bytes: &[u8], patience: Duration) -> Result<Message, Lost> {
        self.send(bytes)?;
        self.receive(Some(Instant::now() + patience))?.ok_or(Lost)
    }

    fn is_ready(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], wait) {
                Ok(ready) if ready > 0 => return true,
                Err(Errno::EINTR) => {}
                _ if left.is_zero() => return false,
                _ => {}
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn owned(message: ControlMessageOwned) -> Vec<OwnedFd> {
    let ControlMessageOwned::ScmRights(descriptors) = message else { return Vec::new() };
    // SAFETY: the kernel has made each of these descriptors for this process with this message.
    descriptors.into_iter().map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn messages_come_whole_with_their_descriptors() {
        let (one, other) = Channel::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        one.send_with(b"here", &[null.as_fd()]).unwrap();
        one.send(b"there").unwrap();
        let first = other.receive(None).unwrap().unwrap();
        assert_eq!((&*first.bytes, first.descriptors.len()), (&b"here"[..], 1));
        let mut text = String::new();
        File::from(first.descriptors.into_iter().next().unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "");
        assert_eq!(other.receive(None).unwrap().unwrap().bytes, b"there");
        let soon = Instant::now() + Duration::from_millis(1);
        assert!(other.receive(Some(soon)).unwrap().is_none());
        drop(one);
        assert_eq!(other.receive(None).unwrap_err(), Lost);
        assert_eq!(other.send(b"x").unwrap_err(), Lost);
    }

    #[test]
    fn a_message_that_is_too_long_or_too_rich_ends_the_connection() {
        let (one, other) = Channel::pair().unwrap();
        one.send(&vec![0; SIZE + 1]).unwrap();
        assert_eq!(other.receive(None).unwrap_err(), Lost);
        let null = File::open("/dev/null").unwrap();
        one.send_with(b"x", &[null.as_fd(); DESCRIPTORS + 1]).unwrap();
        assert_eq!(other.receive(None).unwrap_err(), Lost);
    }
}
