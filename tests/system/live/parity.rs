//! One workload, in every shape that a client gives a lookup, under one run of the sensor: each kernel and
//! each way in must give the same documents. Values that differ by nature (times, ports, numbers of processes) are
//! blanked, and the rest is compared with `parity.golden`, line by line.
//!
//! `make golden LIVE=yes` renews the golden file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::clients::{Client, Run, built};
use super::documents::{Document, Recording};
use super::lab::{Cgroup, Lab, Network, slowness, until};
use super::selection::assert_ways_in;
use super::sensor::Sensor;
use super::servers::{misbehaving_at, unbound};
use crate::support::golden;

/// The same on every host, so that lengths are.
const SUFFIX: &str = "parity.test";
const GOLDEN: &str = include_str!("parity.golden");

/// Where the server that misbehaves listens, and where it listens across the veth pair.
const SERVER: &str = "127.0.0.2";
const FAR_SERVERS: [&str; 2] = ["10.53.0.2", "fd53::2"];
const CONTAINER: &str = "4f1c0b2d9e8a7766554433221100ffeeddccbbaa99887766554433221100cafe";

#[test]
fn live_parity_documents_are_those_of_the_golden_file() {
    let lab = Lab::new();
    let other = Network::new();
    lab.network.join(&other);
    let _resolver = unbound(&lab, &["127.0.0.1", "::1"], 53);
    let _server = misbehaving_at(&lab, &lab.network, &[SERVER], 53);
    let _far = misbehaving_at(&lab, &other, &FAR_SERVERS, 5300);
    let resolv_conf = lab.path("resolv.conf");
    fs::write(&resolv_conf, "nameserver 127.0.0.1\n").expect("resolv.conf");
    let slice = Cgroup::new("parity.slice");
    let scope = Cgroup::new(&format!("parity.slice/docker-{CONTAINER}.scope"));

    let early: Vec<_> = ["early", "early-unconnected", "early-tcp"]
        .into_iter()
        .map(|mode| {
            let go = lab.path(mode);
            let arguments = [mode, SERVER, "53", &name(mode), &*go.to_string_lossy()];
            let client = Client::new(&lab, "owner", &arguments).start();
            until("the client has its socket", || go.with_extension("open").exists());
            (client, go)
        })
        .collect();
    // A lookup must not time out in an emulated guest, only because it is slow.
    let timeout = (3.0 * slowness().clamp(1.0, 5.0)).ceil();
    let sensor = Sensor::start(&lab, &["--timeout", &timeout.to_string(), "--ports", "5300"]);
    for (client, go) in early {
        fs::write(&go, "").expect("the client waits for this file");
        finished(&client.wait());
    }
    let silent = name("silent");
    let client = |program: &str, arguments: &[&str]| Client::new(&lab, program, arguments);
    let run = |program: &str, arguments: &[&str]| finished(&client(program, arguments).run());
    run("udp", &["forget", SERVER, "53", &silent]);

    for (server, version) in [("127.0.0.1", "v4"), ("::1", "v6")] {
        for mode in ["connected", "write", "unconnected", "sendmsg", "sendmmsg"] {
            run("udp", &[mode, server, "53", &name(&format!("{mode}.udp.{version}"))]);
        }
        for mode in ["one", "writev", "separate", "bytewise"] {
            run("tcp", &[mode, server, "53", &name(&format!("{mode}.tcp.{version}"))]);
        }
        for mode in ["pipelined", "turns"] {
            let names = [1, 2, 3].map(|number| name(&format!("n{number}.{mode}.{version}")));
            run("tcp", &[mode, server, "53", &names[0], &names[1], &names[2]]);
        }
        for mode in ["udp-send", "udp-sendmsg", "tcp-send"] {
            run("uring", &[mode, server, "53", &name(&format!("{mode}.uring.{version}"))]);
        }
        for flag in ["+notcp", "+tcp"] {
            let (at, name) = (format!("@{server}"), name(&format!("{}.dig.{version}", &flag[1..])));
            finished(&Client::program(&lab.network, "dig", &[flag, &at, &name]).run());
        }
    }
    run("udp", &["mapped", "127.0.0.1", "53", &name("mapped")]);
    run("udp", &["connected", "127.0.0.1", "53", &name("CaSe.dot\\.inside")]);
    finished(&client("resolve", &[&name("glibc")]).resolv_conf(&resolv_conf).run());
    let address = format!("http://{}/", name("curl"));
    Client::program(&lab.network, "curl", &["-sS", &address]).resolv_conf(&resolv_conf).run_to_any_end();

    for mode in ["thread", "fork", "fork-tcp", "memfd"] {
        run("owner", &[mode, SERVER, "53", &name(mode)]);
    }
    for mode in ["exec", "exec-tcp"] {
        run("owner", &[mode, SERVER, "53", &name(&format!("delay-300.{mode}"))]);
    }
    run("owner", &["deleted", SERVER, "53", &name("deleted"), &lab.path("gone").to_string_lossy()]);
    let contained = ["connected", "127.0.0.1", "53", &name("contained")];
    finished(&client("udp", &contained).cgroup(&scope.path).run());
    let inner = ["connected", "127.0.0.1", "53", &name("inner")];
    finished(&client("udp", &inner).pid_namespace().run());
    let at = format!("@{SERVER}");
    finished(&Client::program(&lab.network, "dig", &[&at, &name("nobody")]).user(65534).run());
    finished(&Client::program(&lab.network, "dig", &[&at, &name("truncate")]).run());

    for label in ["nxdomain", "servfail", "refused", "nodata", "cname", "malformed"] {
        run("udp", &["connected", SERVER, "53", &name(label)]);
    }
    for label in ["dup", "unsolicited"] {
        run("udp", &["patient", SERVER, "53", &name(label)]);
    }
    run("tcp", &["one", SERVER, "53", &name("split")]);
    for (server, version) in FAR_SERVERS.into_iter().zip(["v4", "v6"]) {
        run("udp", &["unconnected", server, "5300", &name(&format!("veth.udp.{version}"))]);
        run("tcp", &["separate", server, "5300", &name(&format!("veth.tcp.{version}"))]);
        let (at, name) = (format!("@{server}"), name(&format!("big.{version}")));
        let arguments = ["+bufsize=4096", "+notcp", "+ignore", "-p", "5300", &at, &name, "TXT"];
        finished(&Client::program(&lab.network, "dig", &arguments).run());
    }
    let late = name(&format!("delay-{:05}.late", timeout * 1000.0 + 1500.0));
    run("udp", &["connected", SERVER, "53", &late]);
    sensor.until_written("every query that has no answer has timed out", |documents| {
        documents
            .iter()
            .any(|document| document.action() == "dns-timeout" && document.text("dns.question.name") == silent)
    });
    let recording = sensor.stop();
    drop((scope, slice));

    assert_ways_in(&recording);
    let network = lab.network.file();
    let seen = shown(&recording, &[(built(), "CLIENTS"), (lab.scratch.path(), "SCRATCH"), (&network, "NETWORK")]);
    if golden::is_renewed() {
        golden::compare("tests/system/live/parity.golden", &seen);
        return;
    }
    let difference = difference(GOLDEN, &seen);
    assert!(difference.is_empty(), "- parity.golden, + this kernel and way in\n{difference}");
}

fn name(label: &str) -> String {
    format!("{label}.{SUFFIX}")
}

#[track_caller]
fn finished(run: &Run) {
    assert!(run.output.status.success(), "{run:?}");
}

/// One line for each document of the workload, sorted: answers that race come in any order.
fn shown(recording: &Recording, folders: &[(&Path, &str)]) -> String {
    let mut lines: Vec<String> =
        recording.below(SUFFIX).into_iter().map(|document| comparable(document, folders)).collect();
    lines.sort();
    lines.join("\n") + "\n"
}

/// The document as a line that begins with its name, without what differs from run to run.
fn comparable(document: &Document, folders: &[(&Path, &str)]) -> String {
    let mut value = document.0.clone();
    let asker = document.get("process.pid").cloned();
    if document.get("process.parent.pid") == Some(&json!(std::process::id())) {
        value["process"]["parent"] = json!("the test");
    }
    if document.get("process.thread.id") == asker.as_ref() {
        value["process"]["thread"]["id"] = json!("of the process");
    }
    // A container that the test itself runs in is no part of the workload.
    if document.get("container.id").is_some_and(|id| id != CONTAINER) {
        value["container"].take();
    }
    if let Some(name) = document.get("process.thread.name").and_then(Value::as_str) {
        // dig numbers its threads, and the kernel its workers. A program run from a descriptor is called by the
        // number of that in kernels of old (5.10), by its file in newer ones.
        let from_descriptor = document.text("process.executable").contains("memfd:");
        let name = if from_descriptor { "*" } else { name.trim_end_matches(|letter: char| letter.is_ascii_digit()) };
        value["process"]["thread"]["name"] = json!(name);
    }
    for top in ["host", "agent", "ecs"] {
        value.as_object_mut().expect("a document is an object").remove(top);
    }
    for path in [
        "/@timestamp",
        "/event/sequence",
        "/event/duration",
        "/event/start",
        "/event/end",
        "/dns/id",
        "/network/community_id",
        "/dnstrail/network_namespace",
        "/process/pid",
        "/process/start",
        "/process/entity_id",
        "/process/working_directory",
        "/process/parent/pid",
        "/process/parent/start",
        "/process/parent/entity_id",
        "/process/parent/working_directory",
    ] {
        blank(&mut value, path, |_| true);
    }
    // Each host has other file systems, and its tests run in the mount namespace of the host or in one of their own.
    // `disguises.rs` looks at these fields.
    if let Some(own) = value.get_mut("dnstrail").and_then(Value::as_object_mut)
        && let Some(process) = own.get_mut("process").and_then(Value::as_object_mut)
    {
        for field in ["executable_device", "executable_inode", "foreign_mounts", "mount_namespace"] {
            process.remove(field);
        }
        if process.is_empty() {
            own.remove("process");
        }
    }
    // Where /etc/resolv.conf is another the mount namespace is, and the accounts there are looked up while the
    // process still lives: a short one may be gone.
    if ["curl", "glibc"].iter().any(|label| document.text("dns.question.name") == name(label)) {
        for (parent, field) in
            [("/user", "name"), ("/process/user", "name"), ("/process/group", "name"), ("/related", "user")]
        {
            value.pointer_mut(parent).and_then(Value::as_object_mut).map(|object| object.remove(field));
        }
    }
    blank(&mut value, "/process/thread/id", Value::is_number);
    for side in ["client", "server", "source", "destination"] {
        blank(&mut value, &format!("/{side}/port"), |port| *port != json!(53) && *port != json!(5300));
    }
    // The length of a name that holds numbers of processes.
    if document.text("dns.question.name").starts_with('p') && document.text("dns.question.name").contains("-t") {
        blank(&mut value, "/network/bytes", |_| true);
    }
    let mut text = value.to_string();
    for (folder, word) in folders {
        text = text.replace(&*folder.to_string_lossy(), word);
    }
    let name = document.text("dns.question.name");
    let label = without_numbers(name.strip_suffix(SUFFIX).unwrap_or(name));
    format!("{label} {} {} {}", document.text("dns.question.type"), document.action(), without_numbers(&text))
}

fn blank(value: &mut Value, path: &str, when: impl Fn(&Value) -> bool) {
    if let Some(found) = value.pointer_mut(path).filter(|found| when(found)) {
        *found = json!("*");
    }
}

/// `p<pid>-t<tid>` and the waiting time of the late answer, wherever they stand.
fn without_numbers(text: &str) -> String {
    let mut rest = text;
    let mut plain = String::with_capacity(text.len());
    while let Some(character) = rest.chars().next() {
        if let Some(after) = task_numbers(rest) {
            plain.push_str("p*-t*");
            rest = after;
        } else if let Some(after) =
            rest.strip_prefix("delay-").map(skip_digits).filter(|after| after.starts_with(".late"))
        {
            plain.push_str("delay-*");
            rest = after;
        } else {
            plain.push(character);
            rest = &rest[character.len_utf8()..];
        }
    }
    plain
}

fn task_numbers(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('p')?;
    let between =
        skip_digits(digits).strip_prefix("-t").filter(|_| digits.starts_with(|d: char| d.is_ascii_digit()))?;
    Some(skip_digits(between))
}

fn skip_digits(text: &str) -> &str {
    text.trim_start_matches(|digit: char| digit.is_ascii_digit())
}

/// The lines that only one side has, field by field where a line has its counterpart.
fn difference(golden: &str, seen: &str) -> String {
    let mut shown = String::new();
    let (golden, seen) = (by_lookup(golden), by_lookup(seen));
    let nothing = Vec::new();
    let keys: std::collections::BTreeSet<_> = golden.keys().chain(seen.keys()).collect();
    for key in keys {
        let [old, new] = [&golden, &seen].map(|side| side.get(key).unwrap_or(&nothing));
        for at in 0..old.len().max(new.len()) {
            match (old.get(at), new.get(at)) {
                (Some(old), Some(new)) if old != new => {
                    let _ = writeln!(shown, "  {key}");
                    differing_fields(&mut shown, old, new);
                }
                (Some(old), None) => drop(writeln!(shown, "- {key} {old}")),
                (None, Some(new)) => drop(writeln!(shown, "+ {key} {new}")),
                _ => {}
            }
        }
    }
    shown
}

/// Lines by their first three words: name, type and action.
fn by_lookup(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in text.lines() {
        let (key, document) = line.split_at(line.find(" {").unwrap_or(line.len()));
        lines.entry(key).or_default().push(document.trim_start());
    }
    lines
}

fn differing_fields(shown: &mut String, old: &str, new: &str) {
    let [old, new] = [old, new].map(|text| {
        let mut fields = BTreeMap::new();
        flatten(&serde_json::from_str(text).unwrap_or(Value::Null), String::new(), &mut fields);
        fields
    });
    for (path, value) in &old {
        if new.get(path) != Some(value) {
            let _ = writeln!(shown, "-   {path} {value}");
        }
    }
    for (path, value) in &new {
        if old.get(path) != Some(value) {
            let _ = writeln!(shown, "+   {path} {value}");
        }
    }
}

fn flatten(value: &Value, path: String, fields: &mut BTreeMap<String, Value>) {
    match value.as_object() {
        Some(object) => {
            for (name, value) in object {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, path, fields);
            }
        }
        None => drop(fields.insert(path, value.clone())),
    }
}
