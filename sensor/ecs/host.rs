//! `host.*`, `agent.*` and `ecs.version`: the same in every line, so they are read and written
//! once. They stand last, since they never say what happened.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use sha1::{Digest, Sha1};

use super::json::Json;
use super::text::beginning;

/// What this host is. Absent where it cannot be read.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Host {
    pub hostname: String,
    /// The same as `hostname`, unless somebody gives the host a better one.
    pub name: String,
    /// machine-id(5)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub architecture: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
    pub os: OperatingSystem,
}

#[derive(Debug, Clone, Serialize)]
pub struct Boot {
    pub id: String,
}

/// os-release(5) and uname(2).
#[derive(Debug, Clone, Default, Serialize)]
pub struct OperatingSystem {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
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

impl Host {
    /// Reads what the files below `root` tell: `/` on a live host.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let line = |path: &str| {
            let text = fs::read_to_string(root.join(path)).ok()?;
            let line = text.lines().next()?.trim();
            (!line.is_empty()).then(|| beginning(line, TEXT).to_owned())
        };
        let hostname = line("proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".to_owned());
        Self {
            name: hostname.clone(),
            hostname,
            // systemd writes "uninitialized" until the first boot is done.
            id: line("etc/machine-id").filter(|id| id != "uninitialized"),
            architecture: std::env::consts::ARCH,
            boot: line("proc/sys/kernel/random/boot_id").map(|id| Boot { id }),
            os: OperatingSystem::read(root, line("proc/sys/kernel/osrelease")),
        }
    }
}

impl OperatingSystem {
    fn read(root: &Path, kernel: Option<String>) -> Self {
        let text = ["etc/os-release", "usr/lib/os-release"]
            .into_iter()
            .find_map(|path| fs::read_to_string(root.join(path)).ok())
            .unwrap_or_default();
        let release: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .map(|(key, value)| (key, value.trim_matches(['"', '\''])))
            .collect();
        let value = |key| release.get(key).filter(|value| !value.is_empty()).map(|value| beginning(value, TEXT));
        let platform = value("ID");
        Self {
            r#type: "linux",
            platform: platform.map(str::to_owned),
            family: family(platform, value("ID_LIKE")).map(str::to_owned),
            name: value("NAME").map(str::to_owned),
            version: value("VERSION_ID").map(str::to_owned),
            full: value("PRETTY_NAME").map(str::to_owned),
            kernel,
        }
    }
}

/// As Elastic's agents name families: whoever derives from Fedora is `redhat`.
fn family<'a>(platform: Option<&'a str>, like: Option<&'a str>) -> Option<&'a str> {
    let mut ancestors = platform.into_iter().chain(like.unwrap_or_default().split_whitespace());
    let known = ancestors.clone().find_map(|name| match name {
        "debian" | "suse" | "arch" | "alpine" | "gentoo" => Some(name),
        "rhel" | "fedora" | "centos" => Some("redhat"),
        "opensuse" | "sles" => Some("suse"),
        _ => None,
    });
    known.or_else(|| ancestors.next_back())
}

impl Agent {
    /// `run` tells this run from others on the same host: a start time, a pid.
    #[must_use]
    pub fn new(host: &Host, run: &str) -> Self {
        let machine = host.id.as_deref().unwrap_or(&host.hostname);
        let boot = host.boot.as_ref().map(|boot| boot.id.as_str()).unwrap_or_default();
        Self {
            r#type: "dnstrail",
            version: env!("CARGO_PKG_VERSION"),
            id: identity(&[machine]),
            ephemeral_id: identity(&[machine, boot, run]),
            name: host.name.clone(),
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
    host: &'a Host,
    agent: &'a Agent,
    ecs: Ecs,
}

#[derive(Serialize)]
struct Ecs {
    version: &'static str,
}

impl<'a> Tail<'a> {
    pub(super) fn new(host: &'a Host, agent: &'a Agent) -> Self {
        Self { host, agent, ecs: Ecs { version: super::VERSION } }
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

    fn host(files: &[(&str, &str)]) -> Host {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Host::read(root.path())
    }

    #[test]
    fn debian() {
        let host = host(&[
            ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
            (
                "etc/os-release",
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n",
            ),
            ("proc/sys/kernel/hostname", "web-1\n"),
            ("proc/sys/kernel/osrelease", "6.1.0-13-amd64\n"),
            ("proc/sys/kernel/random/boot_id", "88a1f0ed-5ae5-41ee-af6b-41921c311872\n"),
        ]);
        let json = serde_json::to_value(&host).unwrap();
        let expected = serde_json::json!({
            "hostname": "web-1",
            "name": "web-1",
            "id": "0123456789abcdef0123456789abcdef",
            "architecture": std::env::consts::ARCH,
            "boot": { "id": "88a1f0ed-5ae5-41ee-af6b-41921c311872" },
            "os": {
                "type": "linux",
                "platform": "debian",
                "family": "debian",
                "name": "Debian GNU/Linux",
                "version": "12",
                "full": "Debian GNU/Linux 12 (bookworm)",
                "kernel": "6.1.0-13-amd64",
            },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_bare_root_has_no_inventions() {
        let json = serde_json::to_value(host(&[("etc/machine-id", "uninitialized\n")])).unwrap();
        let expected = serde_json::json!({
            "hostname": "localhost",
            "name": "localhost",
            "architecture": std::env::consts::ARCH,
            "os": { "type": "linux" },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn families() {
        assert_eq!(family(Some("ubuntu"), Some("debian")), Some("debian"));
        assert_eq!(family(Some("rocky"), Some("rhel centos fedora")), Some("redhat"));
        assert_eq!(family(Some("fedora"), None), Some("redhat"));
        assert_eq!(family(Some("opensuse-leap"), Some("suse opensuse")), Some("suse"));
        assert_eq!(family(Some("nixos"), None), Some("nixos"));
        assert_eq!(family(None, None), None);
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
