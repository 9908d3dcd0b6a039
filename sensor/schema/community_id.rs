//! `network.community_id`: a name for a flow that Zeek, Suricata and others give to the same flow, too
//! (Community ID Flow Hashing, version 1, seed 0).

use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::invariant::Invariant;

/// `1:` and the SHA-1 of the flow in base64, in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommunityId([u8; LENGTH]);

const LENGTH: usize = 1 + 2 + 28 + 1;

/// Seed, two IPv6 addresses, protocol, padding and two ports.
const LONGEST: usize = 2 + 32 + 2 + 4;

impl CommunityId {
    /// Both directions of a flow have one id: the smaller end comes first.
    pub(super) fn new(one: SocketAddr, other: SocketAddr, protocol: u8) -> Self {
        let (low, high) =
            if (one.ip(), one.port()) <= (other.ip(), other.port()) { (one, other) } else { (other, one) };
        let mut input = Input { bytes: [0; LONGEST], length: 2 };
        input.push_address(low.ip());
        input.push_address(high.ip());
        input.push(&[protocol, 0]);
        input.push(&low.port().to_be_bytes());
        input.push(&high.port().to_be_bytes());
        let mut text = *b"\"1:0000000000000000000000000000\"";
        if let Some(room) = text.get_mut(3..LENGTH - 1) {
            // It cannot fail: 20 bytes take 28 characters.
            let _ = STANDARD.encode_slice(Sha1::digest(input.filled()), room);
        }
        Self(text)
    }

    /// With its quotes.
    pub(super) fn as_json(&self) -> &[u8] {
        &self.0
    }
}

struct Input {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Input {
    fn push_address(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.push(&address.octets()),
            IpAddr::V6(address) => self.push(&address.octets()),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn filled(&self) -> &[u8] {
        self.bytes.get(..self.length).holds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(one: &str, other: &str, protocol: u8, expected: &str) {
        let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
        for id in [CommunityId::new(one, other, protocol), CommunityId::new(other, one, protocol)] {
            assert_eq!(str::from_utf8(id.as_json()).unwrap(), format!("\"{expected}\""));
        }
    }

    #[test]
    fn vectors_of_the_specification() {
        is("128.232.110.120:34855", "66.35.250.204:80", 6, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        is("192.168.1.52:54585", "8.8.8.8:53", 17, "1:d/FP5EW3wiY1vCndhwleRRKHowQ=");
    }
}
