//! `host.*`, `agent.*` and `ecs.version`: the same in every line, so they are read and written
//! once. They stand last, since they never say what happened.

use serde::Serialize;
use sha1::{Digest, Sha1};

use super::json::Json;
use super::text::beginning;
use crate::host::Host;

/// `host.*`: a fact that could not be read is absent.
#[derive(Debug, Serialize)]
struct HostFields<'a> {
    hostname: &'a str,
    /// The same as `hostname`.
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    architecture: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<Boot<'a>>,
    os: SystemFields<'a>,
}

#[derive(Debug, Serialize)]
struct Boot<'a> {
    id: &'a str,
}

/// `host.os.*`
#[derive(Debug, Serialize)]
struct SystemFields<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    full: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<&'a str>,
}

/// The sensor itself.
#[derive(Debug, Clone, Serialize)]
pub struct Agent {
    pub r#type: &'static str,
    pub version: &'static str,
    /// The same for every run on this host.
    pub id: String,
    /// Of this run.
    pub ephemeral_id: String,
    pub name: String,
}

/// Escaped bytes of each text: more than a host name may have (64), and so few that all of them
/// together leave room in the shortest line.
const TEXT: usize = 128;

impl<'a> HostFields<'a> {
    fn new(host: &'a Host) -> Self {
        let os = &host.os;
        Self {
            hostname: short(&host.hostname),
            name: short(&host.hostname),
            id: optional(host.id.as_deref()),
            architecture: host.architecture,
            boot: optional(host.boot_id.as_deref()).map(|id| Boot { id }),
            os: SystemFields {
                r#type: "linux",
                platform: optional(os.platform.as_deref()),
                family: optional(os.family.as_deref()),
                name: optional(os.name.as_deref()),
                version: optional(os.version.as_deref()),
                full: optional(os.full.as_deref()),
                kernel: optional(os.kernel.as_deref()),
            },
        }
    }
}

/// The beginning of a fact, which every line has room for.
pub(super) fn short(fact: &str) -> &str {
    beginning(fact, TEXT)
}

/// As [`short`], of a fact that may be absent.
pub(super) fn optional(fact: Option<&str>) -> Option<&str> {
    fact.map(short)
}

impl Agent {
    /// `run` tells this run from others on the same host: a start time, a pid.
    #[must_use]
    pub fn new(host: &Host, run: &str) -> Self {
        let machine = host.id.as_deref().unwrap_or(&host.hostname);
        let boot = host.boot_id.as_deref().unwrap_or_default();
        Self {
            r#type: "dnstrail",
            version: env!("CARGO_PKG_VERSION"),
            id: identity(&[machine]),
            ephemeral_id: identity(&[machine, boot, run]),
            name: short(&host.hostname).to_owned(),
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

/// The same in every line of ECS.
#[derive(Serialize)]
pub(super) struct Tail<'a> {
    host: HostFields<'a>,
    agent: &'a Agent,
    ecs: Ecs,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

impl<'a> Tail<'a> {
    pub(super) fn new(host: &'a Host, agent: &'a Agent) -> Self {
        Self { host: HostFields::new(host), agent, ecs: Ecs { version: super::VERSION } }
    }
}

/// What follows the fields of every document: `,"host":…}` and the newline.
pub(super) fn tail<T: Serialize>(tail: &T) -> Vec<u8> {
    let mut json = Vec::new();
    // Texts under fixed names always serialise; without them the line would still be whole.
    if tail.serialize(&mut Json(&mut json)).is_err() {
        return b"}\n".to_vec();
    }
    if let Some(first) = json.first_mut() {
        *first = b',';
    }
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_facts_are_absent_fields() {
        let host = Host { hostname: "localhost".into(), architecture: "x86_64", ..Host::default() };
        let json = serde_json::to_value(HostFields::new(&host)).unwrap();
        let expected = serde_json::json!({
            "hostname": "localhost",
            "name": "localhost",
            "architecture": "x86_64",
            "os": { "type": "linux" },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_long_fact_is_cut() {
        let host = Host { hostname: "x".repeat(1_000), ..Host::default() };
        assert_eq!(HostFields::new(&host).name.len(), TEXT);
    }

    #[test]
    fn identities_are_stable_and_told_apart() {
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
