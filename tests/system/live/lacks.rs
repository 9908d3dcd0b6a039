//! A host that lacks or refuses something: the sensor goes on where it can, and where it cannot, one sentence
//! says what to do. After its end nothing of the sensor is left in the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use libbpf_rs::libbpf_sys;
use libbpf_rs::query::{LinkInfo, LinkInfoIter, LinkTypeInfo, MapInfoIter, ProgInfoIter};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::clients::{Client, built};
use super::documents::{Document, Lookup};
use super::lab::{Lab, cgroup_mount, output, slowness, until};
use super::sensor::{Sensor, hooks, program, program_for_everyone, run_to_end};
use super::servers::unbound;

/// `dnstrail run` where `enter` takes it; it must end by itself, with a sentence.
#[track_caller]
fn refusal(lab: &Lab, place: &[&str]) -> String {
    let [hooks, way] = hooks();
    let mut command = Command::new(built().join("enter"));
    command.args(place).arg("--").arg(program()).args(["run", &hooks, &way, "--ready-file"]).arg(lab.path("ready"));
    let (code, stdout, stderr) = run_to_end(command);
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    assert_eq!(stderr.trim().lines().count(), 1, "{stderr}");
    assert!(!lab.path("ready").exists());
    stderr
}

/// Takes a link's program away from its cgroup, as root may do to any.
#[allow(unsafe_code)]
fn detach(link: u32) {
    // SAFETY: plain system calls on numbers; the descriptor is closed with this process.
    let failed = unsafe { libbpf_sys::bpf_link_detach(libbpf_sys::bpf_link_get_fd_by_id(link)) };
    assert_eq!(failed, 0, "link {link} cannot be detached");
}

#[test]
fn live_lack_of_a_hook_is_noticed_and_mended() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let cgroup_links = || -> BTreeSet<u32> {
        let of_cgroups = |link: &LinkInfo| matches!(link.info, LinkTypeInfo::Cgroup(_));
        LinkInfoIter::default().filter(of_cgroups).map(|link| link.id).collect()
    };
    let before = cgroup_links();
    let sensor = Sensor::start(&lab, &[]);
    let mine: Vec<u32> = cgroup_links().difference(&before).copied().collect();
    assert!(!mine.is_empty(), "the sensor has links to cgroups");
    mine.into_iter().for_each(detach);
    let has = |action: &'static str| move |documents: &[Document]| documents.iter().any(|one| one.action() == action);
    sensor.until_written("a document that says so", has("sensor-blind"));
    sensor.until_written("a document that all is seen again", has("sensor-sees"));
    let name = lab.name("again");
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    Lookup::by(&run, &name).assert_in(&recording);
}

#[test]
fn live_lack_of_the_hosts_cgroup_namespace_is_refused() {
    let lab = Lab::new();
    let [hooks, way] = hooks();
    let mut command = Command::new("unshare");
    command.args(["--cgroup", "--"]).arg(program()).args(["run", &hooks, &way, "--ready-file"]).arg(lab.path("ready"));
    let (code, stdout, stderr) = run_to_end(command);
    assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("cgroup namespace") && stderr.contains("--cgroupns host"), "the remedy: {stderr}");
}

#[test]
fn live_lack_of_cgroup_v2_is_reported_or_made_up_for() {
    let lab = Lab::new();
    let [_, way] = hooks();
    let mount = cgroup_mount();
    let (_, told) = doctor(&["--unmount", &mount.to_string_lossy()], &[]);
    assert!(told.contains("not mounted") && told.contains("mount -t cgroup2"), "the remedy, needed or better: {told}");
    if way == "cgroup" || (way == "auto" && !fs::exists("/sys/kernel/debug/kprobes").unwrap_or(false)) {
        let said = refusal(&lab, &["--unmount", &mount.to_string_lossy()]);
        assert!(said.contains("mount -t cgroup2"), "it says what to mount: {said}");
        return;
    }
    let _resolver = unbound(&lab, &["127.0.0.1", "::1"], 53);
    let sensor = Sensor::start_in(&lab, &["--unmount", &mount.to_string_lossy()], &[]);
    let mut runs = Vec::new();
    for (client, mode, server, transport) in [
        ("udp", "connected", "127.0.0.1", "udp"),
        ("udp", "unconnected", "::1", "udp"),
        ("tcp", "one", "127.0.0.1", "tcp"),
        ("tcp", "bytewise", "::1", "tcp"),
    ] {
        let name = lab.name(&format!("n{}", runs.len()));
        runs.push((Client::new(&lab, client, &[mode, server, "53", &name]).run(), name, server, transport));
    }
    let recording = sensor.stop();
    for (run, name, server, transport) in &runs {
        Lookup::by(run, name).over(transport).to(server).assert_in(&recording);
    }
    assert_eq!(recording.below(&lab.suffix).len(), runs.len() * 2);
    let start = recording.documents[0].get("dnstrail.ways_in").expect("ways in").to_string();
    assert!(start.contains("sk_filter_trim_cap"), "{start}");
    assert!(start.contains("TCP Fast Open") && start.contains("sendfile"), "the gap of this way in: {start}");
}

#[test]
fn live_lack_of_the_kernels_types_is_one_sentence_and_1() {
    let said = refusal(&Lab::new(), &["--hide", "/sys/kernel/btf"]);
    assert!(said.contains("/sys/kernel/btf/vmlinux") && said.contains("CONFIG_DEBUG_INFO_BTF"), "{said}");
}

#[test]
fn live_lack_of_the_hosts_pids_is_reported() {
    let _turn = Lab::new();
    let (code, told) = doctor(&["--pid-namespace"], &[]);
    // `enter` leaves the host's /proc mounted; a container has its own.
    assert_eq!(code, Some(0));
    assert!(told.contains("--pid=host"), "{told}");
    assert!(!doctor(&[], &[]).1.contains("--pid=host"));
}

#[test]
fn live_lack_of_privileges_is_named_with_its_remedy() {
    let lab = Lab::new();
    let mut command = Command::new(built().join("enter"));
    command.args(["--user", "65534", "--"]).arg(program_for_everyone(lab.scratch.path())).arg("doctor");
    let (code, told, stderr) = run_to_end(command);
    assert_eq!((code, &*stderr), (Some(1), ""));
    assert!(told.contains("missing CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF") && told.contains("sudo"), "{told}");
}

#[test]
fn live_refusal_of_the_bpf_system_call_is_one_sentence_and_1() {
    let said = refusal(&Lab::new(), &["--refuse-bpf"]);
    assert!(said.contains("seccomp"), "it says who may have refused it: {said}");
}

/// Exit code and stdout of `dnstrail doctor`.
fn doctor(place: &[&str], arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(built().join("enter"));
    command.args(place).arg("--").arg(program()).arg("doctor").args(arguments);
    let (code, stdout, stderr) = run_to_end(command);
    assert_eq!(stderr, "");
    (code, stdout)
}

/// The refusal of `hook` as `dnstrail doctor --json` has it.
fn refused(diagnosis: &str, hook: &str) -> Value {
    let diagnosis: Value = serde_json::from_str(diagnosis).expect("JSON");
    let roles = diagnosis["roles"].as_array().expect("roles");
    let mut refused = roles.iter().flat_map(|role| role["refused"].as_array().expect("refusals"));
    refused.find(|refusal| refusal["hook"] == hook).cloned().unwrap_or_else(|| panic!("{hook} in {diagnosis}"))
}

/// A program that the verifier does not take, as every kernel's may one day.
#[test]
fn live_refusal_by_the_verifier_is_reported_and_doctor_has_its_whole_log() {
    let (lab, hook) = (Lab::new(), "tp_btf/sched_process_exec");
    let place = ["--spoil", "process_exec"];
    let said = refusal(&lab, &place);
    let all = [hook, "R3 !read_ok", "dnstrail doctor --json"];
    assert!(all.iter().all(|part| said.contains(part)), "{said}");
    let (code, told) = doctor(&place, &[]);
    assert_eq!(code, Some(1));
    assert!(all.iter().all(|part| told.contains(part)), "{told}");
    let (code, diagnosis) = doctor(&place, &["--json"]);
    assert_eq!(code, Some(1));
    assert_log(&refused(&diagnosis, hook));
}

fn assert_log(refusal: &Value) {
    let log = refusal["log"].as_str().unwrap_or_else(|| panic!("no log in {refusal}"));
    assert!(log.contains("0: (bf) r0 = r3\nR3 !read_ok\nprocessed 1 insns"), "not the whole: {log}");
}

#[test]
fn live_refusal_of_an_optional_program_degrades_its_role_and_says_so() {
    let (lab, hook, missing) = (Lab::new(), "iter/task_file", "the owner of a socket opened before the start");
    let place = ["--spoil", "sockets_before"];
    let recording = Sensor::start_in(&lab, &place, &[]).stop();
    let ways = recording.documents[0].get("dnstrail.ways_in").and_then(Value::as_array).expect("ways in");
    let before = ways.iter().find(|way| way["role"] == "what was there before").expect("its role");
    assert!(before["not_seen"].as_str().is_some_and(|text| text.contains(missing)), "{before}");
    let told = before["refused"].to_string();
    assert!([hook, "R3 !read_ok", "dnstrail doctor --json"].iter().all(|part| told.contains(part)), "{told}");
    let (code, diagnosis) = doctor(&place, &["--json"]);
    assert_eq!(code, Some(0), "the rest is seen");
    assert_log(&refused(&diagnosis, hook));
    let (_, told) = doctor(&place, &[]);
    assert!([hook, missing, "Ready: "].iter().all(|part| told.contains(part)), "{told}");
}

/// The BPF file system where libbpf pins, mounted if it was not.
struct Pins {
    mounted: Option<&'static str>,
}

impl Pins {
    const PLACE: &str = "/sys/fs/bpf";

    fn new() -> Self {
        let is_there = Self::places().iter().any(|place| place == Path::new(Self::PLACE));
        if !is_there {
            output("mount", &["-t", "bpf", "none", Self::PLACE]);
        }
        Self { mounted: (!is_there).then_some(Self::PLACE) }
    }

    /// Where one is mounted.
    fn places() -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
        let mounts = mounts.lines().filter_map(|line| line.split_once(" - "));
        mounts
            .filter(|(_, kind)| kind.starts_with("bpf "))
            .filter_map(|(mount, _)| mount.split(' ').nth(4).map(PathBuf::from))
            .collect()
    }

    /// All that is pinned on this host.
    fn all() -> BTreeSet<PathBuf> {
        let (mut folders, mut pins) = (Self::places(), BTreeSet::new());
        assert!(!folders.is_empty(), "nowhere to look");
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("root reads it").flatten() {
                pins.insert(entry.path());
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
            }
        }
        pins
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Some(place) = self.mounted {
            let _ = Command::new("umount").arg(place).status();
        }
    }
}

/// The ids of programs, maps and links: those that the kernel has, or those that a process holds.
#[derive(Default)]
struct Objects([BTreeSet<u32>; 3]);

impl Objects {
    fn of_kernel() -> Self {
        Self([
            ProgInfoIter::default().map(|program| program.id).collect(),
            MapInfoIter::default().map(|map| map.id).collect(),
            LinkInfoIter::default().map(|link| link.id).collect(),
        ])
    }

    fn of_process(pid: u32) -> Self {
        let mut objects = Self::default();
        for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the sensor runs").flatten() {
            for line in fs::read_to_string(entry.path()).unwrap_or_default().lines() {
                let Some((field, id)) = line.split_once(":\t") else { continue };
                // A link's descriptor names its program too, so the first field does not decide the kind.
                let Some(kind) = ["prog_id", "map_id", "link_id"].iter().position(|name| *name == field) else {
                    continue;
                };
                objects.0[kind].insert(id.trim().parse().expect("an id is a number"));
            }
        }
        objects
    }

    fn in_both(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).map(|(these, those)| these.intersection(those).count()).sum()
    }
}

#[test]
fn live_a_hundred_starts_leave_nothing_in_the_kernel() {
    let lab = Lab::new();
    let rounds = if slowness() > 1.0 { 2 } else { 100 };
    let _pins = Pins::new();
    let pinned = Pins::all();
    for round in 0..rounds {
        let sensor = Sensor::start(&lab, &[]);
        let held = Objects::of_process(sensor.part("kernel"));
        assert!(held.0.iter().all(|ids| ids.len() > 3), "it holds programs, maps and links");
        assert_eq!(held.in_both(&Objects::of_kernel()), held.0.iter().map(BTreeSet::len).sum::<usize>());
        if round % 2 == 0 {
            sensor.stop();
        } else {
            // Not even when it is not asked.
            let mut sensor = sensor;
            sensor.signal(Signal::SIGKILL);
            sensor.ended();
        }
        fs::remove_file(lab.path("ready")).expect("it was ready");
        let _ = fs::remove_file(lab.path("documents.json"));
        // The kernel frees a program some time after its last holder is gone.
        until("the kernel has freed what the sensor held", || {
            std::thread::sleep(Duration::from_millis(20));
            held.in_both(&Objects::of_kernel()) == 0
        });
    }
    assert_eq!(Pins::all(), pinned, "the sensor pins nothing");
}
