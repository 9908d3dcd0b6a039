//! The asking process where it is hard to find: threads, inherited sockets, sockets older than the sensor, exec
//! in mid-lookup, containers, programs without a file.

use std::fs;

use super::clients::{Client, Run, built};
use super::documents::{Document, Lookup, Recording, actions, assert_process};
use super::lab::{Cgroup, Lab, until};
use super::sensor::Sensor;
use super::servers::{misbehaving, unbound};

/// The addresses that most names resolve to.
const ANSWER: &[&str] = &[super::servers::SERVER_ADDRESS_V4];

/// The one lookup of a test whose client puts its pid and tid into the name, as `p<pid>-t<tid>`: the documents,
/// the pid and the tid.
#[track_caller]
fn lookup_of_asker(recording: &Recording, lab: &Lab) -> ([Document; 2], u64, u64) {
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-answer"], "{documents:?}");
    let name = documents[0].text("dns.question.name");
    let (pid, rest) = name.strip_prefix('p').and_then(|rest| rest.split_once("-t")).expect("the asker's name");
    let tid = rest.split('.').next().expect("a label");
    let both = [documents[0].clone(), documents[1].clone()];
    for document in &both {
        assert_eq!(document.number("process.pid").to_string(), pid, "{document:?}");
        assert_eq!(document.number("process.thread.id").to_string(), tid, "{document:?}");
    }
    assert!(both[1].number("event.duration") > 0);
    (both, pid.parse().expect("a pid"), tid.parse().expect("a tid"))
}

#[track_caller]
fn owner(lab: &Lab, mode: &str) -> (Recording, Run) {
    let _server = misbehaving(lab);
    let sensor = Sensor::start(lab, &[]);
    let run = Client::new(lab, "owner", &[mode, "127.0.0.1", "53", &lab.suffix]).run();
    (sensor.stop(), run)
}

#[test]
fn live_thread_is_named_beside_its_process() {
    let lab = Lab::new();
    let (recording, run) = owner(&lab, "thread");
    let (documents, pid, tid) = lookup_of_asker(&recording, &lab);
    assert_ne!(pid, tid);
    for document in &documents {
        assert_process(document, &run);
        document.has(&[("process.name", "owner"), ("process.thread.name", "the-asker")]);
    }
}

#[test]
fn live_socket_of_the_parent_used_by_the_child_is_the_childs_lookup() {
    for mode in ["fork", "fork-tcp"] {
        let lab = Lab::new();
        let (recording, run) = owner(&lab, mode);
        let (documents, pid, _) = lookup_of_asker(&recording, &lab);
        assert_ne!(pid, u64::from(run.pid));
        for document in &documents {
            assert_eq!(document.texts("process.args"), run.arguments);
            assert_eq!(document.number("process.parent.pid"), u64::from(run.pid));
            document.has(&[("process.parent.name", "owner")]);
        }
    }
}

#[test]
fn live_socket_opened_before_the_sensor_has_its_owner() {
    for mode in ["early", "early-unconnected", "early-tcp"] {
        let lab = Lab::new();
        let _server = misbehaving(&lab);
        let file = lab.path("go");
        let arguments = [mode, "127.0.0.1", "53", &lab.suffix, &*file.to_string_lossy()];
        let client = Client::new(&lab, "owner", &arguments).start();
        until("the client has its socket", || lab.path("go.open").exists());
        let sensor = Sensor::start(&lab, &[]);
        fs::write(&file, "").expect("the client waits for this file");
        let run = client.wait();
        assert!(run.output.status.success(), "{run:?}");
        let recording = sensor.stop();
        let (documents, _, _) = lookup_of_asker(&recording, &lab);
        for document in &documents {
            assert_process(document, &run);
        }
    }
}

#[test]
fn live_exec_while_the_answer_is_on_its_way_does_not_change_who_asked() {
    for mode in ["exec", "exec-tcp"] {
        let lab = Lab::new();
        let _server = misbehaving(&lab);
        let sensor = Sensor::start(&lab, &[]);
        let suffix = lab.name("delay-300");
        let run = Client::new(&lab, "owner", &[mode, "127.0.0.1", "53", &suffix]).run();
        let recording = sensor.stop();
        let (documents, _, _) = lookup_of_asker(&recording, &lab);
        assert!(documents[1].number("event.duration") >= 300_000_000, "{:?}", documents[1]);
        for document in &documents {
            assert_process(document, &run);
        }
        assert_eq!(documents[0].text("process.entity_id"), documents[1].text("process.entity_id"));
    }
}

#[test]
fn live_program_in_a_memfd_is_named() {
    let lab = Lab::new();
    let (recording, run) = owner(&lab, "memfd");
    let (documents, pid, _) = lookup_of_asker(&recording, &lab);
    assert_eq!(pid, u64::from(run.pid));
    for document in &documents {
        assert!(document.text("process.executable").contains("memfd:asker"), "{document:?}");
        assert_eq!(document.texts("process.args"), ["nowhere", "plain", "127.0.0.1", "53", &lab.suffix]);
    }
}

#[test]
fn live_program_whose_file_was_removed_is_named() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let file = lab.path("gone");
    let file = file.to_string_lossy();
    let run = Client::new(&lab, "owner", &["deleted", "127.0.0.1", "53", &lab.suffix, &file]).run();
    let recording = sensor.stop();
    let (documents, pid, _) = lookup_of_asker(&recording, &lab);
    assert_eq!(pid, u64::from(run.pid));
    for document in &documents {
        document.has(&[("process.executable", &file), ("process.name", "gone")]);
    }
}

#[test]
fn live_client_in_its_own_cgroup_and_namespaces_has_its_container() {
    const CONTAINER: &str = "4f1c0b2d9e8a7766554433221100ffeeddccbbaa99887766554433221100cafe";
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let slice = Cgroup::new(&format!("{}.slice", lab.network.name));
    let scope = Cgroup::new(&format!("{}.slice/docker-{CONTAINER}.scope", lab.network.name));
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("contained");
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).cgroup(&scope.path).run();
    let recording = sensor.stop();
    for document in Lookup::by(&run, &name).assert_in(&recording) {
        document.has(&[("container.id", CONTAINER), ("container.runtime", "docker")]);
    }
    drop((scope, slice));
}

#[test]
fn live_client_in_a_pid_namespace_has_the_pid_of_the_host() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("inner");
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).pid_namespace().run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-answer"]);
    for document in documents {
        assert_eq!(document.number("process.parent.pid"), u64::from(run.pid), "{document:?}");
        assert!(document.number("process.pid") > u64::from(run.pid), "{document:?}");
        assert_eq!(document.texts("process.args"), run.arguments);
    }
}

#[test]
fn live_user_of_a_process_is_the_one_it_runs_as() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("nobody");
    let run = Client::program(&lab.network, "dig", &["@127.0.0.1", &name]).user(65534).run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-answer"]);
    for document in documents {
        assert_eq!(document.number("process.pid"), u64::from(run.pid));
        document.has(&[("process.name", "dig"), ("process.user.id", "65534"), ("process.user.name", "nobody")]);
    }
}

#[test]
fn live_hostile_arguments_cannot_break_a_line() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let program = lab.path("line\nbreak\",\"event\":{\"action\":\"forged\"},\"");
    fs::copy(built().join("owner"), &program).expect("a copy of a client");
    let program = program.to_string_lossy();
    let absent = "\n{\"event\":{\"kind\":\"alert\"}}\u{1b}[2J\u{7f}\u{2028}";
    let run = Client::program(&lab.network, &program, &["fork", "127.0.0.1", "53", &lab.suffix, absent]).run();
    let recording = sensor.stop();
    let (documents, _, _) = lookup_of_asker(&recording, &lab);
    for document in &documents {
        document.has(&[("event.kind", "event"), ("process.executable", &program)]);
        assert_eq!(document.texts("process.args"), run.arguments);
    }
    assert_eq!(documents[1].get("dns.answers.data"), None);
    assert_eq!(ANSWER.len(), documents[1].get("dns.answers").and_then(|list| list.as_array()).map_or(0, Vec::len));
}
