//! Entries that mean too much: one stray `com` or `0.0.0.0/0` in a feed of a million makes every lookup an
//! alert, and one such exception mutes all of them.

use super::super::index::names::{Allow, Scope};
use super::flaw::Flaw;
use crate::name::{Network, is_registry};

/// Shorter prefixes hold a two hundredth of all addresses, or more.
const SHORTEST_PREFIX_V4: u8 = 8;
/// The registries hand out nothing wider (RFC 4291 2.4: all unicast addresses are in one /3).
const SHORTEST_PREFIX_V6: u8 = 16;

/// Refuses public suffixes, unless the entry means the name alone.
pub(super) fn check_name(name: &str, scope: Scope) -> Result<(), Flaw> {
    if scope != Scope::Exact && is_registry(name) { Err(Flaw::PublicSuffix) } else { Ok(()) }
}

/// Refuses networks that are large parts of all addresses. Loopback and unspecified addresses, which every
/// host has, are refused as an entry only: an exception for them takes back no entry.
pub(super) fn check_network(network: Network, allow: Allow) -> Result<(), Flaw> {
    let (address, prefix) = (network.address(), network.prefix());
    if allow == Allow::No && (address.is_unspecified() || address.is_loopback()) {
        return Err(Flaw::LocalAddress);
    }
    let shortest = if address.is_ipv4() { SHORTEST_PREFIX_V4 } else { SHORTEST_PREFIX_V6 };
    if prefix < shortest { Err(Flaw::BroadNetwork) } else { Ok(()) }
}
