//! What the host may lack, and what the sensor may leave behind: it goes on where it can, says in
//! one sentence what to do where it cannot, and is gone without a trace in the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter};
use nix::sys::signal::Signal;

use super::clients::{Client, built};
use super::documents::Lookup;
use super::lab::{Lab, cgroup_mount, slowness, until};
use super::sensor::{Sensor, hooks, program, run_to_end};
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

#[test]
fn live_lack_of_cgroup_v2_is_told_or_made_up_for() {
    let lab = Lab::new();
    let [_, way] = hooks();
    let mount = cgroup_mount();
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
}

#[test]
fn live_lack_of_the_kernels_types_is_one_sentence_and_1() {
    let said = refusal(&Lab::new(), &["--hide", "/sys/kernel/btf"]);
    assert!(said.contains("/sys/kernel/btf/vmlinux") && said.contains("CONFIG_DEBUG_INFO_BTF"), "{said}");
}

#[test]
fn live_refusal_of_the_bpf_system_call_is_one_sentence_and_1() {
    let said = refusal(&Lab::new(), &["--refuse-bpf"]);
    assert!(said.contains("seccomp"), "it says who may have refused it: {said}");
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
                // A link's descriptor tells its program too, so the first field of a kind decides nothing.
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
    for round in 0..rounds {
        let sensor = Sensor::start(&lab, &[]);
        let held = Objects::of_process(sensor.pid());
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
}
