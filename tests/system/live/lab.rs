//! A place of its own for a test: a network namespace, a scratch folder, names that no other test
//! asks for, and the turn to run. All of it is gone with the test, however the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// One live test at a time: the sensor sees the whole host, and two cores are soon busy.
static TURN: Mutex<()> = Mutex::new(());

/// Makes names of namespaces and cgroups unique inside this run.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The longest wait. Events take milliseconds; only a fault takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Lab {
    pub network: Network,
    pub scratch: TempDir,
    /// Every name of this test ends in it.
    pub suffix: String,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// Waits for its turn. The namespace has 127.0.0.1 and `::1`, and nothing else.
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "live tests need root: run `sudo make test`");
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = tempfile::Builder::new().prefix("dnstrail-").tempdir().expect("no scratch folder");
        let network = Network::new();
        let suffix = format!("{}.test", network.name);
        Self { network, scratch, suffix, _turn: turn }
    }

    /// `label.suffix`.
    pub fn name(&self, label: &str) -> String {
        format!("{label}.{}", self.suffix)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// A network namespace.
pub struct Network {
    pub name: String,
}

impl Network {
    pub fn new() -> Self {
        remove_namespaces_of_the_dead();
        let name = format!("dnstrail-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        ip(&["netns", "add", &name]);
        let network = Self { name };
        network.ip(&["link", "set", "lo", "up"]);
        network
    }

    /// Runs ip(8) on this namespace.
    pub fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.name], arguments].concat());
    }

    pub fn file(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Joins two namespaces by a veth pair: this side gets 10.53.0.1 and `fd53::1`, the other .2 and
    /// `::2`.
    pub fn join(&self, other: &Network) {
        self.ip(&["link", "add", "veth", "type", "veth", "peer", "name", "veth", "netns", &other.name]);
        for (network, number) in [(self, 1), (other, 2)] {
            network.ip(&["address", "add", &format!("10.53.0.{number}/24"), "dev", "veth"]);
            network.ip(&["address", "add", &format!("fd53::{number}/64"), "dev", "veth", "nodad"]);
            network.ip(&["link", "set", "veth", "up"]);
        }
        // An IPv6 route is usable once the link is found to be up, a moment after it was set up.
        until("the veth pair carries traffic", || {
            [self, other]
                .iter()
                .all(|network| output("ip", &["-n", &network.name, "link", "show", "veth"]).contains("state UP"))
        });
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A run that was killed could not tidy up.
fn remove_namespaces_of_the_dead() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = name.strip_prefix("dnstrail-").and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(owner).exists() {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// A cgroup of version 2, wherever this host has it mounted.
pub struct Cgroup {
    pub path: PathBuf,
}

impl Cgroup {
    /// `name` is made below the root of the hierarchy.
    pub fn new(name: &str) -> Self {
        let path = cgroup_mount().join(name);
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.path);
    }
}

/// Where cgroup v2 is mounted.
pub fn cgroup_mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is not mounted");
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4)).flatten()
    });
    mount.expect("cgroup v2 is not mounted: mount -t cgroup2 none /sys/fs/cgroup").into()
}

fn ip(arguments: &[&str]) {
    output("ip", arguments);
}

/// The standard output of a program that must succeed.
pub fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{}", missing(program, &error)));
    assert!(output.status.success(), "{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The sentence for a program that did not start.
pub fn missing(program: &str, error: &std::io::Error) -> String {
    let package = match Path::new(program).file_name().and_then(|name| name.to_str()) {
        Some("ip") => "iproute2",
        Some("dig") => "bind9-dnsutils",
        Some("dnsmasq") => "dnsmasq-base",
        Some("cc") => "gcc libc6-dev",
        Some("unshare") => "util-linux",
        Some(name) => name,
        None => program,
    };
    format!("{program} does not start ({error}): run `make test`, or install {package}")
}

/// A deadline that an emulated guest keeps too.
pub fn patience() -> Duration {
    PATIENCE.mul_f64(slowness())
}

/// How many times slower than a real machine this one is.
pub fn slowness() -> f64 {
    std::env::var("DNSTRAIL_SLOWNESS").map_or(1.0, |text| text.parse().expect("DNSTRAIL_SLOWNESS is a number of times"))
}

/// Waits until `done`, and panics naming `what` when that does not come.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience();
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
