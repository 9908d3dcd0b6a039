//! Names of the host's users and groups, from its own two files. Not by NSS: that may ask a
//! directory server, whose name it would look up in the DNS, and wait.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

/// Nanoseconds between two looks at whether a file has changed. A new account without a name for a
/// few seconds is harmless; a stat(2) for every process is not.
const RECHECK: u64 = 5_000_000_000;

/// Bytes of a file that are read: some 100,000 accounts.
const FILE_SIZE: u64 = 8 << 20;

/// Mount namespaces of which it is remembered whether they hold the host's files. A busy host has some
/// hundreds; when there are more all are forgotten and looked at again, so nothing is lost by it.
const NAMESPACES: usize = 1024;

/// The host's `passwd(5)` and `group(5)`.
#[derive(Debug)]
pub(crate) struct Users {
    passwd: Names,
    group: Names,
    checked: Option<u64>,
    /// By the inode number of the mount namespace.
    namespaces: HashMap<u32, Sight>,
}

/// Whether a mount namespace of its own still holds the host's files, as that of a service with
/// `PrivateTmp=` does and that of a container does not.
#[derive(Debug)]
struct Sight {
    /// The process that was looked at. The kernel gives a namespace's number to a new one as soon as
    /// the old is gone, which cannot be while this process lives.
    witness: u32,
    passwd: bool,
    group: bool,
}

impl Users {
    pub(crate) fn new(passwd: &Path, group: &Path) -> Self {
        Self { passwd: Names::new(passwd), group: Names::new(group), checked: None, namespaces: HashMap::new() }
    }

    /// The names of `uid` and `gid` as the process sees them that `/proc` shows in `directory`; absent
    /// where it has other files than the host, or they cannot be seen. Files are looked at once for
    /// each mount namespace.
    pub(crate) fn seen_by(
        &mut self,
        (pid, directory): (u32, &Path),
        mount_namespace: u32,
        (uid, gid): (u32, u32),
    ) -> (Option<Rc<str>>, Option<Rc<str>>) {
        if !self.namespaces.contains_key(&mount_namespace) && self.namespaces.len() >= NAMESPACES {
            self.namespaces.clear();
        }
        let Self { passwd, group, namespaces, .. } = self;
        let sight = namespaces.entry(mount_namespace).or_insert_with(|| {
            let root = directory.join("root");
            let (passwd, group) = (passwd.is_seen_below(&root), group.is_seen_below(&root));
            // Looked at last: had the pid gone to another process by now, this would tell.
            let is_there = std::fs::metadata(directory.join("ns/mnt"))
                .is_ok_and(|namespace| namespace.ino() == u64::from(mount_namespace));
            Sight { witness: pid, passwd: passwd && is_there, group: group && is_there }
        });
        let (passwd, group) = (sight.passwd, sight.group);
        (passwd.then(|| self.user(uid)).flatten(), group.then(|| self.group(gid)).flatten())
    }

    /// The process has ended, or is in that mount namespace no longer.
    pub(crate) fn left(&mut self, pid: u32, mount_namespace: u32) {
        if self.namespaces.get(&mount_namespace).is_some_and(|sight| sight.witness == pid) {
            self.namespaces.remove(&mount_namespace);
        }
    }

    /// `now`: nanoseconds of any clock that goes on.
    pub(crate) fn refresh(&mut self, now: u64) {
        if self.checked.is_none_or(|checked| now.abs_diff(checked) >= RECHECK) {
            self.checked = Some(now);
            let passwd_changed = self.passwd.refresh();
            let group_changed = self.group.refresh();
            // A file that was replaced is another one where only the old one was mounted.
            if passwd_changed || group_changed {
                self.namespaces.clear();
            }
        }
    }

    pub(crate) fn user(&self, uid: u32) -> Option<Rc<str>> {
        self.passwd.by_number.get(&uid).cloned()
    }

    pub(crate) fn group(&self, gid: u32) -> Option<Rc<str>> {
        self.group.by_number.get(&gid).cloned()
    }
}

/// One file whose lines are `name:password:number:…`.
#[derive(Debug)]
struct Names {
    path: PathBuf,
    /// Time of the last change and length of what was read.
    version: Option<(SystemTime, u64)>,
    by_number: HashMap<u32, Rc<str>>,
}

impl Names {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), version: None, by_number: HashMap::new() }
    }

    /// True if it changed. A file that cannot be read gives no names: old ones may be wrong by now.
    fn refresh(&mut self) -> bool {
        let version = self.path.metadata().ok().and_then(|data| Some((data.modified().ok()?, data.len())));
        if version.is_some() && version == self.version {
            return false;
        }
        self.by_number.clear();
        self.version = version.filter(|_| self.read().is_ok());
        true
    }

    /// The same file stands at the same path below another root.
    fn is_seen_below(&self, root: &Path) -> bool {
        let identity = |path: &Path| path.metadata().ok().map(|data| (data.dev(), data.ino()));
        let there = identity(&root.join(self.path.strip_prefix("/").unwrap_or(&self.path)));
        there.is_some() && there == identity(&self.path)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(FILE_SIZE).read_to_end(&mut bytes)?;
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b':');
            let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let Some(number) = str::from_utf8(number).ok().and_then(|number| number.parse().ok()) else { continue };
            // NIS markers (`+`, `-`) name nobody. Of several names for one number the first counts, as in getpwuid(3).
            if !name.is_empty() && !name.starts_with(b"+") && !name.starts_with(b"-") {
                self.by_number.entry(number).or_insert_with(|| String::from_utf8_lossy(name).as_ref().into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn reads_again_when_changed() {
        let directory = tempfile::tempdir().unwrap();
        let (passwd, group) = (directory.path().join("passwd"), directory.path().join("group"));
        fs::write(
            &passwd,
            "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n# x\n+::5:\nbad:x:-1:\nweb:x:33:33::/:/bin/sh",
        )
        .unwrap();
        let mut users = Users::new(&passwd, &group);
        users.refresh(1);
        assert_eq!(users.user(0).as_deref(), Some("root"));
        assert_eq!(users.user(33).as_deref(), Some("web"));
        assert_eq!(users.user(5), None);
        assert_eq!(users.group(0), None, "no such file");

        fs::write(&passwd, "admin:x:0:0::/:\n").unwrap();
        fs::write(&group, "wheel:x:0:admin\n").unwrap();
        users.refresh(RECHECK);
        assert_eq!(users.user(0).as_deref(), Some("root"), "not looked at again so soon");
        users.refresh(RECHECK + 1);
        assert_eq!(users.user(0).as_deref(), Some("admin"));
        assert_eq!(users.user(33), None);
        assert_eq!(users.group(0).as_deref(), Some("wheel"));

        fs::remove_file(&passwd).unwrap();
        users.refresh(RECHECK * 3);
        assert_eq!(users.user(0), None);
    }
    #[test]
    fn remembered_namespaces_are_bounded() {
        let mut users = Users::new(Path::new("/etc/passwd"), Path::new("/etc/group"));
        for namespace in 0..5000 {
            users.seen_by((1, Path::new("/nonexistent")), namespace, (0, 0));
            assert!(users.namespaces.len() <= NAMESPACES);
        }
    }
}
