//! The parts of the sensor: the process that reads packets has no privilege, each part has those of its task alone,
//! and the end of one is the end of all, which the stream says.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::documents::Document;
use super::lab::{Lab, until};
use super::sensor::{Sensor, parts};

const CAP_NET_ADMIN: u64 = 1 << 12;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// A number of `/proc/PID/status`, in this base.
fn status(pid: u32, field: &str, base: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    u64::from_str_radix(value.unwrap_or_else(|| panic!("{field} in {text}")).trim(), base).expect("a number")
}

/// All threads of the process are confined alike, and may use no other capability than these.
fn assert_walls(pid: u32, allowed: u64) {
    for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs").flatten() {
        let thread = thread.file_name().to_string_lossy().parse().expect("a number");
        for field in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
            assert_eq!(status(thread, field, 16) & !allowed, 0, "{field} of {thread}");
        }
        assert_eq!((status(thread, "NoNewPrivs", 10), status(thread, "Seccomp", 10)), (1, 2), "{thread}");
    }
}

#[test]
fn live_separation_leaves_each_process_what_its_task_needs() {
    let lab = Lab::new();
    let sensor = Sensor::start(&lab, &["--metrics", "127.0.0.1:0"]);
    assert_walls(sensor.pid(), 0);
    assert_walls(sensor.part("proc"), CAP_SYS_PTRACE);
    assert_walls(sensor.part("kernel"), CAP_BPF | CAP_PERFMON | CAP_NET_ADMIN);
    assert_eq!(parts(sensor.pid()).len(), 2);
    // The descriptors that act on the kernel side are those of its part; the reader has two maps.
    let held = |pid: u32, field: &str| {
        let infos = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("the process runs").flatten();
        let infos = infos.filter_map(|info| fs::read_to_string(info.path()).ok());
        infos.filter(|info| info.contains(field)).count()
    };
    assert_eq!((held(sensor.pid(), "link_type:"), held(sensor.pid(), "prog_type:")), (0, 0));
    assert!(held(sensor.part("kernel"), "link_type:") > 3);

    let recording = sensor.stop();
    let start = recording.documents[0].get("dnstrail.sensor").expect("the sensor").clone();
    let walls = start["walls"].as_array().expect("walls").len();
    let missing = start.get("walls_missing").and_then(|missing| missing.as_array()).map_or(0, Vec::len);
    let has_landlock = !Path::new("/proc/sys/kernel/osrelease").exists()
        || fs::read_to_string("/sys/kernel/security/lsm").map_or(missing == 0, |lsm| lsm.contains("landlock"));
    assert_eq!((walls, missing), if has_landlock { (3, 0) } else { (2, 1) }, "{start}");
}

#[test]
fn live_separation_ends_with_each_of_its_parts() {
    for name in ["kernel", "proc"] {
        let lab = Lab::new();
        let mut sensor = Sensor::start(&lab, &[]);
        let all = parts(sensor.pid());
        kill(Pid::from_raw(sensor.part(name).cast_signed()), Signal::SIGKILL).expect("the part runs");
        assert_eq!(sensor.ended().code(), Some(1), "{}", sensor.said());
        assert!(sensor.said().contains(&format!("its part {name} has ended")), "{}", sensor.said());
        let recording = sensor.recording();
        let stop = recording.documents.last().expect("a document");
        assert_eq!((stop.action(), stop.get("event.reason").and_then(|reason| reason.as_str())), END, "{name}");
        until("the other parts end", || all.iter().all(|(_, pid)| !Path::new(&format!("/proc/{pid}")).exists()));
    }
}

const END: (&str, Option<&str>) = ("sensor-stop", Some("the end of a part"));

#[test]
fn live_separation_leaves_no_part_behind_the_reader() {
    let lab = Lab::new();
    let mut sensor = Sensor::start(&lab, &[]);
    let all = parts(sensor.pid());
    sensor.until_written("a start", |documents: &[Document]| !documents.is_empty());
    sensor.signal(Signal::SIGKILL);
    sensor.ended();
    until("the parts end", || all.iter().all(|(_, pid)| !Path::new(&format!("/proc/{pid}")).exists()));
}
