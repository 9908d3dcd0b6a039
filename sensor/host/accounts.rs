//! Names of the host's users and groups, from its own two files. NSS is not asked: it may ask a directory server,
//! whose name it would look up in the DNS, and wait.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::SystemTime;

/// Nanoseconds between two looks at whether a file has changed. A new account without a name for a
/// few seconds is harmless; a stat(2) for every process is not.
const RECHECK: u64 = 5_000_000_000;

/// Bytes of a file that are read: some 100,000 accounts.
const FILE_SIZE: u64 = 8 << 20;

/// The host's `passwd(5)` and `group(5)`.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    passwd: Names,
    group: Names,
    checked: Option<u64>,
}

impl Accounts {
    /// Reads again what has changed, and says whether anything has. `now`: nanoseconds of any clock that goes on.
    /// `open` gives the file of users (0) and that of groups (1); where it gives no answer, the names stay.
    pub(crate) fn refresh(&mut self, now: u64, mut open: impl FnMut(u8) -> Option<Option<File>>) -> bool {
        if self.checked.is_some_and(|checked| now.abs_diff(checked) < RECHECK) {
            return false;
        }
        self.checked = Some(now);
        let mut renew = |names: &mut Names, place| open(place).is_some_and(|file| names.refresh(file));
        let passwd_changed = renew(&mut self.passwd, 0);
        renew(&mut self.group, 1) || passwd_changed
    }

    pub(crate) fn user(&self, uid: u32) -> Option<Rc<str>> {
        self.passwd.by_number.get(&uid).cloned()
    }

    pub(crate) fn group(&self, gid: u32) -> Option<Rc<str>> {
        self.group.by_number.get(&gid).cloned()
    }
}

/// One file whose lines are `name:password:number:…`.
#[derive(Debug, Default)]
struct Names {
    /// Time of the last change and length of what was read.
    version: Option<(SystemTime, u64)>,
    by_number: HashMap<u32, Rc<str>>,
}

impl Names {
    /// Says whether the file changed. A file that cannot be read gives no names: old ones may be wrong by now.
    fn refresh(&mut self, file: Option<File>) -> bool {
        let metadata = file.as_ref().and_then(|file| file.metadata().ok());
        let version = metadata.and_then(|data| Some((data.modified().ok()?, data.len())));
        if version.is_some() && version == self.version {
            return false;
        }
        self.by_number.clear();
        self.version = version.filter(|_| file.is_some_and(|file| self.read(file).is_ok()));
        true
    }

    fn read(&mut self, file: File) -> io::Result<()> {
        let mut bytes = Vec::new();
        file.take(FILE_SIZE).read_to_end(&mut bytes)?;
        for line in bytes.split(|byte| *byte == b'\n') {
            let mut fields = line.split(|byte| *byte == b':');
            let (Some(name), Some(_), Some(number)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let Some(number) = str::from_utf8(number).ok().and_then(|number| number.parse().ok()) else { continue };
            // NIS markers (`+`, `-`) are no names. The first of several names for one number counts, as in getpwuid(3).
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
        let mut accounts = Accounts::default();
        let open = |place| Some(File::open(if place == 0 { &passwd } else { &group }).ok());
        accounts.refresh(1, open);
        assert_eq!(accounts.user(0).as_deref(), Some("root"));
        assert_eq!(accounts.user(33).as_deref(), Some("web"));
        assert_eq!(accounts.user(5), None);
        assert_eq!(accounts.group(0), None, "no such file");

        fs::write(&passwd, "admin:x:0:0::/:\n").unwrap();
        fs::write(&group, "wheel:x:0:admin\n").unwrap();
        accounts.refresh(RECHECK, open);
        assert_eq!(accounts.user(0).as_deref(), Some("root"), "not looked at again so soon");
        accounts.refresh(RECHECK + 1, open);
        assert_eq!(accounts.user(0).as_deref(), Some("admin"));
        assert_eq!(accounts.user(33), None);
        assert_eq!(accounts.group(0).as_deref(), Some("wheel"));

        fs::remove_file(&passwd).unwrap();
        accounts.refresh(RECHECK * 3, open);
        assert_eq!(accounts.user(0), None);
    }
}
