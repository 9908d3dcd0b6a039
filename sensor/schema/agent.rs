//! The sensor as an agent on its host: its identities.

use sha1::{Digest, Sha1};

use crate::host::Host;
use crate::json::beginning;

#[derive(Debug, Clone)]
pub struct Agent {
    pub r#type: &'static str,
    pub version: &'static str,
    /// The identity of the sensor on this host, the same in every run.
    pub id: String,
    /// The identity of this run.
    pub ephemeral_id: String,
    pub name: String,
}

/// Escaped bytes of each fact about the host: more than a host name may have (64), and so few that all facts
/// together leave space in the shortest line.
const FACT: usize = 128;

/// The beginning of a fact that every line has.
pub(super) fn short<'f>(fact: impl Into<Option<&'f str>>) -> Option<&'f str> {
    fact.into().map(|fact| beginning(fact, FACT))
}

impl Agent {
    /// `run` is different for each run on the same host: a random number, a start time.
    #[must_use]
    pub fn new(host: &Host, run: &str) -> Self {
        let machine = host.id.as_deref().unwrap_or(&host.hostname);
        let boot = host.boot_id.as_deref().unwrap_or_default();
        Self {
            r#type: "dnstrail",
            version: env!("CARGO_PKG_VERSION"),
            id: identity(&[machine]),
            ephemeral_id: identity(&[machine, boot, run]),
            name: beginning(&host.hostname, FACT).to_owned(),
        }
    }
}

/// A UUID made of names (RFC 9562 5.5), so that it need not be stored.
fn identity(names: &[&str]) -> String {
    let mut hash = Sha1::new_with_prefix(b"dnstrail agent");
    for name in names {
        hash.update([0]);
        hash.update(name);
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 5 << 76 | 2 << 62;
    let digits = format!("{number:032x}");
    let part = |range| digits.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_stable_and_distinct() {
        let one = Host { id: Some("a".into()), hostname: "one".into(), ..Host::default() };
        let other = Host { id: Some("b".into()), hostname: "one".into(), ..Host::default() };
        let agents = [Agent::new(&one, "1"), Agent::new(&one, "2"), Agent::new(&other, "1")];
        assert_eq!(agents[0].id, agents[1].id);
        assert_ne!(agents[0].ephemeral_id, agents[1].ephemeral_id);
        assert_ne!(agents[0].id, agents[2].id);
        let id = &agents[0].id;
        assert_eq!((id.len(), &id[14..15]), (36, "5"), "{id}");
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    }
}
