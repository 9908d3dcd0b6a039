//! The key of a transaction: the facts that a query and its answer share besides the question.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::net::Transport;
use crate::sighting::Side;

/// Ports of multicast DNS (RFC 6762 5.1) and LLMNR (RFC 4795 2): any host that knows the answer sends it.
const MDNS: u16 = 5353;
const LLMNR: u16 = 5355;

/// The ends of a conversation, its transport, and the place where it was seen.
#[derive(Debug, Clone, Copy)]
pub struct Conversation {
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub transport: Transport,
    /// Inode number, 0 when not known.
    pub network_namespace: u32,
    pub side: Side,
    /// The id of the message.
    pub id: u16,
    /// Socket cookie; 0 when not known.
    pub socket: u64,
    /// NAT changed the ends of this packet on its way, or may have. A query from a socket without an address of its own is then
    /// not found by the address that the answer goes to.
    pub is_translated: bool,
}

/// A [`Conversation`] as bytes, which hash at once: addresses, ports, namespace, id, flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 43]);

const MULTICAST: u8 = 1 << 7;
const OF_SOCKET: u8 = 1 << 6;

impl Key {
    pub(super) fn of_query(conversation: &Conversation) -> Self {
        if conversation.server.ip().is_multicast() {
            Self::multicast(conversation)
        } else if conversation.is_translated && conversation.socket != 0 {
            Self::of_socket(conversation)
        } else {
            Self::unicast(conversation)
        }
    }

    /// The keys that the query may have, the likelier first.
    pub(super) fn of_answer(conversation: &Conversation) -> [Option<Self>; 3] {
        let group = matches!(conversation.server.port(), MDNS | LLMNR);
        [
            Some(Self::unicast(conversation)),
            group.then(|| Self::multicast(conversation)),
            (conversation.socket != 0).then(|| Self::of_socket(conversation)),
        ]
    }

    pub(super) fn is_multicast(&self) -> bool {
        self.0[42] & MULTICAST != 0
    }

    fn unicast(conversation: &Conversation) -> Self {
        Self::new(conversation.client, conversation.server, conversation.id, conversation, 0)
    }

    /// The key with the socket in the place of the client.
    fn of_socket(conversation: &Conversation) -> Self {
        let client = SocketAddr::new(Ipv6Addr::from(u128::from(conversation.socket)).into(), 0);
        Self::new(client, conversation.server, conversation.id, conversation, OF_SOCKET)
    }

    /// The key without the server, which is not known yet. A full multicast DNS client, which asks from port 5353,
    /// gets its answers through the group too, and its ids mean nothing (RFC 6762 18.1).
    fn multicast(conversation: &Conversation) -> Self {
        let anyone = |port| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let server = anyone(conversation.server.port());
        let shared = conversation.client.port() == MDNS && server.port() == MDNS;
        let (client, id) = if shared { (anyone(MDNS), 0) } else { (conversation.client, conversation.id) };
        Self::new(client, server, id, conversation, MULTICAST)
    }

    fn new(client: SocketAddr, server: SocketAddr, id: u16, conversation: &Conversation, flags: u8) -> Self {
        let mut bytes = [0; 43];
        let flags = flags
            | u8::from(client.is_ipv4()) << 4
            | u8::from(conversation.transport == Transport::Tcp) << 3
            | match conversation.side {
                Side::Client => 0,
                Side::Server => 1,
                Side::Wire => 2,
            };
        bytes[..16].copy_from_slice(&octets(client.ip()));
        bytes[16..32].copy_from_slice(&octets(server.ip()));
        bytes[32..34].copy_from_slice(&client.port().to_ne_bytes());
        bytes[34..36].copy_from_slice(&server.port().to_ne_bytes());
        bytes[36..40].copy_from_slice(&conversation.network_namespace.to_ne_bytes());
        bytes[40..42].copy_from_slice(&id.to_ne_bytes());
        bytes[42] = flags;
        Self(bytes)
    }
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}
