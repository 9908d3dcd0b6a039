//! The host that the sensor runs on: its identity, its accounts, and `/proc` of other processes.
//! No other module opens those files. Which process they describe is left to `process`, how a document
//! shows them to `ecs`.

mod accounts;
mod clock;
mod mountinfo;
pub(crate) mod proc;
mod question;
mod reader;
mod serve;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use accounts::Accounts;
pub use clock::BootClock;
pub use mountinfo::Mounts;
pub(crate) use proc::{DELETED, Facts};
pub(crate) use reader::{Answer, Reader};
pub use serve::{Source, serve};

use crate::part::Channel;

/// Bytes that are read of a file with facts: ten times the longest `os-release` in use.
const FACTS_SIZE: u64 = 64 << 10;

/// The host that the sensor runs on. A fact is absent where it cannot be read; the default knows nothing,
/// so a process gets no user names and no `/proc` is read.
#[derive(Debug, Clone, Default)]
pub struct Host {
    pub hostname: String,
    /// machine-id(5)
    pub id: Option<String>,
    /// As Rust names it: `x86_64`, `aarch64`.
    pub architecture: &'static str,
    pub boot_id: Option<String>,
    pub os: OperatingSystem,
    pub clock: BootClock,
    /// Inode number of the mount namespace in which `passwd` and `group` are read; 0 when not known.
    pub mount_namespace: u32,
    /// Inode number of the host's own mount namespace, as the kernel side describes it; 0 when not known. The sensor's
    /// may be another, as systemd gives it one.
    pub first_mount_namespace: u32,
    /// Where proc(5) of the initial pid namespace is mounted; empty when nowhere.
    pub proc: PathBuf,
    /// The host's passwd(5); empty when there is none to read.
    pub passwd: PathBuf,
    /// The host's group(5).
    pub group: PathBuf,
    /// The part that reads them and `/proc`; without one a thread does.
    pub part: Option<Arc<Channel>>,
}

/// os-release(5) and uname(2).
#[derive(Debug, Clone, Default)]
pub struct OperatingSystem {
    /// `ID`: debian, ubuntu, rocky, …
    pub platform: Option<String>,
    /// The distribution that others derive from: debian, redhat, suse, …
    pub family: Option<String>,
    pub name: Option<String>,
    pub version: Option<String>,
    /// Name and version as a person reads them.
    pub full: Option<String>,
    /// As `uname -r` gives it.
    pub kernel: Option<String>,
}

impl Host {
    /// Reads the files below `root`: `/` on a live host.
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let line = |path: &str| {
            let text = read_facts(&root.join(path))?;
            let line = text.lines().next()?.trim();
            (!line.is_empty()).then(|| line.to_owned())
        };
        Self {
            hostname: line("proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".to_owned()),
            // systemd writes "uninitialized" until the first boot is done.
            id: line("etc/machine-id").filter(|id| id != "uninitialized"),
            architecture: std::env::consts::ARCH,
            boot_id: line("proc/sys/kernel/random/boot_id"),
            os: OperatingSystem::read(root, line("proc/sys/kernel/osrelease")),
            clock: BootClock::read(),
            mount_namespace: namespace(&root.join("proc/self/ns/mnt")).unwrap_or_default(),
            first_mount_namespace: 0,
            proc: root.join("proc"),
            passwd: root.join("etc/passwd"),
            group: root.join("etc/group"),
            part: None,
        }
    }

    /// The files that are read of other processes, and of this host's accounts.
    #[must_use]
    pub fn source(&self) -> Source {
        Source { proc: proc::ProcFs::new(&self.proc), accounts: [self.passwd.clone(), self.group.clone()] }
    }
}

impl OperatingSystem {
    fn read(root: &Path, kernel: Option<String>) -> Self {
        let text = ["etc/os-release", "usr/lib/os-release"]
            .into_iter()
            .find_map(|path| read_facts(&root.join(path)))
            .unwrap_or_default();
        let release: HashMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.trim().split_once('='))
            .map(|(key, value)| (key, value.trim_matches(['"', '\''])))
            .collect();
        let value = |key| release.get(key).copied().filter(|value| !value.is_empty());
        let owned = |key| value(key).map(str::to_owned);
        Self {
            platform: owned("ID"),
            family: family(value("ID"), value("ID_LIKE")).map(str::to_owned),
            name: owned("NAME"),
            version: owned("VERSION_ID"),
            full: owned("PRETTY_NAME"),
            kernel,
        }
    }
}

/// As Elastic's agents name families: a distribution that derives from Fedora is `redhat`.
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

fn read_facts(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FACTS_SIZE).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The number in a link of `/proc/PID/ns`, such as `mnt:[4026531841]`. The link is read, never followed.
pub(crate) fn namespace(link: &Path) -> Option<u32> {
    let target = fs::read_link(link).ok()?;
    target.to_str()?.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
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
    fn facts_of_debian() {
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
        assert_eq!((host.hostname.as_str(), host.architecture), ("web-1", std::env::consts::ARCH));
        assert_eq!(host.id.as_deref(), Some("0123456789abcdef0123456789abcdef"));
        assert_eq!(host.boot_id.as_deref(), Some("88a1f0ed-5ae5-41ee-af6b-41921c311872"));
        let os = host.os;
        assert_eq!([&os.platform, &os.family].map(Option::as_deref), [Some("debian"); 2]);
        assert_eq!([&os.name, &os.version].map(Option::as_deref), [Some("Debian GNU/Linux"), Some("12")]);
        assert_eq!(os.full.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
        assert_eq!(os.kernel.as_deref(), Some("6.1.0-13-amd64"));
    }

    #[test]
    fn a_bare_root_has_no_inventions() {
        let host = host(&[("etc/machine-id", "uninitialized\n")]);
        assert_eq!((host.hostname.as_str(), host.id, host.boot_id, host.mount_namespace), ("localhost", None, None, 0));
        let os = host.os;
        for fact in [os.platform, os.family, os.name, os.version, os.full, os.kernel] {
            assert_eq!(fact, None);
        }
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
    fn a_namespace_is_read_from_its_link_alone() {
        let own = namespace(Path::new("/proc/self/ns/mnt")).unwrap();
        let followed = std::os::unix::fs::MetadataExt::ino(&fs::metadata("/proc/self/ns/mnt").unwrap());
        assert_eq!(u64::from(own), followed);
        let folder = tempfile::tempdir().unwrap();
        for (name, target) in [("a", "mnt:[x]"), ("b", "mnt"), ("c", "mnt:[7")] {
            std::os::unix::fs::symlink(target, folder.path().join(name)).unwrap();
            assert_eq!(namespace(&folder.path().join(name)), None, "{target}");
        }
    }
}
