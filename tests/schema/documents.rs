//! One line of each kind in each format, to the byte. A line that differs is left in the target folder.

use std::rc::Rc;
use std::time::Duration;

use dnstrail::alert::{Match, Summary};
use dnstrail::dns::{Kind, Message};
use dnstrail::event::{self, Ends, Stage, Task, TaskKey};
use dnstrail::journal::{Body, Document, ListState, Report, Status, WayIn};
use dnstrail::metrics::Metrics;
use dnstrail::net::Transport;
use dnstrail::process::{Actor, File, Process};
use dnstrail::schema::{DEFAULT_LINE, Schema};
use dnstrail::sighting::connection;
use dnstrail::sighting::dns::{self, ANSWER_DATA, Occurrence, RESOLVED_IP};
use dnstrail::sighting::{Culprit, Marks};
use dnstrail::sink::{Backlog, OutputState, Tally};

use crate::support::conformance::{check_line, check_lines};
use crate::support::samples::{self, ANSWER, CDN, QUERY, TIME, WWW, Wire};
use crate::support::{formats, golden};

#[track_caller]
fn is_golden(name: &str, sequence: u64, body: Body) {
    let document = Document { time: TIME, sequence, body };
    for (schema, folder) in [(Schema::Ecs, "ecs"), (Schema::SplunkCim, "splunk-cim"), (Schema::Ocsf, "ocsf")] {
        let mut line = b"what stood there before\n".to_vec();
        let before = line.len();
        document.write(&mut formats::writer(schema), &mut line);
        let line = &line[before..];
        formats::check(schema, line, DEFAULT_LINE);
        if schema == Schema::Ecs {
            check_line(line);
        }
        golden::compare(&format!("tests/schema/golden/{folder}/{name}.json"), str::from_utf8(line).unwrap());
    }
}

#[track_caller]
fn is_golden_lookup(name: &str, lookup: dns::Document) {
    is_golden(name, 2, Body::Dns(lookup));
}

#[test]
fn query() {
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    is_golden_lookup("query", samples::asked(&message, &actor));
}

#[test]
fn query_in_a_container_over_tcp_and_ipv6() {
    let (message, actor) = (samples::query(), samples::actor(samples::contained()));
    is_golden_lookup(
        "query-container-tcp6",
        dns::Document {
            transport: Transport::Tcp,
            source: "[2001:db8::7]:40123".parse().unwrap(),
            destination: "[2001:db8::53]:53".parse().unwrap(),
            ..samples::asked(&message, &actor)
        },
    );
}

#[test]
fn query_of_whom_only_the_pid_is_known() {
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    let unknown = Actor { process: None, ..actor.clone() };
    is_golden_lookup("query-pid-only", dns::Document { actor: &unknown, ..samples::asked(&message, &actor) });
}

#[test]
fn query_in_a_capture() {
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    is_golden_lookup(
        "query-capture",
        dns::Document {
            actor: &Actor::default(),
            network_namespace: 0,
            direction: None,
            ..samples::asked(&message, &actor)
        },
    );
}

#[test]
fn answer() {
    let (message, actor) = (samples::answer(), samples::actor(samples::process()));
    is_golden_lookup("answer", samples::answered(&message, &actor));
}

#[test]
fn answer_no_such_name_late_and_unasked() {
    let filtered = [&15_u16.to_be_bytes()[..], &6_u16.to_be_bytes(), &17_u16.to_be_bytes(), b"ads\n"].concat();
    let message = Wire::new(4711, ANSWER | 3).question(WWW, 28).edns(&filtered).message();
    let actor = samples::actor(samples::process());
    let occurrence = Occurrence::Answer { query_time: None, late: true, duplicate: true };
    is_golden_lookup("answer-nxdomain", dns::Document { occurrence, ..samples::answered(&message, &actor) });
}

#[test]
fn answer_of_which_a_part_is_readable() {
    let wire = Wire::new(4711, ANSWER).question(WWW, 1).cname(WWW, CDN).answer(CDN, 1, &[192, 0, 2, 1]).cut(2);
    let actor = samples::actor(samples::process());
    is_golden_lookup("answer-malformed", samples::answered(&wire.message(), &actor));
}

#[test]
fn payloads_that_are_no_dns() {
    let actor = samples::actor(samples::process());
    let mut message = Message::default();
    let header = Wire::new(4711, QUERY).question(WWW, 1).bytes();
    let with_header = [&header[..4], &[0xff; 2], &header[6..], &[0xaa; 64]].concat();
    for (name, bytes) in [("malformed", &with_header[..]), ("malformed-short", b"GET /"), ("malformed-empty", b"")] {
        let _ = message.decode(bytes, Kind::Dns);
        assert!(!message.is_dns, "{name}");
        let document = dns::Document {
            occurrence: Occurrence::Malformed,
            message_bytes: bytes.len(),
            first_bytes: bytes.get(..dns::FIRST_BYTES).unwrap_or(bytes),
            ..samples::asked(&message, &actor)
        };
        is_golden_lookup(name, document);
    }
    let matches = samples::matches();
    message.decode(&with_header, Kind::Dns).unwrap();
    let document = dns::Document {
        occurrence: Occurrence::Malformed,
        message_bytes: with_header.len(),
        first_bytes: &with_header[..dns::FIRST_BYTES],
        matches: &matches,
        alert: true,
        ..samples::asked(&message, &actor)
    };
    is_golden_lookup("alert-malformed", document);
}

#[test]
fn multicast_answer() {
    let name: &[&[u8]] = &[b"printer", b"local"];
    let bytes = Wire::new(0, 0x8400).record(1, name, 1, 0x8001, 120, &[198, 51, 100, 9]).bytes();
    let mut message = Message::default();
    message.decode(&bytes, Kind::Mdns).unwrap();
    let actor = samples::actor(samples::process());
    is_golden_lookup(
        "answer-mdns",
        dns::Document {
            occurrence: Occurrence::Answer { query_time: None, late: false, duplicate: false },
            source: "198.51.100.9:5353".parse().unwrap(),
            destination: "224.0.0.251:5353".parse().unwrap(),
            source_is_client: false,
            ..samples::asked(&message, &actor)
        },
    );
}

#[test]
fn timeout() {
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    let occurrence = Occurrence::Timeout { query_time: TIME - 5_000_000_000 };
    is_golden_lookup("timeout", dns::Document { occurrence, ..samples::asked(&message, &actor) });
}

#[test]
fn alert_of_a_query() {
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    let matches = samples::matches();
    is_golden_lookup(
        "alert-query",
        dns::Document { matches: &matches, alert: true, ..samples::asked(&message, &actor) },
    );
}

/// Three lists, of which the name was known from the query and the address is new.
#[test]
fn alert_of_an_answer() {
    let (message, actor) = (samples::answer(), samples::actor(samples::process()));
    let mut matches = samples::matches();
    for (indicator, field, atomic) in [
        ("cdn.test", &ANSWER_DATA, "edge-7.cdn.test"),
        ("192.0.2.3", &RESOLVED_IP, "192.0.2.3"),
        ("192.0.2.0/24", &RESOLVED_IP, "192.0.2.1"),
    ] {
        let mut hit = samples::hit(indicator);
        hit.metadata = None;
        matches.push(Match { hit, field, atomic: atomic.to_owned() });
    }
    is_golden_lookup(
        "alert-answer",
        dns::Document { matches: &matches, alert: true, ..samples::answered(&message, &actor) },
    );
}

#[test]
fn answer_that_carries_the_labels_of_its_query() {
    let (message, actor) = (samples::answer(), samples::actor(samples::process()));
    let matches = samples::matches();
    is_golden_lookup("answer-labelled", dns::Document { matches: &matches, ..samples::answered(&message, &actor) });
}

#[test]
fn question_of_a_root_user_whose_image_is_of_another() {
    let message = Wire::new(1, QUERY).question(&[], 2).message();
    let task = Task { uid: 0, ..samples::task() };
    let actor = Actor { task: Some(task), ..samples::actor(samples::process()) };
    is_golden_lookup("query-root-root", samples::asked(&message, &actor));
}

#[test]
fn connections() {
    let (actor, matches) = (samples::actor(samples::contained()), samples::matches_of_address());
    for (name, stage, error) in [
        ("connection-opened", Stage::Opened, 0),
        ("connection-failed", Stage::Failed, 111),
        ("connection-closed", Stage::Closed, 0),
    ] {
        let event = event::Connection { error, ..samples::connection(stage) };
        is_golden(name, 3, Body::Connection(samples::connected(&event, &actor, &matches)));
    }
    let event = event::Connection {
        task: None,
        source: "[2001:db8::7]:40999".parse().unwrap(),
        destination: "[2001:db8::3]:443".parse().unwrap(),
        network_namespace: 0,
        error: 104,
        ..samples::connection(Stage::Closed)
    };
    let unknown = connection::Document { actor: &Actor::default(), ..samples::connected(&event, &actor, &matches) };
    is_golden("connection-closed-unknown6", 4, Body::Connection(unknown));
}

#[test]
fn start() {
    let ways_in = [
        WayIn {
            role: "sends",
            taken: Some("cgroup_skb/egress".into()),
            refused: vec![
                ("fentry/udp_sendmsg".into(), "EPERM: the kernel is locked down".into()),
                ("kprobe/udp_sendmsg".into(), "ENOENT: CONFIG_KPROBES is off".into()),
            ],
            not_seen: None,
        },
        WayIn {
            role: "was there before",
            taken: None,
            refused: Vec::new(),
            not_seen: Some("sockets that were open before".into()),
        },
    ];
    is_golden(
        "start",
        1,
        Body::Report(Report::Start {
            ways_in: &ways_in,
            command_line: "dnstrail run",
            walls: &[("no privileges", true), ("system calls", true), ("files", false)],
        }),
    );
}

#[test]
fn stop() {
    let metrics = Metrics::default();
    metrics.traffic.packets.add(12);
    metrics.losses.kernel_packet_ring.add(3);
    let mut line = Vec::new();
    let body = Body::Report(Report::Stop { reason: "SIGTERM", metrics: &metrics });
    Document { time: TIME, sequence: 9, body }.write(&mut samples::writer(), &mut line);
    let value = check_line(&line);
    assert_eq!(value["event"]["action"], "sensor-stop");
    assert_eq!(value["event"]["reason"], "SIGTERM");
    assert_eq!(value["dnstrail"]["traffic"]["packets"], 12);
    assert_eq!(value["dnstrail"]["loss"]["kernel_packet_ring"]["total"], 3);
    // All of them, as they grow in number: silence about a loss must mean that there was none.
    assert_eq!(value["dnstrail"]["traffic"].as_object().unwrap().len(), metrics.traffic.each().count());
    assert_eq!(value["dnstrail"]["loss"].as_object().unwrap().len(), metrics.losses.each().count());
}

#[test]
fn status() {
    let metrics = Metrics::default();
    metrics.traffic.messages.add(12_345);
    metrics.losses.kernel_packet_ring.add(3);
    metrics.memory.processes.set(1 << 20);
    let ways_in =
        [WayIn { role: "sends", taken: Some("cgroup_skb/egress".into()), refused: Vec::new(), not_seen: None }];
    let lists = [ListState {
        id: "demo".into(),
        path: "/etc/dnstrail/rules/demo.txt".into(),
        version: "1b2c3d4e".into(),
        names: 120,
        addresses: 3,
        skipped: 1,
        age: Some(7_200),
        error: None,
    }];
    let output = |name: &str, failing, backlog| OutputState {
        name: name.into(),
        tally: Tally { lines: 24_000, dropped: 0, ..Tally::default() },
        failing,
        backlog,
    };
    let away = Backlog { lines: 17, bytes: 30_000, away: Some(Duration::from_secs(12)) };
    let outputs = [
        output("file:/var/log/dnstrail/events.json", false, Backlog::default()),
        output("syslog:tcp://logs.example:514", true, away),
    ];
    let status = Status {
        uptime: 86_400,
        resident: Some(20 << 20),
        ways_in: &ways_in,
        lists: &lists,
        outputs: &outputs,
        metrics: &metrics,
    };
    let mut line = Vec::new();
    let body = || Body::Report(Report::Status(status));
    Document { time: TIME, sequence: 9, body: body() }.write(&mut samples::writer(), &mut line);
    let value = check_line(&line);
    // All of them, as they grow in number.
    let own = &value["dnstrail"];
    assert_eq!(own["memory"].as_object().unwrap().len(), metrics.memory.each().count());
    assert_eq!(own["loss"].as_object().unwrap().len(), metrics.losses.each().count());
    assert!(own.get("cut").is_none(), "{own}");
    is_golden("status", 9, body());
}

/// The kernel side lost sight, and sees again.
#[test]
fn sight() {
    let lost = Some("cgroup_skb/egress has no program");
    is_golden("blind", 4, Body::Report(Report::Sight { lost, attached_again: true }));
    is_golden("sees", 5, Body::Report(Report::Sight { lost: None, attached_again: false }));
}

#[test]
fn loss() {
    let losses = [("kernel_packet_ring", 12, 40), ("stream_bytes", 1, 1)];
    is_golden("loss", 7, Body::Report(Report::Loss { losses: &losses, culprits: &[] }));
}

#[test]
fn loss_that_is_due_to_two_processes() {
    let losses = [("kernel_packet_budget", 12_000, 40_000)];
    let process = samples::process();
    let known =
        Culprit { loss: "kernel_packet_budget", key: process.key, process: Some(Rc::new(process)), count: 11_000 };
    let unknown = Culprit { key: TaskKey { pid: 77, ..known.key }, process: None, count: 900, ..known };
    let culprits = [known, unknown];
    is_golden("loss-culprits", 7, Body::Report(Report::Loss { losses: &losses, culprits: &culprits }));
}

/// Behind NAT at both ends, with bytes of two processes that may have changed, by a program in a mount namespace of
/// its own.
#[test]
fn query_behind_nat_of_a_program_in_disguise() {
    let message = samples::query();
    let process = Process {
        executable_file: Some(File { device: (254, 1), inode: 4_711 }),
        mount_namespace: 4_026_532_208,
        foreign_mounts: true,
        path_cut: true,
        ..samples::process()
    };
    let actor = samples::actor(process);
    let behind_nat =
        Ends { source: "203.0.113.9:61001".parse().unwrap(), destination: "10.1.2.3:5353".parse().unwrap() };
    let marks = Marks { several_writers: true, is_zero_copy: true };
    let asked = samples::asked(&message, &actor);
    is_golden_lookup("query-nat-disguised", dns::Document { behind_nat: Some(behind_nat), marks, ..asked });
}

/// Only the server's address is translated, as by kube-proxy.
#[test]
fn answer_behind_nat() {
    let (message, actor) = (samples::answer(), samples::actor(samples::process()));
    let behind_nat = Ends { source: "[2001:db8::9]:53".parse().unwrap(), destination: samples::client() };
    is_golden_lookup(
        "answer-nat",
        dns::Document { behind_nat: Some(behind_nat), ..samples::answered(&message, &actor) },
    );
}

#[test]
fn rules_loaded() {
    let lists = [
        ListState {
            id: "demo".into(),
            path: "/etc/dnstrail/rules/demo.txt".into(),
            version: "1b2c3d4e".into(),
            names: 120,
            addresses: 3,
            skipped: 1,
            age: None,
            error: None,
        },
        ListState {
            id: "gone".into(),
            path: "/etc/dnstrail/rules/gone.txt".into(),
            error: Some("no such file".into()),
            ..ListState::default()
        },
    ];
    is_golden("rules-loaded", 3, Body::Report(Report::RulesLoaded { lists: &lists, elapsed: 1_500_000 }));
    is_golden("rules-loaded-well", 3, Body::Report(Report::RulesLoaded { lists: &lists[..1], elapsed: 1_500_000 }));
}

#[test]
fn alert_summary() {
    let (actor, matches) = (samples::actor(samples::contained()), samples::matches());
    let summary = Summary {
        actor: &actor,
        matched: &matches[0],
        repeats: 1_234,
        first: TIME - 60_000_000_000,
        last: TIME - 1_000_000_000,
        reason: "the alert window has ended",
    };
    is_golden("alert-summary", 8, Body::Report(Report::AlertSummary(summary)));
    let unknown = Summary {
        actor: &Actor { process: None, ..actor.clone() },
        matched: &matches[0],
        repeats: 1,
        first: TIME - 2,
        last: TIME - 1,
        reason: "the sensor stops",
    };
    is_golden("alert-summary-pid-only", 9, Body::Report(Report::AlertSummary(unknown)));
}

#[test]
fn output() {
    let report = |failing, message, dropped| {
        Body::Report(Report::Output { output: "file:/var/log/dnstrail/events.json", failing, message, dropped })
    };
    is_golden("output-failing", 4, report(true, "No space left on device", 5));
    is_golden("output-back", 5, report(false, "", 1_234));
}

#[test]
fn documents_follow_each_other() {
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    let mut writer = samples::writer();
    let mut output = Vec::new();
    for sequence in 1..=3 {
        let body = Body::Dns(samples::asked(&message, &actor));
        Document { time: TIME + sequence, sequence, body }.write(&mut writer, &mut output);
    }
    let sequences: Vec<u64> =
        check_lines(&output).iter().map(|line| line["event"]["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, [1, 2, 3]);
}

/// Only the first question has fields of its own (U10).
#[test]
fn every_question_is_a_related_host() {
    let message = Wire::new(7, QUERY).question(CDN, 1).question(WWW, 28).message();
    let actor = samples::actor(samples::process());
    let document = Document { time: TIME, sequence: 1, body: Body::Dns(samples::asked(&message, &actor)) };
    let mut line = Vec::new();
    document.write(&mut samples::writer(), &mut line);
    let line: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    assert_eq!(line["dns"]["question"]["name"], "edge-7.cdn.test");
    assert_eq!(line["related"]["hosts"], serde_json::json!(["edge-7.cdn.test", "www.evil.example"]));
}
