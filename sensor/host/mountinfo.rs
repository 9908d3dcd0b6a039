//! Mounts as proc_pid_mountinfo(5) lists them, and where a path leads among them. Nothing is looked up in any
//! file system: the list alone decides, so a file system that does not answer cannot hold up the reader.

/// The mounts that a process sees below its root.
#[derive(Debug)]
pub struct Mounts(Vec<Mount>);

#[derive(Debug)]
struct Mount {
    id: u32,
    parent: u32,
    /// `major:minor` of the file system.
    device: String,
    /// The folder of the file system that is mounted.
    root: String,
    /// Where it is mounted, as seen from the process's root.
    point: String,
    kind: String,
}

/// A file by its file system and its path in it. Two paths with the same place are the same file.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    device: String,
    path: String,
}

impl Mounts {
    /// Lines that are not as documented are passed over.
    #[must_use]
    pub fn parse(mountinfo: &str) -> Self {
        Self(mountinfo.lines().filter_map(Mount::parse).collect())
    }

    /// The first mount of a whole file system of this kind.
    #[must_use]
    pub fn point_of_kind(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|mount| mount.kind == kind && mount.root == "/").map(|mount| mount.point.as_str())
    }

    /// Where an absolute path without symbolic links leads. `None` where the root is no mount of its own, as after
    /// chroot(2).
    #[must_use]
    pub fn place(&self, path: &str) -> Option<Place> {
        let mut mount = self.root()?;
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
        for end in ends {
            // Several mounts may be stacked on one folder: each is a child of the one below it.
            while let Some(above) = self.child(mount, path.get(..end)?) {
                mount = above;
            }
        }
        let rest = path.strip_prefix(mount.point.trim_end_matches('/'))?;
        Some(Place { device: mount.device.clone(), path: format!("{}{rest}", mount.root.trim_end_matches('/')) })
    }

    /// The mount that the process's root is. A mount that was put on top of `/` later is not entered by paths.
    fn root(&self) -> Option<&Mount> {
        let roots = || self.0.iter().filter(|mount| mount.point == "/");
        roots().find(|mount| roots().all(|other| other.id != mount.parent || other.id == mount.id))
    }

    fn child(&self, mount: &Mount, point: &str) -> Option<&Mount> {
        self.0.iter().find(|child| child.parent == mount.id && child.id != mount.id && child.point == point)
    }
}

impl Mount {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    fn parse(line: &str) -> Option<Self> {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        Some(Self {
            id: fields.next()?.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            device: fields.next()?.to_owned(),
            root: unescape(fields.next()?),
            point: unescape(fields.next()?),
            kind: kind.split(' ').next()?.to_owned(),
        })
    }
}

/// Space, tab, newline and backslash stand as three octal digits.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw - ext4 /dev/vda rw
31 27 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw
";

    fn place(mountinfo: &str, path: &str) -> Option<Place> {
        Mounts::parse(mountinfo).place(path)
    }

    fn at(device: &str, path: &str) -> Place {
        Place { device: device.into(), path: path.into() }
    }

    #[test]
    fn a_path_leads_to_the_last_mount_on_its_way() {
        assert_eq!(place(HOST, "/etc/passwd"), Some(at("254:0", "/etc/passwd")));
        assert_eq!(place(HOST, "/proc"), Some(at("0:21", "")));
        assert_eq!(place(HOST, "/process"), Some(at("254:0", "/process")), "no component of a mount's name");
        assert_eq!(Mounts::parse(HOST).point_of_kind("cgroup2"), Some("/sys/fs/cgroup/uni fied"));
        assert_eq!(Mounts::parse(HOST).point_of_kind("fuse"), None);
    }

    #[test]
    fn bind_mounts_lead_to_what_they_show() {
        let file = "1 0 8:1 / / rw - ext4 a rw\n2 1 8:1 /srv/passwd /etc/passwd rw - ext4 a rw\n";
        assert_eq!(place(file, "/etc/passwd"), Some(at("8:1", "/srv/passwd")));
        assert_eq!(place(file, "/etc/group"), Some(at("8:1", "/etc/group")));
        let folder = "1 0 0:9 / / rw - overlay o rw\n2 1 8:1 /etc /etc rw - ext4 a rw\n";
        assert_eq!(place(folder, "/etc/passwd"), Some(at("8:1", "/etc/passwd")), "the host's own");
        let volume = "1 0 0:9 /@root / rw - btrfs a rw\n";
        assert_eq!(place(volume, "/etc/passwd"), Some(at("0:9", "/@root/etc/passwd")));
    }

    #[test]
    fn the_topmost_of_stacked_mounts_counts_and_hidden_ones_do_not() {
        let stacked = "1 0 8:1 / / rw - ext4 a rw\n3 2 0:3 / /etc rw - tmpfs c rw\n2 1 0:2 / /etc rw - tmpfs b rw\n";
        assert_eq!(place(stacked, "/etc/passwd"), Some(at("0:3", "/passwd")));
        let hidden = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:2 / /a/b rw - tmpfs b rw\n3 1 0:3 / /a rw - tmpfs c rw\n";
        assert_eq!(place(hidden, "/a/b/passwd"), Some(at("0:3", "/b/passwd")), "/a was mounted over /a/b");
        let over_root = "1 0 8:1 / / rw - ext4 a rw\n2 1 0:2 / / rw - tmpfs b rw\n";
        assert_eq!(place(over_root, "/etc/passwd"), Some(at("8:1", "/etc/passwd")));
    }

    #[test]
    fn nothing_is_known_without_a_root() {
        assert_eq!(place("2 1 0:2 / /proc rw - proc b rw\n", "/etc/passwd"), None, "chroot");
        assert_eq!(place("", "/etc/passwd"), None);
        assert_eq!(place("x\n1 0 8:1 /\n - \n", "/etc/passwd"), None);
    }
}
