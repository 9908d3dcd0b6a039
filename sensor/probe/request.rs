//! The messages to the part that holds the kernel side. Each is one length; none names a file, a program or a map, so
//! an attacker who owns the asking process can watch addresses and mute sockets, and nothing else.

use std::net::{IpAddr, Ipv6Addr};

use crate::event::{Command, ConnectionId, MuteReason};

/// Bytes of each message: its number, and up to two values.
pub(super) const LENGTH: usize = 17;

/// A wish to the part, which answers each with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// Load and attach. Answered once.
    Attach,
    Apply(Command),
    /// Let go of the connections begun before this moment that go to no watched address.
    Judge(u64),
    /// Put back hooks that lost their program, and send a datagram that must come through the ring.
    Look,
    /// How many runs of probes the kernel skipped.
    Skipped,
    /// The processes whose packets were sampled.
    Sampled,
    Detach,
}

impl Request {
    pub(super) fn encode(self) -> [u8; LENGTH] {
        let mut message = [0; LENGTH];
        let [number, values @ ..] = &mut message;
        let mut put = |first: u64, second: u64| {
            let (head, tail) = values.split_at_mut(8);
            head.copy_from_slice(&first.to_ne_bytes());
            tail.copy_from_slice(&second.to_ne_bytes());
        };
        *number = match self {
            Self::Attach => 1,
            Self::Apply(Command::FollowConnections) => 2,
            Self::Apply(Command::Watch(address) | Command::Forget(address)) => {
                values.copy_from_slice(&mapped(address).octets());
                if matches!(self, Self::Apply(Command::Watch(_))) { 3 } else { 4 }
            }
            Self::Apply(Command::Release(id)) => {
                put(id.socket, id.begin);
                5
            }
            Self::Apply(Command::Mute { socket, reason: MuteReason::NotDns }) => {
                put(socket, 0);
                6
            }
            Self::Judge(begun) => {
                put(begun, 0);
                7
            }
            Self::Look => 8,
            Self::Skipped => 9,
            Self::Detach => 10,
            Self::Sampled => 11,
        };
        message
    }

    /// `None`: it is no message of ours.
    pub(super) fn decode(message: &[u8]) -> Option<Self> {
        let [number, values @ ..] = <&[u8; LENGTH]>::try_from(message).ok()?;
        let octets = <[u8; 16]>::try_from(values.as_slice()).ok()?;
        let address = Ipv6Addr::from(octets);
        let address = address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4);
        let [first, second] =
            [&octets[..8], &octets[8..]].map(|half| half.try_into().map(u64::from_ne_bytes).unwrap_or_default());
        Some(match number {
            1 => Self::Attach,
            2 => Self::Apply(Command::FollowConnections),
            3 => Self::Apply(Command::Watch(address)),
            4 => Self::Apply(Command::Forget(address)),
            5 => Self::Apply(Command::Release(ConnectionId { socket: first, begin: second })),
            6 => Self::Apply(Command::Mute { socket: first, reason: MuteReason::NotDns }),
            7 => Self::Judge(first),
            8 => Self::Look,
            9 => Self::Skipped,
            10 => Self::Detach,
            11 => Self::Sampled,
            _ => return None,
        })
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_comes_back_from_its_bytes() {
        let id = ConnectionId { socket: u64::MAX - 3, begin: 77 };
        for request in [
            Request::Attach,
            Request::Apply(Command::FollowConnections),
            Request::Apply(Command::Watch("192.0.2.7".parse().unwrap())),
            Request::Apply(Command::Forget("2001:db8::7".parse().unwrap())),
            Request::Apply(Command::Release(id)),
            Request::Apply(Command::Mute { socket: 9, reason: MuteReason::NotDns }),
            Request::Judge(1 << 60),
            Request::Look,
            Request::Skipped,
            Request::Sampled,
            Request::Detach,
        ] {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
    }

    #[test]
    fn what_is_no_request_is_none() {
        for number in [0, 12, 255] {
            let mut message = [0; LENGTH];
            message[0] = number;
            assert_eq!(Request::decode(&message), None, "{number}");
        }
        for length in [0, 1, LENGTH - 1, LENGTH + 1, 4096] {
            assert_eq!(Request::decode(&vec![1; length]), None, "{length}");
        }
    }
}
