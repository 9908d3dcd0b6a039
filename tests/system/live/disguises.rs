//! Programs that look like others: mounted over a trusted one, or at a path that is too deep to be followed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::clients::{Client, built};
use super::documents::{Document, Lookup};
use super::lab::Lab;
use super::sensor::Sensor;
use super::servers::misbehaving;

/// Programs of which a lookup raises no suspicion; the first one that is there.
const TRUSTED: [&str; 2] = ["/usr/bin/apt-get", "/usr/bin/curl"];

/// Runs a shell script in a mount namespace of its own, which ends in `exec PROGRAM connected 127.0.0.1 53 NAME`;
/// the query of that name.
fn query_of(script: &str, program: &str) -> Document {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let name = lab.name("disguised");
    let sensor = Sensor::start(&lab, &[]);
    let scratch = lab.scratch.path().to_string_lossy();
    let (script, program) = (script.replace("SCRATCH", &scratch), program.replace("SCRATCH", &scratch));
    let script = format!("set -e; {script}; exec {program} connected 127.0.0.1 53 {name}");
    Client::program(&lab.network, "unshare", &["--mount", "sh", "-c", &script]).run();
    let recording = sensor.stop();
    let documents = recording.below(&name);
    assert_eq!(documents.len(), 2, "{documents:?}");
    assert_eq!(documents[0].action(), "dns-query");
    documents[0].clone()
}

fn client() -> String {
    built().join("udp").to_string_lossy().into_owned()
}

#[test]
fn live_disguise_by_a_mount_over_a_trusted_program_is_marked() {
    let trusted = TRUSTED.into_iter().find(|program| Path::new(program).exists()).expect("a trusted program");
    let query = query_of(&format!("mount --bind {} {trusted}", client()), trusted);
    query.has(&[("process.executable", trusted)]);
    assert_eq!(query.get("dnstrail.process.foreign_mounts"), Some(&true.into()), "{query:?}");
    assert_ne!(query.number("dnstrail.process.mount_namespace"), 0);
    let file = fs::metadata(client()).expect("a built client");
    assert_eq!(query.number("dnstrail.process.executable_inode"), file.ino());
    assert_ne!(file.ino(), fs::metadata(trusted).expect("a program").ino());
    let device = format!("{}:{}", nix::sys::stat::major(file.dev()), nix::sys::stat::minor(file.dev()));
    query.has(&[("dnstrail.process.executable_device", &device)]);
}

#[test]
fn live_program_of_the_hosts_mounts_is_not_marked() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let name = lab.name("plain");
    let sensor = Sensor::start(&lab, &[]);
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    let [query, _] = Lookup::by(&run, &name).answered(&[super::servers::SERVER_ADDRESS_V4]).assert_in(&recording);
    assert_eq!(query.get("dnstrail.process.foreign_mounts"), None, "{query:?}");
    assert_eq!(query.get("dnstrail.process.path_cut"), None, "{query:?}");
    let file = fs::metadata(client()).expect("a built client");
    assert_eq!(query.number("dnstrail.process.executable_inode"), file.ino());
}

#[test]
fn live_disguise_by_stacked_mounts_is_marked() {
    let script = format!(
        "mkdir -p SCRATCH/pub/d/usr/bin; cp {} SCRATCH/pub/d/usr/bin/curl; \
         for turn in $(seq 60); do mount --bind SCRATCH/pub/d SCRATCH/pub/d; done",
        client()
    );
    let query = query_of(&script, "SCRATCH/pub/d/usr/bin/curl");
    // The beginning of the path is not known, so that it looks like that of another program.
    query.has(&[("process.executable", "/usr/bin/curl")]);
    assert_eq!(query.get("dnstrail.process.path_cut"), Some(&true.into()), "{query:?}");
    assert_eq!(query.get("dnstrail.process.foreign_mounts"), Some(&true.into()), "{query:?}");
}
