//! Facts about this host that decide what can be attached, read from files below a root, so that
//! recorded files serve as tests. Whether a hook really attaches is left to trying (`attach`).

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The facts about the host before anything is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Support {
    /// As `uname -r` gives it.
    pub kernel: String,
    /// `/sys/kernel/btf/vmlinux`: the kernel's own types, without which no probe can be fitted.
    pub btf: bool,
    /// Where the root of the cgroup v2 hierarchy is mounted.
    pub cgroup2: Option<PathBuf>,
    /// Capabilities that are missing of those that the probes need.
    pub missing_capabilities: Vec<&'static str>,
    /// Value of `/sys/kernel/security/lockdown` in force, if it is there.
    pub lockdown: Option<String>,
    /// Pids here are those that the kernel gives, which are the host's.
    pub host_pids: bool,
    /// The root of the cgroup hierarchy here is the host's, or this kernel has no namespaces of cgroups.
    pub host_cgroups: bool,
}

/// Number and name (include/uapi/linux/capability.h) of what loading and attaching needs.
const CAPABILITIES: [(u8, &str); 3] = [(12, "CAP_NET_ADMIN"), (CAP_PERFMON, "CAP_PERFMON"), (39, "CAP_BPF")];
/// The first of those that `CAP_SYS_ADMIN` includes.
const CAP_PERFMON: u8 = 38;
/// Before Linux 5.8, and still today, it includes the other two of bpf.
const CAP_SYS_ADMIN: u8 = 21;

/// `PROC_PID_INIT_INO` (include/linux/proc_ns.h): the pid namespace that the kernel starts with.
const INITIAL_PIDS: &str = "pid:[4026531836]";

/// `PROC_CGROUP_INIT_INO`: the cgroup namespace that the kernel starts with. In any other the root of the
/// hierarchy is shown as `/` too, and is only a part of it.
const INITIAL_CGROUPS: &str = "cgroup:[4026531835]";

/// Anywhere will do; the sensor looks for it.
pub const MOUNT_CGROUP2: &str = "mkdir -p /run/cgroup2 && mount -t cgroup2 none /run/cgroup2";

impl Support {
    /// Reads the facts of the host whose `/proc` and `/sys` lie below `root` (`/` for this one).
    #[must_use]
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        Self {
            kernel: text("proc/sys/kernel/osrelease").trim().to_owned(),
            btf: root.join("sys/kernel/btf/vmlinux").exists(),
            cgroup2: cgroup2_mount(&text("proc/self/mountinfo")),
            missing_capabilities: missing_capabilities(&text("proc/self/status")),
            lockdown: lockdown(&text("sys/kernel/security/lockdown")),
            host_pids: fs::read_link(root.join("proc/self/ns/pid")).is_ok_and(|link| link == Path::new(INITIAL_PIDS)),
            host_cgroups: fs::read_link(root.join("proc/self/ns/cgroup"))
                .map_or(true, |link| link == Path::new(INITIAL_CGROUPS)),
        }
    }
}

/// Addresses of variables of the kernel (`/proc/kallsyms`); 0 of one that it has not, the highest of one
/// that it hides (`kernel.kptr_restrict`, or no `CAP_SYSLOG`). Reading them takes some 30 ms, as the
/// kernel makes up each of more than 100,000 lines.
pub(super) fn symbol_addresses<const COUNT: usize>(root: &Path, names: [&str; COUNT]) -> [u64; COUNT] {
    let Ok(file) = File::open(root.join("proc/kallsyms")) else { return [u64::MAX; COUNT] };
    let mut addresses = [0; COUNT];
    let (mut reader, mut line, mut found) = (BufReader::with_capacity(1 << 16, file), Vec::new(), 0);
    while found < COUNT && reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // `ffffffff82a1c5c8 D vmemmap_base`, and the module's name behind it if it is a module's.
        let mut words = line.trim_ascii_end().split(|byte| *byte == b' ');
        let (address, name) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        if let Some(place) = names.iter().position(|wanted| wanted.as_bytes() == name) {
            let address = str::from_utf8(address).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
            addresses[place] = address.filter(|address| *address > 0).unwrap_or(u64::MAX);
            found += 1;
        }
        line.clear();
    }
    addresses
}

/// The mount of the whole cgroup v2 hierarchy (proc_pid_mountinfo(5)); the first when several are.
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (root == "/" && kind.split(' ').next() == Some("cgroup2")).then(|| PathBuf::from(unescape(point)))
    })
}

/// Space, tab, newline and backslash stand as three octal digits in mountinfo.
fn unescape(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default();
    let has = |capability: u8| effective >> capability & 1 == 1;
    CAPABILITIES
        .iter()
        .filter(|(number, _)| !has(*number) && (*number < CAP_PERFMON || !has(CAP_SYS_ADMIN)))
        .map(|(_, name)| *name)
        .collect()
}

/// `none [integrity] confidentiality` → `integrity`; `none` is no state.
fn lockdown(states: &str) -> Option<String> {
    let state = states.split(['[', ']']).nth(1)?;
    (state != "none").then(|| state.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_cgroup2_hierarchy_is_found_beside_v1() {
        let hybrid = "30 24 0:26 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro\n\
                      31 30 0:27 /docker/abc /mnt/part rw - cgroup2 cgroup2 rw\n\
                      32 30 0:27 / /sys/fs/cgroup/uni\\040fied rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
                      33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        assert_eq!(cgroup2_mount(hybrid), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(cgroup2_mount("33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"), None);
    }

    #[test]
    fn each_missing_capability_is_named() {
        assert_eq!(missing_capabilities("CapEff:\t000001ffffffffff\n"), Vec::<&str>::new());
        assert_eq!(missing_capabilities("CapEff:\t0000000000000000\n"), ["CAP_NET_ADMIN", "CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(
            missing_capabilities("CapEff:\t0000000000200000\n"),
            ["CAP_NET_ADMIN"],
            "SYS_ADMIN holds the others"
        );
        assert_eq!(missing_capabilities("CapEff:\t000000c000001000\n"), Vec::<&str>::new());
    }

    #[test]
    fn pid_namespace_of_a_container_is_known() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(root.path().join("proc/self/ns")).expect("a folder");
        let link = root.path().join("proc/self/ns/pid");
        for (target, host_pids) in [("pid:[4026531836]", true), ("pid:[4026532177]", false)] {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(target, &link).expect("a link");
            assert_eq!(Support::read(root.path()).host_pids, host_pids, "{target}");
        }
    }

    #[test]
    fn cgroup_namespace_of_a_container_is_known() {
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(Support::read(root.path()).host_cgroups, "a kernel without namespaces of cgroups");
        fs::create_dir_all(root.path().join("proc/self/ns")).expect("a folder");
        let link = root.path().join("proc/self/ns/cgroup");
        for (target, host_cgroups) in [("cgroup:[4026531835]", true), ("cgroup:[4026532281]", false)] {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(target, &link).expect("a link");
            assert_eq!(Support::read(root.path()).host_cgroups, host_cgroups, "{target}");
        }
    }

    #[test]
    fn symbols_of_the_kernel_are_found_by_their_whole_name() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(root.path().join("proc")).expect("a folder");
        let symbols = "ffffffff81000000 T _text\nffffffff82a1c5c8 D vmemmap_base_2\nffffffff82a1c5d0 D vmemmap_base\n\
                       0000000000000000 D hidden\nffffffffc0001000 t other\t[module]\n";
        fs::write(root.path().join("proc/kallsyms"), symbols).expect("a file");
        assert_eq!(
            symbol_addresses(root.path(), ["page_offset_base", "vmemmap_base", "hidden"]),
            [0, 0xffff_ffff_82a1_c5d0, u64::MAX]
        );
        assert_eq!(symbol_addresses(&root.path().join("none"), ["vmemmap_base"]), [u64::MAX]);
    }

    #[test]
    fn lockdown_is_reported_only_when_in_force() {
        assert_eq!(lockdown("none [integrity] confidentiality\n"), Some("integrity".into()));
        assert_eq!(lockdown("[none] integrity confidentiality\n"), None);
        assert_eq!(lockdown(""), None);
    }
}
